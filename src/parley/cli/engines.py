"""``parley engines``: what is installed, whether it can work, who would serve; and voices."""

from __future__ import annotations

import argparse
import asyncio
import sys

from parley.agents.catalog import AgentCatalog
from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.core.errors import BadRequest, ParleyError
from parley.core.log import setup_logging
from parley.engines.catalog import EngineCatalog
from parley.engines.found import KINDS, find_engines
from parley.engines.spec import Kind
from parley.engines.survey import format_survey, survey
from parley.engines.wish import EngineWish
from parley.settings import Settings, engine_values


def _engines(given: argparse.Namespace) -> int:
    return asyncio.run(_show(settings_of(given)))


async def _show(settings: Settings) -> int:
    setup_logging("ERROR")
    found = find_engines()
    values = engine_values(settings, found.environment_names)
    reports = await survey(found, values, is_offline=settings.offline)
    print(format_survey(reports), end="\n\n")
    return await show_chosen(settings)


async def show_chosen(settings: Settings) -> int:
    """Choose as a start would, for every agent, and print what came of it."""
    setup_logging("WARNING")
    agents = AgentCatalog.from_settings(settings)
    agents.load()
    catalog = EngineCatalog.from_settings(settings)
    failures: dict[str, None] = {}
    try:
        for agent in agents.all():
            for kind, wishes in agent.engines.wishes().items():
                try:
                    await catalog.choose(kind, wishes)
                except ParleyError as error:
                    failures[str(error)] = None
        print(catalog.table())
    finally:
        await catalog.close()
    for failure in failures:
        print(failure, file=sys.stderr)
    return PROBLEMS if failures else OK


def _voices(given: argparse.Namespace) -> int:
    return asyncio.run(_list_voices(settings_of(given), given.engine))


async def _list_voices(settings: Settings, name: str) -> int:
    setup_logging("WARNING")
    catalog = EngineCatalog.from_settings(settings)
    try:
        wish = EngineWish(_tts_name(name), by="the command line")
        engine = catalog.open(await catalog.choose("tts", (wish,)))
        await engine.warm_up()
        for voice in engine.voices():
            print(f"{voice.id}  {voice.language}  {voice.name}")
    finally:
        await catalog.close()
    return OK


def _tts_name(name: str) -> str:
    """``tts:piper`` or ``piper`` → ``piper``."""
    kind, colon, engine = name.partition(":")
    if not colon:
        return name
    if kind == "tts":
        return engine
    known: tuple[Kind, ...] = KINDS
    if kind in known:
        raise BadRequest(f"{name} has no voices.", hint="Only tts engines speak: tts:NAME.")
    raise BadRequest(f"{name!r} is no engine.", hint="Write tts:NAME, such as tts:builtin.")


ENGINES = Verb(
    ("engines",),
    "Show every engine, whether it can work and how fast it answers, and which would serve.",
    _engines,
)
ENGINE_VOICES = Verb(
    ("engines", "voices"),
    "List the voices of a speech engine.",
    _voices,
    takes=(Argument("engine", "such as tts:builtin", {"metavar": "ENGINE"}),),
)
