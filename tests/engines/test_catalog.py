"""The catalog chooses, opens once, warms, closes, and says what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from parley.core.errors import BadSettings, EngineUnavailable, NotFound
from parley.core.registry import BrokenEntry
from parley.engines.catalog import EngineCatalog
from parley.engines.found import FoundEngines, engines_from, find_engines
from parley.engines.spec import Status
from parley.engines.wish import EngineWish, read_wishes

from .fakes import Diary, fake_spec

ALWAYS = {"is_set_up": lambda options: True}
AWAY = Status(False, "connection refused", "Start it.")


def catalog_with(diary: Diary, values: Mapping[str, Any] | None = None) -> EngineCatalog:
    """Two remote STT engines, a stranger's, and the built-in one."""
    return EngineCatalog(
        engines_from(
            [
                fake_spec(diary, "stt", "builtin", **ALWAYS),
                fake_spec(diary, "stt", "acme", environment={"base_url": "ACME_URL"}),
                fake_spec(diary, "stt", "speaches", environment={"base_url": "SPEACHES_BASE_URL"}),
                fake_spec(diary, "stt", "vosk", environment={"base_url": "VOSK_WS_URL"}),
                fake_spec(diary, "llm", "scripted", is_language_model=False, **ALWAYS),
                fake_spec(diary, "tts", "builtin", **ALWAYS),
            ]
        ),
        values or {},
    )


async def test_auto_takes_the_builtin_engine_when_nothing_is_set_up() -> None:
    choice = await catalog_with(Diary()).choose("stt")

    assert choice.spec.name == "builtin"
    assert choice.why == "auto: no other is set up"


async def test_auto_follows_the_documented_order_among_those_set_up() -> None:
    values = {"SPEACHES_BASE_URL": "http://s", "VOSK_WS_URL": "ws://v", "ACME_URL": "http://a"}

    choice = await catalog_with(Diary(), values).choose("stt")

    assert choice.spec.name == "vosk"


async def test_auto_prefers_a_strangers_engine_that_is_set_up_to_the_builtin_one() -> None:
    choice = await catalog_with(Diary(), {"ACME_URL": "http://a"}).choose("stt")

    assert choice.spec.name == "acme"


async def test_auto_passes_over_what_does_not_answer_and_says_so() -> None:
    diary = Diary(states={"vosk": AWAY, "speaches": RuntimeError("oops")})
    values = {"SPEACHES_BASE_URL": "http://s", "VOSK_WS_URL": "ws://v"}

    choice = await catalog_with(diary, values).choose("stt")

    assert choice.spec.name == "builtin"
    assert "vosk (connection refused)" in choice.why
    assert "speaches (RuntimeError: oops)" in choice.why
    assert [place.spec.name for place in choice.chain] == ["vosk", "speaches", "builtin"]


async def test_a_chain_takes_the_first_that_answers() -> None:
    diary = Diary(states={"vosk": AWAY})

    choice = await catalog_with(diary).choose("stt", read_wishes(["vosk", "acme", "builtin"]))

    assert choice.spec.name == "acme"


async def test_an_engine_by_name_that_does_not_answer_is_an_error_with_its_cure() -> None:
    diary = Diary(states={"vosk": AWAY})

    with pytest.raises(EngineUnavailable, match=r"vosk: connection refused.*Start it\."):
        await catalog_with(diary).choose("stt", read_wishes("vosk"))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bultin", "Did you mean builtin?"),
        ("deepgram", "It is not part of this version."),
        ("xyz", "Known: acme, auto, builtin, speaches, vosk."),
    ],
)
async def test_an_unknown_name_is_an_error_even_behind_one_that_works(name: str, hint: str) -> None:
    wishes = read_wishes(["builtin", name], by="agents/a.yaml")

    with pytest.raises(NotFound) as caught:
        await catalog_with(Diary()).choose("stt", wishes)

    assert f"{name!r} (agents/a.yaml)" in str(caught.value)
    assert hint in str(caught.value)


async def test_a_wish_beats_a_setting_and_a_setting_beats_the_engine() -> None:
    catalog = catalog_with(Diary(), {"VOSK_WS_URL": "ws://set"})

    set_url = await catalog.choose("stt", read_wishes("vosk"))
    own_url = await catalog.choose("stt", (EngineWish("vosk", {"base_url": "ws://own"}),))

    assert set_url.options.model_dump()["base_url"] == "ws://set"
    assert own_url.options.model_dump()["base_url"] == "ws://own"
    assert own_url.options.model_dump()["model"] == "own-model"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lowdness": 2}, "has no option lowdness. Did you mean loudness?"),
        ({"loudness": "very"}, "loudness of the stt engine vosk: must be a valid integer"),
    ],
)
async def test_wrong_options_name_who_asked_for_them(options: dict[str, Any], said: str) -> None:
    wish = EngineWish("vosk", options, by="agents/a.yaml")

    with pytest.raises(BadSettings) as caught:
        await catalog_with(Diary()).choose("stt", (wish,))

    assert str(caught.value).startswith("agents/a.yaml: ")
    assert said in str(caught.value)


async def test_a_wrong_value_from_a_setting_names_the_setting_and_not_the_value() -> None:
    diary = Diary()
    spec = fake_spec(diary, "stt", "acme", environment={"loudness": "ACME_LOUDNESS"}, **ALWAYS)
    catalog = EngineCatalog(engines_from([spec]), {"ACME_LOUDNESS": "hunter2"})

    with pytest.raises(BadSettings) as caught:
        await catalog.choose("stt")

    assert str(caught.value).startswith("ACME_LOUDNESS: loudness of the stt engine acme")
    assert "hunter2" not in str(caught.value)


async def test_an_engine_is_opened_once_per_set_of_options_and_shared() -> None:
    diary = Diary()
    catalog = catalog_with(diary)

    first = catalog.open(await catalog.choose("stt"))
    second = catalog.open(await catalog.choose("stt", read_wishes("builtin")))
    other = catalog.open(await catalog.choose("stt", (EngineWish("builtin", {"loudness": 2}),)))

    assert first is second
    assert other is not first
    assert diary.lines == ["open builtin", "open builtin"]


async def test_warming_up_warms_each_engine_in_use_once() -> None:
    diary = Diary()
    catalog = catalog_with(diary)
    await catalog.choose("stt")
    await catalog.warm_up()
    await catalog.choose("tts")

    await catalog.warm_up()

    assert diary.lines == ["open builtin", "warm builtin", "open builtin", "warm builtin"]


async def test_an_engine_that_cannot_start_keeps_no_other_agent_from_being_prepared() -> None:
    diary = Diary(broken=["vosk"])
    catalog = catalog_with(diary)
    await catalog.choose("stt", read_wishes("vosk"))
    with pytest.raises(EngineUnavailable, match="vosk has no weights"):
        await catalog.warm_up()

    await catalog.choose("stt", read_wishes("builtin"))
    await catalog.warm_up()

    assert diary.lines == ["open vosk", "open builtin", "warm builtin"]
    assert [row.engine for row in catalog.rows()] == ["builtin"]


async def test_closing_goes_backwards_and_leaves_nothing_open() -> None:
    diary = Diary()
    catalog = catalog_with(diary)
    await catalog.choose("stt", read_wishes("vosk"))
    await catalog.choose("llm")

    await catalog.close()

    assert diary.lines == ["open vosk", "open scripted", "close scripted", "close vosk"]
    assert await catalog.check() == {}


async def test_the_state_of_each_engine_in_use_can_be_asked() -> None:
    diary = Diary()
    catalog = catalog_with(diary)
    await catalog.choose("stt", read_wishes("vosk"))
    diary.states["vosk"] = AWAY

    states = await catalog.check()

    assert states == {("stt", "vosk"): AWAY}


async def test_of_an_engine_that_is_open_twice_what_ails_is_told() -> None:
    diary = Diary()
    catalog = catalog_with(diary)
    away, well = EngineWish("vosk", {"model": "away"}), EngineWish("vosk", {"model": "well"})
    await catalog.choose("stt", (away,))
    await catalog.choose("stt", (well,))
    diary.states["vosk:away"] = AWAY

    states = await catalog.check()

    assert states == {("stt", "vosk"): AWAY}


async def test_who_waits_for_an_engine_can_be_asked_and_the_table_says_how_many_may() -> None:
    catalog = catalog_with(Diary())
    wish = EngineWish("vosk", {"max_concurrent": 2})
    choice = await catalog.choose("stt", (wish,))
    await catalog.choose("tts")
    places = catalog.chain(choice).members[0].places
    assert places is not None

    async with places.taken("acme"), places.taken("acme"):
        waiting = asyncio.create_task(places.taken("acme").__aenter__())
        await asyncio.sleep(0)
        queues = catalog.queues()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    assert queues.keys() == {("stt", "vosk")}
    queue = queues["stt", "vosk"]
    assert (queue.places, queue.busy, queue.waiting, queue.waiting_limit) == (2, 2, 1, 8)
    assert catalog.rows()[0].where.endswith("2 at once, 8 may wait")


async def test_the_table_shows_who_serves_a_wish_now_and_not_who_did_before() -> None:
    diary = Diary(states={"vosk": AWAY})
    catalog = catalog_with(diary)
    wishes = read_wishes(["vosk", "builtin"])
    await catalog.choose("stt", wishes)
    before = [row.engine for row in catalog.rows()]
    diary.states.clear()

    await catalog.choose("stt", wishes)
    alone = [row.engine for row in catalog.rows()]
    await catalog.choose("stt", read_wishes("builtin"))
    both = [row.engine for row in catalog.rows()]

    assert before == ["builtin"]
    assert alone == ["vosk"]
    assert sorted(both) == ["builtin", "vosk"]


async def test_the_table_says_who_does_what_where_and_why() -> None:
    values = {"VOSK_WS_URL": "ws://ada:hunter2@vosk.example:2700/x"}
    catalog = catalog_with(Diary(), values)
    await catalog.choose("tts")
    await catalog.choose("llm")
    await catalog.choose("stt")

    heading, stt, llm, tts = catalog.table().splitlines()

    assert heading.split() == ["kind", "engine", "model", "where", "why"]
    assert stt.split()[:4] == ["stt", "vosk", "own-model", "vosk.example:2700"]
    assert "scripted dialogue, not a language model" in llm
    assert tts.split()[3:] == ["this", "machine", "auto:", "no", "other", "is", "set", "up"]
    assert "hunter2" not in catalog.table()


async def test_an_entry_point_that_cannot_be_loaded_is_reported_and_not_fatal() -> None:
    broken = BrokenEntry("parley.stt", "acme", "acme:SPEC", "ImportError: no libacme")
    working = engines_from([fake_spec(Diary(), "stt", "builtin", **ALWAYS)])
    catalog = EngineCatalog(FoundEngines(working.specs, (broken,)), {})

    choice = await catalog.choose("stt")

    assert choice.spec.name == "builtin"
    assert "no libacme" in catalog.table()
    with pytest.raises(EngineUnavailable, match="no libacme"):
        await catalog.choose("stt", read_wishes("acme"))


def test_every_engine_that_ships_can_be_imported() -> None:
    found = find_engines()

    assert found.broken == ()
    assert {(spec.kind, spec.name) for spec in found.all()} >= {
        ("stt", "builtin"),
        ("llm", "scripted"),
        ("tts", "builtin"),
    }
