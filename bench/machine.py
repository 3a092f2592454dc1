"""What else this machine is doing: figures taken beside other work are worth little."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Busy:
    """Processor time used on the whole machine so far, and stolen from it by its host."""

    used_s: float
    stolen_s: float


def busy() -> Busy:
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(field) / _TICKS_PER_S for field in Path("/proc/stat").read_text().split()[1:9]
    )
    return Busy(user + nice + system + irq + softirq, steal)


def describe() -> str:
    """One line for the table's head."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    else:
        model = platform.machine()
    return f"{model}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
