"""``parley models`` and ``parley engines voices`` against servers that speak the real protocols."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley.cli import main
from parley.settings import setting_facts
from tests.engines.servers.ollama import OllamaServer
from tests.engines.servers.piper_http import PiperHttpServer


@pytest.fixture(autouse=True)
def empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


async def parley(*arguments: str) -> int:
    return await asyncio.to_thread(main, arguments)


async def test_models_are_listed_pulled_with_progress_and_removed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with OllamaServer(models=("llama3.2:3b",)) as ollama:
        monkeypatch.setenv("OLLAMA_BASE_URL", ollama.url)

        pulled = await parley("models", "pull", "ollama:qwen2.5:3b")
        progress = capsys.readouterr().err
        listed = await parley("models", "list")
        shelf = capsys.readouterr().out
        removed = await parley("models", "remove", "ollama:llama3.2:3b")

    assert (pulled, listed, removed) == (0, 0, 0)
    assert progress.splitlines()[-1] == "ollama:qwen2.5:3b is here."
    assert "ollama:qwen2.5:3b" in shelf and "2.0 GB  here" in shelf
    assert list(ollama.models) == ["qwen2.5:3b"]


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (("pull", "olama:m"), 1, "There is no engine 'olama'. Did you mean ollama?"),
        (("pull", "whisper"), 2, "Write ENGINE:MODEL, such as ollama:llama3.2:3b."),
        (("pull", "piper:m"), 1, "piper"),
        (("remove", "ollama:absent"), 2, "has no model absent"),
        (("pull", "--offline", "on", "recommended"), 2, "Nothing is fetched while offline."),
    ],
)
async def test_what_can_not_be_done_is_told_in_a_line(
    typed: tuple[str, ...],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with OllamaServer() as ollama:
        monkeypatch.setenv("OLLAMA_BASE_URL", ollama.url)

        got = await parley("models", *typed)

    told = capsys.readouterr().err
    assert (got, said in told) == (code, True), told
    assert "Traceback" not in told


async def test_the_voices_of_a_piper_server_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with PiperHttpServer() as piper:
        monkeypatch.setenv("PIPER_WS_URL", piper.url)

        code = await parley("engines", "voices", "tts:piper")

    out = capsys.readouterr().out
    assert code == 0
    assert "en_US-lessac-medium" in out and "de_DE-thorsten-low" in out
