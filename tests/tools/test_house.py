"""What settings and the environment say of tools reaches them, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from unittest.mock import patch

import pytest

from parley.core.errors import BadRequest, BadSettings, DestinationRefused
from parley.settings import load_settings, tool_values
from parley.tools.house import ToolHouse

NOWHERE = Path("no-such.env")


def house(values: Mapping[str, str]) -> ToolHouse:
    with patch.dict(os.environ, values, clear=True):
        return ToolHouse.from_settings(load_settings(env_file=NOWHERE))


def test_hosts_are_those_that_are_listed_and_n8n():
    opened = house(
        {"PARLEY_TOOL_HOSTS": "crm.example.org, localhost:9000", "N8N_BASE_URL": "http://n8n:5678"}
    )

    for url in ("https://crm.example.org", "http://localhost:9000/x", "http://n8n:5678/webhook"):
        opened.destinations.require_url(url)
    for url in ("https://example.org", "http://localhost:9001", "http://n8n:80"):
        with pytest.raises(DestinationRefused):
            opened.destinations.require_url(url)


def test_without_settings_only_the_public_is_reached():
    destinations = house({}).destinations

    destinations.require_url("https://crm.example.org")
    with pytest.raises(DestinationRefused):
        destinations.require_url("http://127.0.0.1")


@pytest.mark.parametrize("hosts", ["a b", "http://crm.example.org", "crm.example.org/x", "*.*"])
def test_what_is_no_host_stops_the_start(hosts: str):
    with pytest.raises(BadSettings, match="PARLEY_TOOL_HOSTS"):
        house({"PARLEY_TOOL_HOSTS": hosts})


async def test_the_house_signs_with_the_secret_of_the_setting_and_nobody_else_does():
    secrets = house({"PARLEY_TOOL_SECRET": "abc"}).secrets

    assert await secrets.secret_for("") == "abc"
    assert await secrets.secret_for("acme") == ""


def test_credentials_come_from_names_that_say_so():
    values = {"TOOL_KEY": "for tools", "OPENAI_API_KEY": "for us", "MY_TOOL_KEY": "for others"}

    credentials = house(values).credentials

    assert credentials.filled("x ${TOOL_KEY}", owner="", tenant="default") == "x for tools"
    for name in ("OPENAI_API_KEY", "MY_TOOL_KEY", "TOOL_OTHER"):
        with pytest.raises(BadRequest, match=f"{name} is not set"):
            credentials.filled(f"${{{name}}}", owner="", tenant="")


def test_credentials_may_stand_in_the_env_file(tmp_path: Path):
    file = tmp_path / ".env"
    file.write_text("TOOL_A=from-file\nTOOL_B=from-file\nTOOL_EMPTY=\nOTHER=x\n")

    with patch.dict(os.environ, {"TOOL_B": "from-environment"}, clear=True):
        values = tool_values(env_file=file)

    assert values == {"TOOL_A": "from-file", "TOOL_B": "from-environment"}
