"""Prepares this checkout for one verb (serve, test, check, bench …), then becomes that verb.

Standard library only: this runs before anything is installed. A start with nothing changed
compares a few digests and goes straight on.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bootstrap.checkout import Checkout, Needs
from bootstrap.progress import Progress, SetupFailed, explain_os_error

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = "PARLEY_EXTRAS"


@dataclass(frozen=True)
class Verb:
    """A script: what it needs, what in .venv/bin it becomes, how it is used."""

    needs: Needs
    command: tuple[str, ...]
    usage: str


_DEV = frozenset({"dev"})
# What the tests need and nothing of hundreds of megabytes: extras for real voices and models on a
# GPU are for those who name them.
_TESTED = frozenset({"espeak", "llama", "mcp", "postgres", "redis", "whisper"})
VERBS = {
    "serve": Verb(
        Needs(extras=frozenset({"espeak", "mcp"})),
        ("parley", "serve"),
        "scripts/serve [OPTIONS]: prepare this checkout, then start Parley.\n"
        "PARLEY_EXTRAS=whisper,llama scripts/serve also installs what those engines need; later\n"
        "starts keep it. PARLEY_EXTRAS=none goes back to what every start installs.\n"
        "Parley's own options are listed here once the checkout is prepared.",
    ),
    "test": Verb(
        Needs(groups=_DEV, extras=_TESTED, page_tools=True),
        ("python", str(ROOT / "scripts/run_tests.py")),
        "scripts/test [PYTEST ARGUMENTS]: prepare, run scripts/check, then pytest.\n"
        "With arguments that name tests, only those run. CI=true lets nothing be skipped.",
    ),
    "check": Verb(
        Needs(groups=_DEV, extras=_TESTED, page_tools=True),
        ("python", str(ROOT / "scripts/run_checks.py")),
        "scripts/check [--fix]: prepare, then run the linters and type checkers.",
    ),
    "bench": Verb(
        Needs(groups=_DEV, extras=_TESTED, page=False),
        ("python", str(ROOT / "scripts/run_bench.py")),
        "scripts/bench NAME [--json FILE]: prepare, then measure.",
    ),
    "test-stack": Verb(
        Needs(groups=_DEV, extras=_TESTED, page=False),
        ("python", str(ROOT / "scripts/run_stack_test.py")),
        "scripts/test-stack [--keep]: prepare, then test docker-compose.yml with a spoken call.",
    ),
    "test-n8n": Verb(
        Needs(groups=_DEV, extras=_TESTED, page=False),
        ("python", str(ROOT / "scripts/run_n8n_test.py")),
        "scripts/test-n8n [PYTEST ARGUMENTS]: prepare, install a real n8n (2 GB, once), then test\n"
        "our nodes and workflows in it. It lies in TEST_N8N_PLACE, else in ~/.cache/parley-n8n.",
    ),
    "test-opensips": Verb(
        Needs(groups=_DEV, extras=_TESTED, page=False),
        ("python", str(ROOT / "scripts/run_opensips_test.py")),
        "scripts/test-opensips [--opensips PREFIX]... [PYTEST ARGUMENTS]: prepare, then test\n"
        "deploy/opensips with the OpenSIPS installed below each prefix; says how to build one.",
    ),
}


def main(arguments: Sequence[str]) -> int:
    """Return an exit status when set-up fails; otherwise never return."""
    verb = VERBS[arguments[0]]
    options = list(arguments[1:])
    checkout = Checkout(ROOT)
    named = os.environ.pop(EXTRAS, "")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        needs = with_extras(verb.needs, named, checkout)
        if not checkout.is_prepared(needs):
            if options and options[0] in ("-h", "--help"):
                print(verb.usage)
                return 0
            # Not above: it brings the network in, which a start with nothing changed never needs.
            from bootstrap.setup_steps import SetUp

            home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home() raises without one
            SetUp(checkout, os.environ, home, Progress(sys.stderr)).prepare(needs)
        program = checkout.venv / "bin" / verb.command[0]
        os.execv(program, [str(program), *verb.command[1:], *options])
    except SetupFailed as failure:
        return _stop(failure)
    except OSError as error:
        return _stop(explain_os_error(error))
    except KeyboardInterrupt:
        print("parley: interrupted; the next start goes on from here", file=sys.stderr)
        return 130


def with_extras(needs: Needs, named: str, checkout: Checkout) -> Needs:
    """What is needed together with the extras that PARLEY_EXTRAS names.

    What was installed once stays: only ``none`` forgets it.
    """
    wanted = {name for name in named.replace(",", " ").split() if name}
    if wanted == {"none"}:
        checkout.forget()
        return needs
    known = {flag.partition("=")[2] for flag in checkout.known_flags("extra")}
    if unknown := sorted(wanted - known):
        raise SetupFailed(
            f"{EXTRAS} names {', '.join(unknown)}, which is no extra of Parley",
            f"name some of {', '.join(sorted(known))}, with commas between",
        )
    return replace(needs, extras=needs.extras | wanted)


def _stop(failure: SetupFailed) -> int:
    if failure.details:
        print(failure.details, file=sys.stderr)
    print(f"parley: {failure}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
