"""``python -m pipecat_server.main``: Parley with RustPBX's listener on.

It works from the folder above this one and from within it. The settings are in ``.env`` beside
this file, the one that is a copy of ``.env.example``; options are those of ``parley serve``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

FOLDER = "pipecat_server"
ENV_FILE = ".env"


def main(arguments: Sequence[str]) -> int:
    """Start it; the exit code is that of ``parley serve``."""
    try:
        from parley.cli import main as parley
    except ModuleNotFoundError as error:
        if error.name != "parley":
            raise
        print(
            "pipecat_server: Parley is not installed for this Python. In the folder "
            f"{FOLDER}: pip install -r requirements.txt",
            file=sys.stderr,
        )
        return 2
    if (Path(FOLDER) / ENV_FILE).is_file():
        # What .env names (a log file, a folder of agents) lies beside it.
        os.chdir(FOLDER)
    return parley(["serve", "--rustpbx", "on", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
