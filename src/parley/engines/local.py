"""What engines that compute in this process have in common: options, models, shares, threads."""

from __future__ import annotations

import asyncio
import importlib.util
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import Field

from parley.core.errors import EngineUnavailable, ModelMissing
from parley.core.extras import install_hint
from parley.core.log import get_logger
from parley.engines.machine import Machine, counted_cores, gpu_count
from parley.engines.model_files import KeepsFiles, ModelFiles
from parley.engines.resources import Budget, Demand, LocalOptions, MachineShares, Share
from parley.engines.spec import Status
from parley.settings import data_folder

log = get_logger(__name__)

LoadedT = TypeVar("LoadedT")

MODELS = "models"


class LocalModelOptions(LocalOptions):
    """Options of an engine that runs a model from this machine's disk."""

    model: str = Field("", description="A model's name, a repository or a folder.")
    data_dir: Path = Field(
        default_factory=data_folder, description="Models are in its folder `models`."
    )


class LocalEngine(KeepsFiles, ABC, Generic[LoadedT]):
    """The part of an engine that keeps models on disk and computes on a share of the machine.

    Implements ``ModelKeeper`` and ``UsesResources``. The model is loaded when it is first needed,
    once; ``LoadedT`` is what came of that.
    """

    def __init__(
        self, options: LocalModelOptions, files: ModelFiles, package: str, extra: str
    ) -> None:
        super().__init__(files)
        self._settings = options
        self._package = package
        self._extra = extra
        self._share: Share | None = None
        self._loaded: LoadedT | None = None
        self._loading = asyncio.Lock()

    # ── the model ────────────────────────────────────────────────────────────────────────────

    @abstractmethod
    def _open(self, folder: Path, share: Share) -> LoadedT:
        """Load the model; runs in a thread. Raises ``EngineUnavailable``."""

    @abstractmethod
    def _shut(self, loaded: LoadedT) -> None:
        """End what ``_open`` began; runs in a thread, and may wait for work at hand."""

    async def _load(self) -> LoadedT:
        async with self._loading:
            if self._loaded is None:
                folder = await asyncio.to_thread(self._model_folder)
                share = await self._own_share()
                self._loaded = await asyncio.to_thread(self._open, folder, share)
                log.info(
                    "model_loaded", engine=self._files.engine, folder=folder.name, share=str(share)
                )
            return self._loaded

    async def close(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            await asyncio.to_thread(self._shut, loaded)

    @property
    def has_model(self) -> bool:
        """Whether the model that it is to use is on disk."""
        return self._files.has(self._settings.model)

    # ── resources ────────────────────────────────────────────────────────────────────────────

    @property
    def share(self) -> Share | None:
        return self._share

    def take(self, share: Share) -> None:
        self._share = share

    @abstractmethod
    def demand(self) -> Demand:
        """What it would like to have of the machine."""

    async def _own_share(self) -> Share:
        """Its share; where nobody divided the machine, it is alone on it."""
        if self._share is None:
            await MachineShares().among([self])
        return self._share or Share()

    def _places(self) -> int:
        """How many requests are to be let in at a time, also before it has its share."""
        if self._share is not None:
            return self._share.max_concurrent
        alone = Budget(Machine(counted_cores()))
        return alone.share_out([self.demand()])[0].max_concurrent

    # ── readiness ────────────────────────────────────────────────────────────────────────────

    async def check(self) -> Status:
        return await asyncio.to_thread(self._check)

    def _check(self) -> Status:
        if not is_installed(self._package):
            return Status(False, f"{self._package} is not installed", install_hint(self._extra))
        model = self._settings.model
        if not self._files.has(model):
            detail = f"its model {model} is not on this machine"
            hint = f"Fetch it: {self._files.pull_command(model)}"
            return Status(False, detail, hint, missing_model=model)
        if self._settings.device == "cuda" and not gpu_count():
            hint = "Install NVIDIA's driver, or set device: cpu."
            return Status(False, "there is no GPU that it could use", hint)
        return Status(True, f"{model}, {self._share}" if self._share else model)

    def _model_folder(self) -> Path:
        """Raises ``EngineUnavailable`` or ``ModelMissing`` when it can't be loaded."""
        status = self._check()
        if status.missing_model:
            raise ModelMissing(
                f"{self._files.engine}: {status.detail}.",
                model=status.missing_model,
                hint=status.hint,
            )
        if not status.ok:
            raise EngineUnavailable(f"{self._files.engine}: {status.detail}.", hint=status.hint)
        return self._files.path(self._settings.model)

    def _model_mb(self) -> int:
        """About what the model takes in memory."""
        folder = self._files.path(self._settings.model)
        here = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        known = self._files.known.get(self._settings.model)
        return (here or (known.bytes if known else 0)) // 1_000_000


def load_failure(folder: Path, error: Exception) -> EngineUnavailable:
    """The error for a model that a runtime won't take."""
    return EngineUnavailable(
        f"The model in {folder} can't be loaded: {error}",
        hint="Try device: cpu and compute_type: auto; if it stays so, remove the model and "
        "pull it again.",
    )


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
