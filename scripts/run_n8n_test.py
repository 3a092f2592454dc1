"""Tests our n8n nodes and workflows in a real n8n, which is installed on the first run.

It lies in TEST_N8N_PLACE, by default a folder parley-n8n in this user's cache. Arguments go to
pytest; without any, all of tests/n8n runs, one part after another. The summary at the end
is Markdown.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from bootstrap import debian

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.n8n.installation import Installation, InstallFailed  # noqa: E402 - it lies beside us
from tests.n8n.orphans import adopt_orphans, end_orphans  # noqa: E402
from tests.n8n.summary import OUTCOMES, Outcome, Part, noted, summary  # noqa: E402

PLACE = "TEST_N8N_PLACE"
LOG = ROOT / ".cache/apt.log"
TESTS = ROOT / "tests/n8n"
# Those that have an n8n of their own run by themselves: two cores have enough to do with one.
OWN_N8N = {
    "the nodes": "test_nodes.py",
    "n8n killed ten times": "test_kills.py",
    "queue mode": "test_queue_mode.py",
}
SERVERS = (
    debian.SystemPart("redis-server", "n8n's queue mode", debian.has_redis),
    debian.SystemPart("postgresql", "n8n's queue mode", debian.has_postgres),
)
_TEARDOWN_LIMIT_S = 120.0


def main(arguments: Sequence[str]) -> int:
    # Set, it would have every server that a test starts compile all its sources again.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = Path(os.environ.get(PLACE) or cache / "parley-n8n").resolve()
    os.environ[PLACE] = str(place)
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    adopt_orphans()
    installation = Installation(place)
    try:
        return _test(installation, arguments)
    except InstallFailed as failure:
        _say(str(failure))
        return 1
    except KeyboardInterrupt:
        _say("interrupted")
        return 130
    finally:
        end_orphans()


def _test(installation: Installation, arguments: Sequence[str]) -> int:
    began_s = time.monotonic()
    if not _bring_system_parts(installation):
        return 1
    parts = [_package(installation)]
    for name, tests in _parts(arguments).items():
        _say(f"testing: {name}")
        parts.append(_run(name, [*arguments, *tests]))
    print(f"\n{summary(parts, time.monotonic() - began_s)}", flush=True)
    return int(not all(part.passed for part in parts))


def _bring_system_parts(installation: Installation) -> bool:
    """Whether we can go on with what Debian has brought: a compiler for n8n's SQLite, and two
    servers. Without those, queue mode is skipped where this isn't continuous integration."""
    wanted = list(SERVERS)
    if not installation.has_n8n():
        wanted += [
            debian.SystemPart("make", "n8n's installation", _has("make")),
            debian.SystemPart("g++", "n8n's installation", _has("g++")),
        ]
    missing = debian.missing_parts(wanted)
    if missing and debian.can_install():
        _say(f"installing {', '.join(part.package for part in missing)}")
        LOG.parent.mkdir(exist_ok=True)
        if not debian.install(missing, LOG):
            _say(f"apt-get failed; what it said is in {LOG}")
        missing = debian.missing_parts(missing)
    for part in missing:
        _say(
            f"without {part.package}, {part.wanted_for} can't run; as root: apt-get install "
            f"{part.package}"
        )
    may_lack = () if os.environ.get("CI") else SERVERS
    return all(part in may_lack for part in missing)


def _has(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program) is not None


def _package(installation: Installation) -> Part:
    """Install what is missing, and build the package: it is checked on the way."""
    began_s = time.monotonic()
    passed = installation.prepare(_say)
    outcomes = [Outcome("unit test", "passed", 0.0)] * passed
    took_s = time.monotonic() - began_s
    return Part("the package: types, n8n's lint rules, unit tests", took_s, outcomes)


def _parts(arguments: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """The tests of each part by its name."""
    if any((ROOT / word.partition("::")[0]).exists() for word in arguments):
        return {"the tests that were named": ()}
    if arguments:
        return {"the tests that were chosen": ("tests/n8n",)}
    files = [file.name for file in sorted(TESTS.glob("test_*.py"))]
    shared = [f"tests/n8n/{name}" for name in files if name not in OWN_N8N.values()]
    own = {name: (f"tests/n8n/{file}",) for name, file in OWN_N8N.items()}
    return {"the workflows, by every way in": shared, **own}


def _run(name: str, arguments: Sequence[str]) -> Part:
    """One run of pytest; what it leaves running is ended, and told."""
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "outcomes"
        status = _pytest(arguments, {**os.environ, OUTCOMES: str(file)})
        outcomes = noted(file)
    problems = [f"it left running: {each}" for each in end_orphans()]
    # 1: a test failed, and is among the outcomes.
    if status not in (0, 1) or not outcomes:
        problems.append(f"pytest ended with status {status}")
    return Part(name, time.monotonic() - began_s, outcomes, "; ".join(problems))


def _pytest(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    options = ("-p", "no:cacheprovider", "--timeout=300")
    command = [sys.executable, "-m", "pytest", *options, *arguments]
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except KeyboardInterrupt:
        # So that it stops what it has started.
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_TEARDOWN_LIMIT_S)
        raise


def _say(line: str) -> None:
    print(f"test-n8n: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
