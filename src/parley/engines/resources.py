"""What this machine can give to engines that run in it, and who gets how much.

A ``Budget`` hands the cores and the GPU memory out: the threads of all engines together are never
more than the cores, but for one thread that each engine needs to run at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

from pydantic import Field

from parley.engines.machine import Machine
from parley.engines.spec import EngineOptions

Device = Literal["auto", "cpu", "cuda"]
CORES_TO_SPARE_ONE = 4
SPARE_GPU_MB = 512
"""Left free on a GPU, for what a model needs beside its weights in somebody else's hands."""


class LocalOptions(EngineOptions):
    """What every engine that runs in this process lets one say of cores and the GPU."""

    device: Device = Field(
        "auto", description="cpu, cuda, or auto: a GPU where one has enough free memory."
    )
    compute_type: str = Field(
        "auto", description="The kind of number it computes with: auto, int8, float16, float32 …"
    )
    threads: int | None = Field(
        None, ge=1, le=256, description="Threads per worker; by default its share of the cores."
    )
    workers: int | None = Field(
        None, ge=1, le=64, description="How many requests are worked on at the same time."
    )
    max_concurrent: int | None = Field(
        None, ge=1, le=1024, description="Requests beyond this wait in line; by default: workers."
    )


@dataclass(frozen=True, slots=True)
class Demand:
    """What one engine would like. ``weight`` is its part of the cores against the others'.

    ``gpu_mb`` is what its model takes there; 0 for an engine that can't use a GPU. Options that
    were set are taken as they are.
    """

    name: str
    weight: int
    options: LocalOptions
    gpu_mb: int = 0
    threads_per_worker: int = 4
    """More threads than this per worker bring it little; further cores make further workers."""
    most_workers: int = 4


@dataclass(frozen=True, slots=True)
class Share:
    """What one engine got."""

    device: Literal["cpu", "cuda"] = "cpu"
    device_index: int = 0
    compute_type: str = "int8"
    threads: int = 1
    workers: int = 1
    max_concurrent: int = 1

    def __str__(self) -> str:
        """For the start-up table."""
        where = f"GPU {self.device_index}" if self.device == "cuda" else "CPU"
        each = f"{self.threads} thread{'s' * (self.threads > 1)}"
        at_once = f"{self.max_concurrent} at once"
        workers = f"{self.workers} × {each}" if self.workers > 1 else each
        return f"{where} {self.compute_type}, {workers}, {at_once}"


@runtime_checkable
class UsesResources(Protocol):
    """An engine that computes in this process. It is given its share before it is warmed up."""

    def demand(self) -> Demand: ...

    def take(self, share: Share) -> None: ...

    @property
    def share(self) -> Share | None:
        """None while it has none."""
        ...


class Budget:
    """Hands out one machine's cores and GPU memory."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        # One core carries the calls themselves, where there are enough.
        self._free_cores = machine.cores - (machine.cores >= CORES_TO_SPARE_ONE)
        self._free_mb = list(machine.gpu_free_mb)

    @property
    def machine(self) -> Machine:
        return self._machine

    def share_out(self, demands: Sequence[Demand]) -> list[Share]:
        """One share per demand, in their order; what earlier ones got stays theirs."""
        on_cpu: list[int] = []
        shares: list[Share] = []
        for index, demand in enumerate(demands):
            gpu = self._gpu_for(demand)
            if gpu is None:
                on_cpu.append(index)
                shares.append(Share())
            else:
                shares.append(_gpu_share(demand.options, gpu))
        cores = self._divide([demands[index] for index in on_cpu])
        for index, count in zip(on_cpu, cores, strict=True):
            shares[index] = _cpu_share(demands[index], count)
        taken = sum(share.threads * share.workers for share in shares if share.device == "cpu")
        self._free_cores = max(0, self._free_cores - taken)
        return shares

    def _gpu_for(self, demand: Demand) -> int | None:
        """The GPU with the most room, if the engine wants one and fits."""
        wish = demand.options.device
        if wish == "cpu" or not demand.gpu_mb or not self._free_mb:
            # Asked for a GPU that isn't there, the engine fails when it loads, and says so.
            return 0 if wish == "cuda" and demand.gpu_mb else None
        best = max(range(len(self._free_mb)), key=self._free_mb.__getitem__)
        if wish == "auto" and self._free_mb[best] < demand.gpu_mb + SPARE_GPU_MB:
            return None
        self._free_mb[best] -= demand.gpu_mb
        return best

    def _divide(self, demands: Sequence[Demand]) -> list[int]:
        """The free cores by weight, at least one each; set threads and workers come first."""
        if not demands:
            return []
        counts = [_set_cores(demand) for demand in demands]
        free = self._free_cores - sum(count or 0 for count in counts)
        open_ones = [index for index, count in enumerate(counts) if count is None]
        weights = sum(demands[index].weight for index in open_ones)
        rest = max(free, len(open_ones))
        given = [count or 1 for count in counts]
        for index in open_ones:
            given[index] = max(1, rest * demands[index].weight // weights)
        over = sum(given[index] for index in open_ones) - rest
        for index in sorted(open_ones, key=lambda each: -given[each]):
            cut = min(over, given[index] - 1)
            given[index] -= cut
            over -= cut
        return given


class MachineShares:
    """Divides this machine among the engines of a house. It is measured when the first one asks."""

    def __init__(self, budget: Budget | None = None) -> None:
        self._budget = budget
        self._sharing = asyncio.Lock()

    async def among(self, engines: Sequence[object]) -> None:
        """Give every engine that computes here and has no share yet its share."""
        async with self._sharing:
            waiting = [e for e in engines if isinstance(e, UsesResources) and e.share is None]
            if not waiting:
                return
            if self._budget is None:
                self._budget = Budget(await asyncio.to_thread(Machine.measure))
            shares = self._budget.share_out([engine.demand() for engine in waiting])
            for engine, share in zip(waiting, shares, strict=True):
                engine.take(share)


def share_of(engine: object) -> str:
    """For the start-up table; "" for an engine that computes elsewhere, or has no share yet."""
    return str(engine.share) if isinstance(engine, UsesResources) and engine.share else ""


def _set_cores(demand: Demand) -> int | None:
    """The cores that the options ask for, where they say so."""
    options = demand.options
    if options.threads is None:
        return None
    return options.threads * (options.workers or 1)


def _cpu_share(demand: Demand, cores: int) -> Share:
    options = demand.options
    workers = options.workers or max(
        1, min(demand.most_workers, round(cores / demand.threads_per_worker))
    )
    threads = options.threads or max(1, cores // workers)
    share = Share(threads=threads, workers=workers, max_concurrent=workers)
    return _as_set(share, options, "int8")


def _gpu_share(options: LocalOptions, gpu: int) -> Share:
    workers = options.workers or 1
    share = Share("cuda", gpu, workers=workers, max_concurrent=workers)
    return _as_set(share, options, "int8_float16")


def _as_set(share: Share, options: LocalOptions, compute_type: str) -> Share:
    if options.compute_type != "auto":
        compute_type = options.compute_type
    most = options.max_concurrent or share.max_concurrent
    return replace(share, compute_type=compute_type, max_concurrent=most)
