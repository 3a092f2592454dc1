"""Tests our n8n nodes and workflows in a real n8n, which is installed on the first run.

It lies in TEST_N8N_PLACE, by default a folder parley-n8n in this user's cache. Arguments go to
pytest; unless they name tests, all of tests/n8n runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.n8n.installation import Installation, InstallFailed  # noqa: E402 - it lies beside us

PLACE = "TEST_N8N_PLACE"


def main(arguments: Sequence[str]) -> int:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = Path(os.environ.get(PLACE) or cache / "parley-n8n").resolve()
    try:
        Installation(place).prepare(_say)
    except InstallFailed as failure:
        _say(str(failure))
        return 1
    os.chdir(ROOT)
    os.environ[PLACE] = str(place)
    options = ("-p", "no:cacheprovider", "--timeout=300")
    names_tests = any((ROOT / word.partition("::")[0]).exists() for word in arguments)
    chosen = arguments if names_tests else [*arguments, "tests/n8n"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *chosen]).returncode


def _say(line: str) -> None:
    print(f"test-n8n: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
