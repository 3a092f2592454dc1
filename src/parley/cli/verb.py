"""What a command of ``parley`` is, and how its settings reach it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from parley.settings import Settings, load_settings

OK, PROBLEMS, CANNOT_START = 0, 1, 2


@dataclass(frozen=True)
class Argument:
    """A word or a flag of one verb. ``options`` are argparse's."""

    name: str
    says: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Verb:
    """One thing that ``parley`` can do. ``words`` is how it is typed."""

    words: tuple[str, ...]
    says: str
    run: Callable[[argparse.Namespace], int]
    takes: tuple[Argument, ...] = ()
    takes_settings: bool = True


def settings_of(given: argparse.Namespace) -> Settings:
    """The settings, with the flags that were given over them."""
    start = "setting_"
    return load_settings(
        {
            name.removeprefix(start): cast(str, value)
            for name, value in vars(given).items()
            if name.startswith(start)
        }
    )
