"""Models on this machine's disk: found, fetched with progress, removed.

A model is a folder of its own, ``FOLDER/NAME``. While it is fetched it is ``FOLDER/.NAME.part``, in
which every file goes on where an interrupted download stopped; it gets its name when all of it is
there and its sizes and checksums are right, so a folder with that name is always whole.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import re
import shutil
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import httpx

from parley.core.errors import BadRequest, EngineUnavailable, NotFound
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.engines.keeper import Model, PullProgress
from parley.engines.remote.file_download import FileDownload, RemoteFile

log = get_logger(__name__)

LOCK = ".lock"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)?")
SPARE_BYTES = 50_000_000
"""What a download leaves free on the disk."""


class ModelSource(Protocol):
    """Where a model can be fetched from. ``bytes`` is about its size; 0 where nobody knows."""

    @property
    def bytes(self) -> int: ...

    async def files(self, client: httpx.AsyncClient) -> Sequence[RemoteFile]:
        """What the model is made of. Raises ``EngineUnavailable`` or ``NotFound``."""
        ...


@dataclass(frozen=True)
class ModelFiles:
    """The models of one engine.

    ``known`` are those that it can fetch, by name; ``needs`` names the files (patterns) without
    which a folder is no model. A model's name may also be the path of a folder, or a repository
    (``owner/name``) where ``from_repo`` is given.
    """

    engine: str
    folder: Path
    known: Mapping[str, ModelSource]
    needs: Sequence[str]
    from_repo: Callable[[str], ModelSource] | None = None

    def path(self, model: str) -> Path:
        """Where the model is, or would be."""
        if is_path(model):
            return Path(model).expanduser()
        if not _NAME.fullmatch(model):
            raise BadRequest(
                f"{model!r} is no model's name.",
                hint="Name a known model, a repository (owner/name) or a folder (/path/to/it).",
            )
        return self.folder / model.replace("/", "--")

    def has(self, model: str) -> bool:
        return self._is_whole(self.path(model))

    def models(self) -> list[Model]:
        """Those that are here, and those that could be fetched."""
        found = [Model(name, source.bytes, self.has(name)) for name, source in self.known.items()]
        named = {self.path(name) for name in self.known}
        others = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        for folder in others:
            is_named = folder in named or folder.name.startswith(".")
            if not is_named and self._is_whole(folder):
                found.append(Model(folder.name.replace("--", "/"), _bytes_in(folder)))
        return found

    def _is_whole(self, folder: Path) -> bool:
        return all(any(folder.glob(pattern)) for pattern in self.needs)

    def pull_command(self, model: str) -> str:
        return f"parley models pull {self.engine}:{model}"

    def source_of(self, model: str) -> ModelSource:
        """Where the model can be fetched from. Raises ``NotFound``."""
        if model in self.known:
            return self.known[model]
        if self.from_repo and "/" in model and not is_path(model):
            return self.from_repo(model)
        hint = did_you_mean(model, self.known)
        if is_path(model):
            hint = "Nothing can be fetched into a folder that you name: put the model there."
        raise NotFound(f"The engine {self.engine} knows no model {model!r}.", hint=hint)

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        """Fetch a model, going on where an earlier try stopped. Closing the iterator stops it."""
        source = self.source_of(model)
        if self.has(model):
            yield PullProgress(model, source.bytes, source.bytes, "already here")
            return
        part = self.folder / f".{self.path(model).name}.part"
        with _disk_told(self.folder):
            part.mkdir(parents=True, exist_ok=True)
        with self._alone(part, model):
            async with (
                httpx.AsyncClient(follow_redirects=True, timeout=httpx.Timeout(30.0)) as client,
                aclosing(self._fetch(client, model, source, part)) as steps,
            ):
                async for step in steps:
                    yield step
            self._put_in_place(model, part)
        log.info("model_fetched", engine=self.engine, model=model)

    async def remove(self, model: str) -> None:
        folder = self.path(model)
        part = self.folder / f".{folder.name}.part"
        if is_path(model) or not (folder.is_dir() or part.is_dir()):
            hint = "Remove that folder yourself." if is_path(model) else "See: parley models list"
            raise NotFound(f"There is no model {self.engine}:{model} to remove.", hint=hint)
        for each in (folder, part):
            await asyncio.to_thread(shutil.rmtree, each, ignore_errors=True)

    async def _fetch(
        self, client: httpx.AsyncClient, model: str, source: ModelSource, part: Path
    ) -> AsyncGenerator[PullProgress]:
        files = await source.files(client)
        total = sum(file.bytes for file in files)
        downloads = [FileDownload(file, part / file.path) for file in files]
        done = sum(download.here_bytes() for download in downloads)
        _require_space(self.folder, total - done)
        done = 0
        for download in downloads:
            async with aclosing(download.run(client)) as counts:
                async for count in counts:
                    yield PullProgress(model, done + count, total, download.file.path)
            done += download.here_bytes()
        yield PullProgress(model, done, total)

    def _put_in_place(self, model: str, part: Path) -> None:
        folder = self.path(model)
        missing = [pattern for pattern in self.needs if not any(part.glob(pattern))]
        if missing:
            raise EngineUnavailable(
                f"What was fetched as {model} is no model for {self.engine}: it has no "
                f"{', '.join(missing)}.",
                hint="Name a model that was made for this engine.",
            )
        for leftover in [part / LOCK, *part.rglob("*.partial")]:
            leftover.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)

    @contextmanager
    def _alone(self, part: Path, model: str) -> Generator[None]:
        with _disk_told(self.folder), (part / LOCK).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise EngineUnavailable(
                    f"{self.engine}:{model} is being fetched already.", hint="Wait for it."
                ) from error
            yield


class KeepsFiles:
    """The part of an engine whose models are such files. Implements ``ModelKeeper``."""

    def __init__(self, files: ModelFiles) -> None:
        self._files = files

    async def models(self) -> Sequence[Model]:
        return await asyncio.to_thread(self._files.models)

    async def pull(self, model: str) -> AsyncGenerator[PullProgress]:
        async with aclosing(self._files.pull(model)) as steps:
            async for step in steps:
                yield step

    async def remove(self, model: str) -> None:
        await self._files.remove(model)


def is_path(model: str) -> bool:
    """Whether a model's name is the path of a folder: absolute, or with a dot or ~ in front."""
    return model.startswith(("/", "./", "../", "~"))


@contextmanager
def _disk_told(folder: Path) -> Generator[None]:
    """Raises ``EngineUnavailable`` for what the disk refuses."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _disk_full(folder, 0) from error
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENOTDIR):
            raise EngineUnavailable(
                f"Nothing can be written to {folder} ({error.strerror}).",
                hint="Let Parley's user write there, or set PARLEY_DATA_DIR.",
            ) from error
        raise


def _require_space(folder: Path, wanted_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if wanted_bytes > 0 and free < wanted_bytes + SPARE_BYTES:
        raise _disk_full(folder, wanted_bytes)


def _disk_full(folder: Path, wanted_bytes: int) -> EngineUnavailable:
    free = shutil.disk_usage(folder).free // 1_000_000
    needed = (
        f": {wanted_bytes // 1_000_000} MB are needed, {free} MB are free" if wanted_bytes else ""
    )
    return EngineUnavailable(
        f"The disk of {folder} is full{needed}.",
        hint="Make room (parley models list, parley models remove), or set PARLEY_DATA_DIR to a "
        "larger disk.",
    )


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
