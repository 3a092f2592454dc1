"""The Compose overlay with n8n, checked against the Compose schema and against the code.

No Docker engine runs here; scripts/test-n8n tests the same n8n without one.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from tests.n8n.installation import VERSION

from parley.settings import setting_facts

ROOT = Path(__file__).parents[2]
OVERLAY = ROOT / "deploy/n8n/compose.n8n.yaml"
STACK = yaml.safe_load(OVERLAY.read_text())
SERVICES: dict[str, Any] = STACK["services"]


def test_the_overlay_keeps_to_the_schema_of_the_compose_specification() -> None:
    checked = subprocess.run(
        [
            Path(sys.executable).parent / "check-jsonschema",
            "--builtin-schema",
            "vendor.compose-spec",
            OVERLAY,
        ],
        capture_output=True,
        text=True,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_n8n_is_reached_from_this_machine_only_and_keeps_its_data() -> None:
    (port,) = SERVICES["n8n"]["ports"]

    assert port.startswith("127.0.0.1:")
    assert "n8n-data:/home/node/.n8n" in SERVICES["n8n"]["volumes"]
    assert "n8n-data:/home/node/.n8n" in SERVICES["n8n-nodes"]["volumes"]


def test_it_is_the_n8n_that_was_tested() -> None:
    assert SERVICES["n8n"]["image"].endswith(f":{VERSION}")


def test_parley_is_told_by_settings_that_it_has() -> None:
    known = {fact.name for fact in setting_facts()}

    assert SERVICES["parley"]["environment"].keys() <= known


def test_no_secret_has_a_default() -> None:
    for name in ("N8N_ENCRYPTION_KEY", "PARLEY_TOOL_SECRET"):
        assert re.search(rf"\$\{{{name}:\?", OVERLAY.read_text())


def test_what_is_mounted_is_there() -> None:
    mounted = [
        volume.partition(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", ())
    ]

    assert all((ROOT / path).is_dir() for path in mounted if path.startswith("./"))
