"""``parley models``: list, pull, remove."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from parley.cli.verb import OK, PROBLEMS, Argument, Verb, settings_of
from parley.core.errors import BadRequest, ParleyError
from parley.core.log import setup_logging
from parley.engines.found import find_engines
from parley.engines.progress import PullBar, human_bytes
from parley.engines.shelf import ModelName, ModelShelf
from parley.settings import Settings, engine_values

RECOMMENDED = "recommended"


def _shelf(settings: Settings) -> ModelShelf:
    setup_logging("WARNING")
    found = find_engines()
    return ModelShelf(
        found, engine_values(settings, found.environment_names), is_offline=settings.offline
    )


def _list(given: argparse.Namespace) -> int:
    return asyncio.run(_print_models(_shelf(settings_of(given))))


async def _print_models(shelf: ModelShelf) -> int:
    found = await shelf.models()
    rows = [
        (f"{engine}:{model.id}", human_bytes(model.bytes) if model.bytes else "", model.is_present)
        for engine, model in found.models
    ]
    width = max((len(name) for name, _, _ in rows), default=0)
    for name, size, is_present in rows:
        here = "here" if is_present else "can be pulled"
        print(f"{name.ljust(width)}  {size.rjust(9)}  {here}")
    if not rows and not found.problems:
        print("No engine that is set up keeps models.")
    for problem in found.problems:
        print(problem, file=sys.stderr)
    return PROBLEMS if found.problems else OK


def _pull(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    if settings.offline:
        raise BadRequest("Nothing is fetched while offline.", hint="Leave --offline out.")
    shelf = _shelf(settings)
    wanted = [
        each
        for name in given.models
        for each in (shelf.recommended if name == RECOMMENDED else [ModelName.read(name)])
    ]
    return asyncio.run(_pull_all(shelf, wanted))


async def _pull_all(shelf: ModelShelf, names: Sequence[ModelName]) -> int:
    failed = False
    for name in names:
        bar = PullBar()
        try:
            async for progress in shelf.pull(name):
                bar.show(progress)
        except ParleyError as error:
            bar.finish(f"{name}: {error}")
            failed = True
        else:
            bar.finish(f"{name} is here.")
    return PROBLEMS if failed else OK


def _remove(given: argparse.Namespace) -> int:
    return asyncio.run(_remove_all(_shelf(settings_of(given)), given.models))


async def _remove_all(shelf: ModelShelf, names: Sequence[str]) -> int:
    for name in [ModelName.read(name) for name in names]:
        await shelf.remove(name)
        print(f"{name} is gone.")
    return OK


_MODELS = Argument(
    "models", "an engine and its model: ollama:llama3.2:3b", {"nargs": "+", "metavar": "MODEL"}
)
_WANTED = Argument(
    "models",
    f"an engine and its model, or {RECOMMENDED}: what gives natural speech on this machine",
    {"nargs": "+", "metavar": "MODEL"},
)

LIST_MODELS = Verb(("models", "list"), "List the models of all engines that are set up.", _list)
PULL_MODELS = Verb(
    ("models", "pull"),
    "Fetch models, with progress.",
    _pull,
    takes=(_WANTED,),
)
REMOVE_MODELS = Verb(("models", "remove"), "Remove models.", _remove, takes=(_MODELS,))
