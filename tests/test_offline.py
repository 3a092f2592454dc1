"""``--offline`` never touches the network, and says which engines that leaves out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.offline_house import FAR

pytestmark = pytest.mark.timeout(120)

ROOT = Path(__file__).parents[1]
APART = ("unshare", "--user", "--map-root-user", "--net")
SENTENCE = "it is beyond this network, and Parley is offline"


def require_namespaces() -> None:
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    tried = subprocess.run([*APART, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"network namespaces are not allowed here: {tried.stderr.strip()}")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen of an offline Parley where there is no way out."""
    require_namespaces()
    folder = tmp_path_factory.mktemp("offline")
    done = subprocess.run(
        [*APART, sys.executable, "-m", "tests.offline_house", str(folder)],
        cwd=ROOT,
        env={**os.environ, **FAR, "PARLEY_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_even_tries_to_leave_this_machine(seen: dict[str, Any]) -> None:
    assert seen["counted_knocks"] == 2

    assert seen["attempts_serving"] == 0
    assert seen["attempts_of_commands"] == 0


def test_the_house_opens_and_far_engines_are_passed_over(seen: dict[str, Any]) -> None:
    log = "\n".join(seen["log"])

    assert seen["engines_serving"] == {"stt": "builtin", "llm": "scripted", "tts": "builtin"}
    assert seen["health"]["status"] == "healthy"
    for far in ("speaches", "deepgram", "openai", "ollama"):
        assert f"{far} ({SENTENCE})" in log
    assert "[error" not in log and "[warning" not in log


def test_the_table_of_engines_tells_the_same_with_the_cure(seen: dict[str, Any]) -> None:
    table = seen["engines"]["out"]

    assert seen["engines"]["code"] == 0, seen["engines"]["err"]
    for far in ("stt   speaches", "stt   deepgram", "llm   openai", "tts   openai"):
        (row,) = [line for line in table.splitlines() if line.startswith(f"{far} ")][:1]
        assert f"no: {SENTENCE}" in row
    assert "llm openai: Start without --offline (PARLEY_OFFLINE) to use openai." in table


def test_far_models_are_not_listed_and_none_is_fetched(seen: dict[str, Any]) -> None:
    assert f"ollama: {SENTENCE}." in seen["models"]["err"]
    assert "whisper:small" in seen["models"]["out"]

    assert seen["pull"]["code"] == 2
    assert "Nothing is fetched while offline." in seen["pull"]["err"]
