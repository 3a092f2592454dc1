"""Writes every workflow, or with ``--check`` says which files are not what they should be."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from make_workflows.book import all_workflows

FOLDER = Path(__file__).resolve().parent.parent / "workflows"


def main() -> int:
    wanted = {
        FOLDER / f"{name}.json": json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        for name, made in all_workflows().items()
    }
    if "--check" in sys.argv:
        kept = {path: path.read_text(encoding="utf-8") for path in FOLDER.rglob("*.json")}
        wrong = sorted(
            path.name for path in kept.keys() | wanted if kept.get(path) != wanted.get(path)
        )
        if wrong:
            print(
                f"not as made here: {', '.join(wrong)}; run python -m make_workflows in deploy/n8n"
            )
        return int(bool(wrong))
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(FOLDER.parent))
    return 0


if __name__ == "__main__":
    sys.exit(main())
