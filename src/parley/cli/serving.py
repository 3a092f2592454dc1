"""``parley serve``, ``parley check`` and ``parley version``."""

from __future__ import annotations

import argparse
import asyncio

from parley import __version__
from parley.agents.catalog import AgentCatalog
from parley.cli.agents import report_agents
from parley.cli.engines import show_chosen
from parley.cli.rules import report_rules
from parley.cli.verb import OK, Verb, settings_of
from parley.core.told_to_stop import ends_when_told
from parley.settings import Settings


def _serve(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    _require_safe_listeners(settings)
    with ends_when_told():
        from parley.start import serve

        return serve(settings)


def _check(given: argparse.Namespace) -> int:
    settings = settings_of(given)
    _require_safe_listeners(settings)
    print(f"settings  {len(settings.model_fields_set)} set, all good")
    found = report_agents(AgentCatalog.from_settings(settings).files(), settings)
    found = max(found, report_rules(settings))
    return max(found, asyncio.run(show_chosen(settings)))


def _require_safe_listeners(settings: Settings) -> None:
    """Keys make any listener safe; whoever needs none is not kept waiting for the database."""
    is_open = settings.is_open and (settings.is_rustpbx_open or not settings.opens_rustpbx)
    keys_exist = not is_open and _has_keys(settings)
    settings.require_safe_listener(has_keys=keys_exist)
    settings.require_safe_rustpbx(has_keys=keys_exist)
    if settings.sip or settings.takes_bare_sound:
        settings.require_safe_telephone()


def _has_keys(settings: Settings) -> bool:
    # The web framework comes with it: a quarter of a second that no other verb should wait for.
    from parley.access.opening import has_keys

    return asyncio.run(has_keys(settings))


def _version(given: argparse.Namespace) -> int:
    print(__version__)
    return OK


SERVE = Verb(("serve",), "Start the server.", _serve)
CHECK = Verb(("check",), "Check settings, agents and engines without starting.", _check)
VERSION = Verb(("version",), "Print the version.", _version, takes_settings=False)
