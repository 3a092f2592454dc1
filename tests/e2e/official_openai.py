"""OpenAI's clients for Node: their packages fetched when needed, a program run with them."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(__file__).parent / "official_openai"
RUN_LIMIT_S = 90


def fetched_client() -> Any:
    """The node to run it with. The package comes from the npm registry, once per lock file:
    without a network continuous integration fails and other runs skip."""
    build = _builder()
    node = build.find_node()
    project = build.Project(FOLDER, FOLDER / "dist")
    if not project.has_packages():
        try:
            project.fetch_packages(node)
        except build.BuildFailed as failure:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"OpenAI's client for Node can't be fetched: {failure}")
    return node


async def run_program(
    node: Any, name: str, base_url: str, environment: Mapping[str, str] | None = None
) -> Any:
    """What the program in our folder prints, as JSON."""
    process = await asyncio.create_subprocess_exec(
        node.program,
        FOLDER / name,
        env={**os.environ, "BASE_URL": base_url, **(environment or {})},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(RUN_LIMIT_S):
            told, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, complaint.decode()
    return json.loads(told)


def _builder() -> Any:
    """``web/build.py``, which knows where node and npm are."""
    spec = importlib.util.spec_from_file_location("web_build", ROOT / "web/build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
