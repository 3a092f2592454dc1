"""Which engine a model's name brings: its own name, a model of it, OpenAI's names, or nobody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from parley.api.openai.engines import CatalogDesk
from parley.core.errors import EngineFailed, ModelNotFound
from parley.engines.catalog import EngineCatalog
from parley.engines.found import engines_from
from parley.engines.keeper import Model, PullProgress
from parley.engines.spec import EngineOptions, EngineSpec
from parley.engines.wish import EngineWish, Wishes
from parley.testing.engines import FakeTranscriber
from parley.testing.speech import FakeSynthesizer


class Options(EngineOptions):
    model: str = "small"


class Whisperer(FakeTranscriber):
    """Keeps two models and could fetch a third. ``listed`` counts how often it was asked."""

    listed = 0

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.model = options.model

    async def models(self) -> Sequence[Model]:
        Whisperer.listed += 1
        return [Model("small"), Model("org/large"), Model("huge", is_present=False)]

    async def pull(self, model: str) -> AsyncIterator[PullProgress]:
        raise AssertionError("a client made the server download")
        yield PullProgress(model)

    async def remove(self, model: str) -> None: ...


class Cold(FakeSynthesizer):
    async def warm_up(self) -> None:
        raise EngineFailed("it does not start")


def spec(kind: Any, name: str, opens: Any, *, is_set_up: bool = True) -> EngineSpec[Any]:
    return EngineSpec(
        kind=kind,
        name=name,
        options=Options,
        open=opens,
        summary="",
        available=lambda options: is_set_up,
    )


def catalog() -> EngineCatalog:
    return EngineCatalog(
        engines_from(
            [
                spec("stt", "whisper", Whisperer),
                spec("stt", "idle", Whisperer, is_set_up=False),
                spec("stt", "builtin", lambda options: FakeTranscriber(), is_set_up=False),
                spec("tts", "cold", lambda options: Cold()),
                spec("tts", "builtin", lambda options: FakeSynthesizer()),
            ]
        ),
        {},
    )


def wishes(kind: str, tenant: str) -> Wishes:
    return (EngineWish("whisper" if kind == "stt" else "builtin"),)


@pytest.mark.parametrize(
    "model",
    ["", "auto", "default", "whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe-2025-12-15"],
)
async def test_names_of_openai_mean_the_houses_own_engine(model: str) -> None:
    hearing = await CatalogDesk(catalog(), wishes).hearing(model, "default")

    assert (hearing.name, hearing.model) == ("whisper", "small")


@pytest.mark.parametrize("model", ["tts-1", "tts-1-hd", "gpt-4o-mini-tts", "tts:builtin", "auto"])
async def test_the_same_for_speech(model: str) -> None:
    speaking = await CatalogDesk(catalog(), wishes).speaking(model, "default")

    assert speaking.name == "builtin"


@pytest.mark.parametrize(
    ("model", "engine", "its_model"),
    [
        ("whisper", "whisper", "small"),
        ("stt:whisper", "whisper", "small"),
        ("builtin", "builtin", "small"),
        ("small", "whisper", "small"),
        ("org/large", "whisper", "org/large"),
        ("whisper:org/large", "whisper", "org/large"),
        ("stt:whisper:org/large", "whisper", "org/large"),
    ],
)
async def test_engines_and_their_models_are_found_by_name(
    model: str, engine: str, its_model: str
) -> None:
    hearing = await CatalogDesk(catalog(), wishes).hearing(model, "default")

    assert (hearing.name, hearing.model) == (engine, its_model)


@pytest.mark.parametrize(
    "model", ["nobody", "tts-1", "tts:builtin", "idle", "idle:small", "huge", "whisper:huge", ":"]
)
async def test_what_nobody_has_is_not_found_and_not_fetched(model: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        await CatalogDesk(catalog(), wishes).hearing(model, "default")

    assert caught.value.param == "model"


async def test_an_engine_is_chosen_once_for_all_requests() -> None:
    desk = CatalogDesk(catalog(), wishes)

    first, second = (
        await desk.hearing("org/large", "default"),
        await desk.hearing("org/large", "default"),
    )

    assert first.engine is second.engine


async def test_whoever_tries_names_does_not_make_engines_list_their_models_each_time() -> None:
    desk = CatalogDesk(catalog(), wishes)
    Whisperer.listed = 0

    for number in range(20):
        with pytest.raises(ModelNotFound):
            await desk.hearing(f"guess-{number}", "default")

    assert Whisperer.listed == 1


async def test_the_default_follows_the_wishes() -> None:
    wished = ["builtin"]
    desk = CatalogDesk(catalog(), lambda kind, tenant: (EngineWish(wished[0]),))

    before = await desk.hearing("whisper-1", "default")
    wished[0] = "whisper"
    after = await desk.hearing("whisper-1", "default")

    assert (before.name, after.name) == ("builtin", "whisper")


async def test_an_engine_that_does_not_start_fails_its_request_and_nothing_else() -> None:
    house = catalog()
    desk = CatalogDesk(house, wishes)

    with pytest.raises(EngineFailed):
        await desk.speaking("cold", "default")
    await house.warm_up()

    assert (await desk.speaking("tts-1", "default")).name == "builtin"


async def test_an_agents_own_engine_is_found_by_its_wishes() -> None:
    desk = CatalogDesk(
        EngineCatalog(
            engines_from(
                [
                    spec("tts", "other", lambda options: FakeSynthesizer()),
                    spec("tts", "builtin", lambda options: FakeSynthesizer()),
                ]
            ),
            {},
        ),
        wishes,
    )
    own = (EngineWish("other", {"model": "deep"}),)

    one = await desk.speaking_with(own, "default")
    again = await desk.speaking_with(own, "acme")

    assert (one.name, one.model, again.tenant) == ("other", "deep", "acme")
    assert one.engine is again.engine
    assert (await desk.speaking("", "default")).name == "builtin"
