"""The Docker files, checked against the Compose schema and against the code.

No Docker engine runs here: ``scripts/test-stack`` starts the stack where there is one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from parley.cli.commands import build_parser
from parley.settings import setting_facts

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
MODES = ("cpu", "cuda", "cuda-cdi")
HOST_NETWORK = ROOT / "deploy/compose.host-network.yaml"
FILES = [COMPOSE, *(ROOT / f"deploy/speaches/compose.{mode}.yaml" for mode in MODES)]

_NAMES = {fact.name for fact in setting_facts()}


class _ComposeLoader(yaml.SafeLoader):
    """Reads Compose's own tags as what they stand for: nothing."""


_ComposeLoader.add_constructor("!reset", lambda loader, node: None)


def compose(file: Path) -> dict[str, Any]:
    return yaml.load(file.read_text(), _ComposeLoader)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_compose_file_keeps_to_the_schema_of_the_compose_specification(file: Path) -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).parent / "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            file,
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_speaches_is_a_file_with_that_service(mode: str) -> None:
    extends = compose(COMPOSE)["services"]["speaches"]["extends"]

    file = ROOT / re.sub(r"\$\{SPEACHES_MODE:-cpu\}", mode, extends["file"])

    assert compose(file)["services"][extends["service"]]["image"].startswith("ghcr.io/speaches-ai/")


def test_every_variable_of_the_stack_is_a_setting() -> None:
    used = set(re.findall(r"\$\{(\w+)", COMPOSE.read_text()))
    given = set(compose(COMPOSE)["services"]["parley"]["environment"])
    changed = set(compose(HOST_NETWORK)["services"]["parley"]["environment"])

    assert used - _NAMES == {"SPEACHES_MODE"}
    assert given | changed <= _NAMES


def test_the_stack_waits_for_healthy_engines_and_keeps_what_they_fetched() -> None:
    stack = compose(COMPOSE)
    services = stack["services"]

    assert {
        name: needs["condition"] for name, needs in services["parley"]["depends_on"].items()
    } == {"speaches": "service_healthy", "ollama": "service_healthy"}
    assert {"speaches-models", "ollama-models", "parley-data"} == set(stack["volumes"])
    (kept,) = services["speaches"]["volumes"]
    assert kept.startswith("speaches-models:/")
    assert kept.endswith("/.cache/huggingface/hub")
    (kept,) = services["ollama"]["volumes"]
    assert kept.startswith("ollama-models:/")
    assert kept.endswith("/.ollama")
    assert services["parley"]["volumes"] == ["parley-data:/var/lib/parley"]
    for service in ("speaches", "ollama"):
        assert "healthcheck" in services[service]


def test_nothing_is_published_beyond_this_machine() -> None:
    for file in (COMPOSE, HOST_NETWORK):
        for name, service in compose(file)["services"].items():
            for port in service.get("ports") or ():
                assert port.startswith("127.0.0.1:"), f"{file.name}: {name} publishes {port}"


def test_live_calls_may_finish_before_compose_kills_the_server() -> None:
    grace = compose(COMPOSE)["services"]["parley"]["stop_grace_period"]
    drain_s = next(fact.default for fact in setting_facts() if fact.name == "PARLEY_DRAIN_S")

    assert float(grace.removesuffix("s")) > float(drain_s)


def test_the_image_fits_the_code() -> None:
    text = (ROOT / "Dockerfile").read_text()
    port = next(fact.default for fact in setting_facts() if fact.name == "SERVER_PORT")
    last_stage = text.rpartition("\nFROM ")[2]

    copied = {
        word for line in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M) for word in line.split()
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    verb = re.findall(r'^CMD \["parley", "(\w+)"\]', text, re.M)

    assert all((ROOT / path).exists() for path in copied)
    assert all(f"!{path}" in ignored for path in copied)
    assert f"EXPOSE {port}" in last_stage
    assert "/health/live" in last_stage
    assert re.search(r"^USER parley$", last_stage, re.M)
    assert set(re.findall(r"\b(?:PARLEY|SERVER)_[A-Z_]+(?==)", last_stage)) <= _NAMES
    assert build_parser().parse_args(verb).verb.words == tuple(verb)


def test_without_docker_the_stack_test_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tested = subprocess.run(
        [sys.executable, ROOT / "scripts/run_stack_test.py"],
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert tested.returncode == 1
    assert "there is no docker here" in tested.stderr
    assert "Traceback" not in tested.stderr
