"""Engines are found through entry points, whoever brought them."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.engines.found import find_engines

GOOD = """
from parley.engines.spec import EngineOptions, EngineSpec

SPEC = EngineSpec(
    kind="tts", name="acme", options=EngineOptions, open=lambda options: None, summary="Acme.",
    available=lambda options: True, environment={"key": "ACME_KEY"},
)
NO_SPEC = 7
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger's package: one engine that works and three that don't."""
    (tmp_path / "acme_voice.py").write_text(GOOD)
    (tmp_path / "acme_broken.py").write_text("import libacme_that_is_not_there\n")
    info = tmp_path / "acme_voice-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-voice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[parley.tts]\n"
        "acme = acme_voice:SPEC\n"
        "broken = acme_broken:SPEC\n"
        "seven = acme_voice:NO_SPEC\n"
        "[parley.stt]\n"
        "acme = acme_voice:SPEC\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("acme")
def test_a_strangers_engine_is_found_beside_ours() -> None:
    found = find_engines()

    assert found.of("tts")["acme"].summary == "Acme."
    assert "builtin" in found.of("tts")
    assert "ACME_KEY" in found.environment_names


@pytest.mark.usefixtures("acme")
def test_what_cannot_be_used_is_reported_with_the_reason_and_nothing_else_suffers() -> None:
    found = find_engines()

    reasons = {(entry.group, entry.name): entry.reason for entry in found.broken}
    assert "libacme_that_is_not_there" in reasons["parley.tts", "broken"]
    assert "no EngineSpec of kind tts" in reasons["parley.tts", "seven"]
    assert "no EngineSpec of kind stt" in reasons["parley.stt", "acme"]
    assert {"broken", "seven"}.isdisjoint(found.of("tts"))
