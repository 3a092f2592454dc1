"""Becomes ``python -m bench`` in a prepared checkout; without a name it lists the benches."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if __name__ == "__main__":
    # The caller's folder stays the current one, so that --json FILE lands there.
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.execv(sys.executable, [sys.executable, "-m", "bench", *(sys.argv[1:] or ["--help"])])
