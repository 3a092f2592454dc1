"""``python -m bench.watched FILE …`` is ``parley …``, and writes into FILE how many tasks its event
loop has whenever it gets SIGUSR2."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from parley.cli import main


def teller(file: Path) -> Callable[[int, FrameType | None], None]:
    """What is done on the signal."""

    def tell(_number: int, _frame: FrameType | None) -> None:
        # The signal comes in the main thread, and that is where the loop runs.
        partial = file.with_suffix(".part")
        partial.write_text(str(len(asyncio.all_tasks())))
        partial.rename(file)

    return tell


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, teller(Path(sys.argv.pop(1))))
    sys.exit(main())
