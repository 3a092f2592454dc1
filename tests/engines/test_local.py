"""What engines of this machine have in common, from an empty disk to an answer."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from parley.core.errors import ModelMissing
from parley.engines.catalog import EngineCatalog
from parley.engines.fallback.probe import ask_briefly
from parley.engines.found import find_engines
from parley.engines.keeper import ModelKeeper
from parley.engines.llm.llama import KNOWN, Llama, LlamaOptions
from parley.engines.resources import Share, UsesResources
from parley.engines.spec import Kind
from parley.engines.stt.moonshine import Moonshine, MoonshineOptions
from parley.engines.stt.whisper import Whisper, WhisperOptions
from parley.engines.tts.kokoro import Kokoro, KokoroOptions
from parley.engines.wish import EngineWish
from tests.engines.models.tiny_llama import make_tiny_llama
from tests.engines.servers.hub import HubServer

needs_ctranslate2 = pytest.mark.skipif(
    importlib.util.find_spec("ctranslate2") is None, reason="the extra llama is not installed"
)

FETCH_AND_ASK = """
import asyncio, pathlib, sys
from parley.engines.llm.llama import SPEC, LlamaOptions
from parley.engines.spec import ChatOptions

async def main():
    options = LlamaOptions(data_dir=pathlib.Path(sys.argv[1]), model="1b", threads=1)
    engine = SPEC.open(options)
    print("before", SPEC.available(options), (await engine.check()).missing_model)
    steps = [step async for step in engine.pull("1b")]
    print("after", SPEC.available(options), steps[-1].done_bytes == steps[-1].total_bytes > 0)
    question = [{"role": "user", "content": "Hello"}]
    reply = [delta async for delta in engine.chat(question, [], ChatOptions(max_tokens=8))]
    print("said", reply[-1].usage.completion_tokens > 0)
    present = [model.id for model in await engine.models() if model.is_present]
    await engine.close()
    await engine.remove("1b")
    print("removed", present, SPEC.available(options))

asyncio.run(main())
"""


@needs_ctranslate2
def test_a_model_is_fetched_from_the_hub_that_the_environment_names_and_answers(
    tmp_path: Path,
) -> None:
    made = make_tiny_llama(tmp_path / "made")
    files = {file.name: file.read_bytes() for file in made.iterdir()}
    with HubServer({KNOWN["1b"].repo: files}, large={"model.bin"}) as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}

        done = subprocess.run(
            [sys.executable, "-c", FETCH_AND_ASK, str(tmp_path / "data")],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    lines = [line for line in done.stdout.splitlines() if "[info" not in line]
    assert lines == [
        "before False 1b",
        "after True True",
        "said True",
        "removed ['1b'] False",
    ], done.stderr


def test_every_engine_of_this_machine_keeps_models_and_takes_a_share(tmp_path: Path) -> None:
    engines = [
        Llama(LlamaOptions(data_dir=tmp_path)),
        Whisper(WhisperOptions(data_dir=tmp_path)),
        Moonshine(MoonshineOptions(data_dir=tmp_path)),
        Kokoro(KokoroOptions(data_dir=tmp_path)),
    ]

    for engine in engines:
        assert isinstance(engine, ModelKeeper)
        assert isinstance(engine, UsesResources)
        assert engine.share is None
        engine.take(Share("cpu", threads=3))
        assert engine.share == Share("cpu", threads=3)


@needs_ctranslate2
async def test_a_catalog_divides_the_machine_and_shows_the_share(tmp_path: Path) -> None:
    folder = make_tiny_llama(tmp_path / "made")
    catalog = EngineCatalog(find_engines(), {})
    wish = EngineWish("llama", {"model": str(folder), "device": "cpu"})

    choice = await catalog.choose("llm", [wish])
    engine = catalog.open(choice)
    await catalog.warm_up()
    [row] = catalog.rows()
    await catalog.close()

    assert isinstance(engine, Llama)
    assert engine.share is not None
    assert row.where == f"this machine: {engine.share}"


@pytest.mark.parametrize(
    ("kind", "name", "model", "package"),
    [
        ("stt", "whisper", "small.en", "faster_whisper"),
        ("stt", "moonshine", "tiny-streaming-de", "moonshine_voice"),
        ("llm", "llama", "3b", "ctranslate2"),
        ("tts", "kokoro", "v1.0", "espeakng_loader"),
    ],
)
async def test_a_missing_model_is_named_with_the_command_that_fetches_it(
    tmp_path: Path, kind: Kind, name: str, model: str, package: str
) -> None:
    pytest.importorskip(package, reason=f"the extra {name} is not installed")
    spec = find_engines().of(kind)[name]
    options = spec.options.model_validate({"model": model, "data_dir": tmp_path})
    engine = spec.open(options)

    status = await engine.check()
    with pytest.raises(ModelMissing) as failure:
        await ask_briefly(kind, engine)

    assert (status.ok, status.missing_model) == (False, model)
    assert f"parley models pull {name}:{model}" in status.hint
    assert failure.value.model == model
    assert not spec.available(options)


def test_each_kind_has_a_model_to_recommend_that_its_engine_can_fetch() -> None:
    found = find_engines()

    for kind, name in (("stt", "whisper"), ("llm", "llama"), ("tts", "kokoro")):
        spec = found.of(kind)[name]  # type: ignore[arg-type]
        assert spec.owns_model(spec.recommended)
