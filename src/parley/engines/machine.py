"""What this machine has: cores and GPU memory, as this process may use them.

Affinity and the cgroup's quota bound the cores; CUDA_VISIBLE_DEVICES chooses the GPUs.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from parley.settings import usable_cores, visible_gpus

CGROUP = Path("/sys/fs/cgroup")
NVIDIA_SMI_LIMIT_S = 4.0


@dataclass(frozen=True, slots=True)
class Machine:
    """Cores that this process may use, and the free memory of each GPU in MB."""

    cores: int
    gpu_free_mb: tuple[int, ...] = ()

    @classmethod
    def measure(cls) -> Machine:
        """Asks the system; takes a moment where there is a GPU, so don't call it in a loop."""
        return cls(counted_cores(), gpu_memory())


def counted_cores(cgroup: Path = CGROUP) -> int:
    """Cores of this process: its affinity, and no more than its cgroup's quota pays for."""
    return max(1, min(usable_cores(), _quota(cgroup)))


def _quota(cgroup: Path) -> int:
    """Cores by cgroup v2's ``cpu.max`` or v1's quota; very many where there is none."""
    try:
        words = (cgroup / "cpu.max").read_text().split()
    except OSError:
        words = [_read(cgroup / "cpu/cpu.cfs_quota_us"), _read(cgroup / "cpu/cpu.cfs_period_us")]
    try:
        quota, period = int(words[0]), int(words[1])
    except (ValueError, IndexError):
        return 1 << 20
    return math.ceil(quota / period) if quota > 0 and period > 0 else 1 << 20


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def gpu_memory(command: str = "nvidia-smi") -> tuple[int, ...]:
    """Free memory of each NVIDIA GPU that CTranslate2 can use, in MB and in CUDA's order; () where
    there is none."""
    program = shutil.which(command)
    if program is None or not gpu_count():
        return ()
    ask = [program, "--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=NVIDIA_SMI_LIMIT_S)
        free = memory_of(done.stdout, visible_gpus()) if done.returncode == 0 else ()
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ()
    return free[: gpu_count()]


def memory_of(listing: str, visible: Sequence[str] | None) -> tuple[int, ...]:
    """The memory of the GPUs that CUDA shows. nvidia-smi lists all: lines of number, UUID, MB.

    ``visible`` holds numbers and beginnings of UUIDs, as CUDA_VISIBLE_DEVICES does; like CUDA, it
    is read up to the first that is none of these (a slice of a GPU, say). Raises ``ValueError``.
    """
    rows = [[cell.strip() for cell in line.split(",")] for line in listing.splitlines() if line]
    gpus = [(number, uuid, int(free)) for number, uuid, free in rows]
    if visible is None:
        return tuple(free for _, _, free in gpus)
    found: list[int] = []
    for name in visible:
        is_uuid = name.startswith("GPU-")
        fits = (
            free for at, uuid, free in gpus if at == name or (is_uuid and uuid.startswith(name))
        )
        free = next(fits, None)
        if free is None:
            break
        found.append(free)
    return tuple(found)


def gpu_count() -> int:
    """How many GPUs CTranslate2 can use; 0 without it."""
    if importlib.util.find_spec("ctranslate2") is None:
        return 0
    library = cast(Any, importlib.import_module("ctranslate2"))
    return int(library.get_cuda_device_count())
