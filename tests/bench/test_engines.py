"""The bench of engines: whose figure stands for a kind, and a bare client that asks the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from bench.asking import first_part_ms
from bench.bare import Tap, bare_ms
from bench.engine_servers import ENGINES, Engine
from bench.engines import PROMISES, Found, summarise

from parley.engines.found import find_engines


def opened(engine: Engine, url: str) -> Any:
    spec = find_engines().of(engine.kind)[engine.name]
    return spec.open(spec.options.model_validate({**engine.options, engine.address: url}))


def test_the_worst_engine_of_a_kind_stands_for_it() -> None:
    quick = Found(plain_ms=[2, 2, 90], chain_ms=[3, 3, 3], bare_ms=[1, 1, 1])
    slow = Found(plain_ms=[7, 7, 7], chain_ms=[9, 9, 9], bare_ms=[1, 2, 3])
    kinds = {"stt vosk": "stt", "stt openai": "stt", "tts piper (WebSocket)": "tts"}

    figures = summarise(
        kinds,  # type: ignore[arg-type]
        {"stt vosk": quick, "stt openai": slow, "tts piper (WebSocket)": quick},
        [0.2, 0.1, 0.3],
    )

    assert figures["stt_added_p50_ms"] == 5
    assert figures["stt_chain_added_p50_ms"] == 7
    assert figures["tts_piper_websocket_added_p50_ms"] == figures["tts_added_p50_ms"] == 1
    assert figures["cache_hit_p50_ms"] == 0.2
    assert {promise.name for promise in PROMISES} <= set(figures)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.id)
async def test_the_bare_client_is_answered_as_the_engine_was(
    engine: Engine, tmp_path: Path
) -> None:
    async with engine.serve(tmp_path) as server:
        async with Tap(server.url, engine.answers) as tap:
            recording = opened(engine, tap.url)
            await recording.warm_up()
            await first_part_ms(engine.kind, recording)
            tap.mark()
            await first_part_ms(engine.kind, recording, tap)
            recorded = tap.recorded()
            await recording.close()

        took_ms = await bare_ms(urlsplit(server.url).port or 0, recorded, engine.answers)

    assert took_ms > 0
    assert recorded.late
    assert bool(recorded.early) <= (engine.kind == "stt")


def test_every_engine_that_can_be_told_an_address_is_measured() -> None:
    remote = {
        (spec.kind, spec.name)
        for spec in find_engines().all()
        if {"base_url", "ws_url", "uri"} & set(spec.options.model_fields)
    }

    assert {(engine.kind, engine.name) for engine in ENGINES} == remote
