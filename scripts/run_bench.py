"""Runs one of the benches in bench/, or lists them."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str]) -> int:
    benches = known_benches(ROOT / "bench")
    if not arguments or arguments[0] in ("-h", "--help"):
        print("scripts/bench NAME [--json FILE], where NAME is one of:")
        print("\n".join(f"  {name:12} {purpose}" for name, purpose in benches.items()))
        return 0
    if arguments[0] not in benches:
        names = ", ".join(benches) or "none yet"
        print(f"parley: no bench is called {arguments[0]}; there are: {names}", file=sys.stderr)
        return 2
    return _become_bench(arguments)


def _become_bench(arguments: Sequence[str]) -> NoReturn:
    # The caller's folder stays the current one, so that --json FILE lands there.
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    os.execv(sys.executable, [sys.executable, "-m", "bench", *arguments])


def known_benches(folder: Path) -> dict[str, str]:
    """Name and purpose of each bench: every module of the folder that has a ``main``."""
    found: dict[str, str] = {}
    for file in sorted(folder.glob("[a-z]*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        functions = (ast.FunctionDef, ast.AsyncFunctionDef)
        if any(isinstance(node, functions) and node.name == "main" for node in tree.body):
            found[file.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
