"""Which engines make a chain, in which order, and how those come back that were away."""

from __future__ import annotations

import pytest

from parley.core.errors import EngineUnavailable
from parley.engines.catalog import EngineCatalog
from parley.engines.choice import Choice
from parley.engines.found import engines_from
from parley.engines.spec import EngineSpec, Kind, Status, TranscribeOptions
from parley.engines.wish import ANY, read_wishes
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.faults import Fault
from tests.engines.fakes import FakeOptions
from tests.engines.fallback.chains import sound

AWAY = Status(False, "connection refused")


class Ears(FakeTranscriber):
    """Says its name; keeps count of its starts, and may be away."""

    def __init__(self, name: str) -> None:
        super().__init__(*[name] * 9)
        self.state = Status(True)
        self.starts = 0
        self.can_start = True

    async def check(self) -> Status:
        return self.state

    async def warm_up(self) -> None:
        self.starts += 1
        if not self.can_start:
            raise RuntimeError("out of memory")


class Mind(FakeChatter):
    def __init__(self, name: str) -> None:
        super().__init__(lambda _: name)
        self.state = Status(True)

    async def check(self) -> Status:
        return self.state


class Shelf:
    """A catalog of engines that a test can reach into."""

    def __init__(self) -> None:
        self.ears = {name: Ears(name) for name in ("vosk", "speaches", "builtin")}
        self.minds = {name: Mind(name) for name in ("ollama", "scripted")}
        self.set_up = {"vosk", "speaches", "builtin", "ollama", "scripted"}
        specs = [self._spec("stt", name) for name in self.ears]
        specs += [self._spec("llm", name) for name in self.minds]
        self.catalog = EngineCatalog(engines_from(specs), {})

    def _spec(self, kind: Kind, name: str) -> EngineSpec[Ears | Mind]:
        return EngineSpec(
            kind=kind,
            name=name,
            options=FakeOptions,
            open=lambda _: {**self.ears, **self.minds}[name],
            summary=name,
            available=lambda _: name in self.set_up,
            is_language_model=name != "scripted",
        )

    async def heard(self, choice: Choice) -> str:
        hearing = self.catalog.chain(choice)
        parts = [part async for part in hearing.transcribe(sound(2), TranscribeOptions())]
        return parts[-1].text


def names(choice: Choice) -> list[str]:
    return [place.spec.name for place in choice.chain]


async def test_auto_is_all_that_is_set_up_in_its_order():
    shelf = Shelf()
    shelf.set_up.remove("speaches")

    choice = await shelf.catalog.choose("stt")

    assert names(choice) == ["vosk", "builtin"]
    assert "if it fails: builtin" in choice.why


async def test_a_list_is_all_of_it_and_nothing_twice():
    choice = await Shelf().catalog.choose("stt", read_wishes(["speaches", "auto", "speaches"]))

    assert names(choice) == ["speaches", "vosk", "builtin"]


async def test_one_name_is_that_engine_alone():
    choice = await Shelf().catalog.choose("stt", read_wishes("vosk"))

    assert names(choice) == ["vosk"]


async def test_an_engine_that_is_away_at_the_start_is_passed_over_and_comes_back():
    shelf = Shelf()
    shelf.ears["vosk"].state = AWAY
    choice = await shelf.catalog.choose("stt")
    await shelf.catalog.warm_up()
    member = shelf.catalog.chain(choice).members[0]

    at_first = await shelf.heard(choice)
    shelf.ears["vosk"].state = Status(True)
    member.breaker._open_until_s = 0.0
    meanwhile = await shelf.heard(choice)
    is_well = await member.recovered()
    at_last = await shelf.heard(choice)
    await shelf.catalog.close()

    assert choice.spec.name == "speaches"
    assert (at_first, meanwhile, at_last) == ("speaches", "speaches", "vosk")
    assert is_well
    assert shelf.ears["vosk"].starts == 1


async def test_all_of_a_chain_is_warm_and_who_cannot_start_only_counts_as_sick():
    shelf = Shelf()
    shelf.ears["speaches"].can_start = False
    choice = await shelf.catalog.choose("stt")

    await shelf.catalog.warm_up()

    assert shelf.ears["builtin"].starts == 1
    assert [member.is_well for member in shelf.catalog.chain(choice).members] == [True, False, True]


async def test_the_engine_that_was_chosen_must_start():
    shelf = Shelf()
    shelf.ears["vosk"].can_start = False
    await shelf.catalog.choose("stt")

    with pytest.raises(Exception, match="vosk can't start: out of memory"):
        await shelf.catalog.warm_up()


async def test_a_script_is_no_part_of_a_language_models_chain():
    choice = await Shelf().catalog.choose("llm")

    assert names(choice) == ["ollama"]


async def test_a_script_that_is_wished_for_is():
    choice = await Shelf().catalog.choose("llm", read_wishes(["ollama", "scripted"]))

    assert names(choice) == ["ollama", "scripted"]
    assert not any(place.is_stand_in for place in choice.chain)


async def test_a_script_stands_in_where_no_language_model_answers_at_the_start():
    shelf = Shelf()
    shelf.minds["ollama"].state = AWAY

    choice = await shelf.catalog.choose("llm", ANY)

    assert choice.spec.name == "scripted"
    assert [(place.spec.name, place.is_stand_in) for place in choice.chain] == [
        ("ollama", False),
        ("scripted", True),
    ]


async def test_a_script_that_is_named_behind_auto_is_no_stand_in():
    shelf = Shelf()
    shelf.minds["ollama"].state = AWAY

    choice = await shelf.catalog.choose("llm", read_wishes(["auto", "scripted"]))

    assert names(choice) == ["ollama", "scripted"]
    assert not any(place.is_stand_in for place in choice.chain)


async def test_chains_share_what_is_known_of_an_engine():
    shelf = Shelf()
    shelf.ears["vosk"].fault = Fault(error=RuntimeError("broken"))
    one = await shelf.catalog.choose("stt")
    other = await shelf.catalog.choose("stt", read_wishes(["vosk", "builtin"]))

    await shelf.heard(one)
    asked = shelf.ears["vosk"].asked
    heard = await shelf.heard(other)

    assert heard == "builtin"
    assert shelf.ears["vosk"].asked == asked


async def test_nothing_that_was_only_asked_stays_open_when_none_can_work():
    shelf = Shelf()
    for ears in shelf.ears.values():
        ears.state = AWAY

    with pytest.raises(EngineUnavailable, match="connection refused"):
        await shelf.catalog.choose("stt")

    assert await shelf.catalog.check() == {}


async def test_an_option_says_how_many_requests_an_engine_serves_at_once():
    class Counted(FakeOptions):
        max_concurrent: int | None = 2

    spec = EngineSpec(
        kind="stt",
        name="builtin",
        options=Counted,
        open=lambda _: FakeTranscriber("x"),
        summary="",
        available=lambda _: True,
    )
    catalog = EngineCatalog(engines_from([spec]), {})

    member = catalog.chain(await catalog.choose("stt")).members[0]

    assert member.places is not None
    assert member.places.places == 2
