"""What a run of scripts/test-n8n came to, in Markdown that can be pasted somewhere."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.n8n.installation import NODE_VERSION, RADICALE_VERSION, SOURCES, VERSION
from tests.store import postgres

# Names the file into which the tests write what came of each.
OUTCOMES = "TEST_N8N_OUTCOMES"


@dataclass(frozen=True)
class Outcome:
    """Of one test: ``outcome`` is passed, failed or skipped; ``facts`` are what it measured."""

    test: str
    outcome: str
    took_s: float
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def note(self, file: Path) -> None:
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(asdict(self)) + "\n")


def noted(file: Path) -> list[Outcome]:
    if not file.exists():
        return []
    return [Outcome(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


@dataclass(frozen=True)
class Part:
    """One n8n and the tests that had it. ``problem`` is what went wrong beside the tests."""

    name: str
    took_s: float
    outcomes: Sequence[Outcome]
    problem: str = ""

    @property
    def passed(self) -> bool:
        return not self.problem and self.count("failed") == 0

    def count(self, outcome: str) -> int:
        return Counter(each.outcome for each in self.outcomes)[outcome]


def summary(parts: Sequence[Part], took_s: float) -> str:
    """All of it; the first line says whether it passed."""
    return "\n".join(_lines(parts, took_s))


def _lines(parts: Sequence[Part], took_s: float) -> Iterator[str]:
    verdict = "passed" if all(part.passed for part in parts) else "FAILED"
    skipped = sum(part.count("skipped") for part in parts)
    but = f", {skipped} skipped," if skipped else ""
    yield f"scripts/test-n8n: {verdict}{but} in {_clock(took_s)}"
    yield ""
    yield "; ".join(versions())
    yield ""
    yield "| part | passed | failed | skipped | min:s |"
    yield "|---|---|---|---|---|"
    for part in parts:
        counts = " | ".join(str(part.count(each)) for each in ("passed", "failed", "skipped"))
        yield f"| {part.name} | {counts} | {_clock(part.took_s)} |"
    yield ""
    for part in parts:
        if part.problem:
            yield f"- {part.name}: {part.problem}"
        for each in part.outcomes:
            if each.outcome != "passed":
                yield f"- {each.outcome}: {_title(each)}"
    for part in parts:
        for each in part.outcomes:
            if each.facts:
                told = ", ".join(f"{name} {value}" for name, value in each.facts.items())
                yield f"- {part.name}, {_title(each)}: {told}"


def _title(outcome: Outcome) -> str:
    return outcome.test.removeprefix("test_").replace("_", " ")


def _clock(time_s: float) -> str:
    return f"{int(time_s) // 60}:{int(time_s) % 60:02}"


def versions() -> list[str]:
    package = json.loads((SOURCES / "package.json").read_text("utf-8"))
    known = [
        f"n8n {VERSION}",
        f"Node {NODE_VERSION}",
        f"{package['name']} {package['version']}",
        f"Radicale {RADICALE_VERSION}",
        f"Python {platform.python_version()}",
    ]
    if folder := postgres.programs():
        known.append(f"PostgreSQL {_word(str(folder / 'postgres'), 2)}")
    if redis := shutil.which("redis-server"):
        known.append(f"Redis {_word(redis, 2).removeprefix('v=')}")
    known.append(f"{_system()}, {os.cpu_count()} cores")
    return known


def _word(program: str, number: int) -> str:
    """A word of what it says about its version."""
    shown = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.split()
    return shown[number] if len(shown) > number else "?"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.platform()
