"""Where eSpeak NG's library and data lie, and a path to the data that the library can hold."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import tempfile
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from parley.core.errors import EngineUnavailable
from parley.core.extras import install_hint

LONGEST_DATA_PATH = 120
"""Bytes. eSpeak has 160 for the path of its data, and appends names of its own to it."""


@dataclass(frozen=True, slots=True)
class EspeakFiles:
    """Where the library and its data lie."""

    library: Path
    data: Path


def how_to_install() -> str:
    """For an error's hint."""
    return (
        f"{install_hint('espeak')} eSpeak NG is licensed GPL-3.0-or-later, which is why it is an "
        "extra."
    )


def is_installed() -> bool:
    return importlib.util.find_spec("espeakng_loader") is not None


def installed_files() -> EspeakFiles:
    """The files of the ``espeakng_loader`` wheel; raises ``EngineUnavailable`` without it."""
    if not is_installed():
        raise EngineUnavailable("eSpeak NG is not installed.", hint=how_to_install())
    loader = cast(Any, importlib.import_module("espeakng_loader"))
    return EspeakFiles(Path(loader.get_library_path()), Path(loader.get_data_path()))


class DataFolder:
    """eSpeak's data under a path that it can hold; a link to it is removed at exit."""

    def __init__(self, path: Path, parent: Path | None) -> None:
        self.path = path
        self._finalizer = (
            weakref.finalize(self, shutil.rmtree, parent, ignore_errors=True) if parent else None
        )

    def remove(self) -> None:
        if self._finalizer:
            self._finalizer()


def short_path(data: Path) -> DataFolder:
    if len(os.fsencode(data)) <= LONGEST_DATA_PATH:
        return DataFolder(data, None)
    parent = Path(tempfile.mkdtemp(prefix="espeak-"))
    if len(os.fsencode(parent)) > LONGEST_DATA_PATH // 2:
        parent.rmdir()
        parent = Path(tempfile.mkdtemp(prefix="espeak-", dir="/tmp"))
    link = parent / "espeak-ng-data"
    link.symlink_to(data, target_is_directory=True)
    return DataFolder(link, parent)
