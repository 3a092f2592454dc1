"""Rooms: whose they are, which calls are in them, and whose prompt counts."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from parley.core.errors import NotFound, Refused
from parley.transports.rustpbx.rooms import DEFAULT_PROMPT, Rooms


@dataclass(eq=False)
class FakeCall:
    call_id: str
    instructions: str = "The agent's own."
    prompts: list[str] = field(default_factory=list[str])
    is_over: bool = False

    async def set_prompt(self, text: str) -> None:
        self.prompts.append(text)

    def end_call(self) -> None:
        self.is_over = True


def test_a_tenant_sees_its_own_rooms_alone():
    rooms = Rooms()
    ours = rooms.create("acme", "Front desk")
    rooms.create("other", "Theirs")

    with pytest.raises(NotFound):
        rooms.get("other", ours.id)
    with pytest.raises(NotFound):
        rooms.delete("other", ours.id)

    assert [room.name for room in rooms.list("acme")] == ["Front desk"]
    assert rooms.count == 2


def test_a_room_without_a_prompt_shows_the_usual_one_and_changes_no_call():
    rooms = Rooms()

    room = rooms.create("acme", "Front desk")

    assert room.system_prompt == DEFAULT_PROMPT
    assert room.prompt is None


def test_a_room_that_was_deleted_while_its_caller_connected_takes_nobody_in():
    rooms = Rooms()
    prepared = rooms.create("acme", "Front desk", "The room's.")
    rooms.delete("acme", prepared.id)

    room = rooms.attach("acme", "rustpbx_1", FakeCall("call_1"), prepared=prepared)

    assert (room.prompt, room.metadata) == (None, {"calls": ["call_1"]})


async def test_prompts_count_from_the_agent_to_the_one_that_came_over_http():
    rooms = Rooms()
    prepared = rooms.create("acme", "Front desk", "The room's.")
    plain = rooms.attach("acme", "rustpbx_0", FakeCall("call_0"))
    room = rooms.attach("acme", "rustpbx_1", FakeCall("call_1"), prepared=prepared)

    agents, rooms_own = plain.system_prompt, room.system_prompt
    room.configured = "The PBX's."
    configured = room.system_prompt
    await rooms.set_prompt("acme", "rustpbx_1", "Over HTTP.")
    room.configured = "The PBX's, later."

    assert agents == "The agent's own."
    assert (rooms_own, configured) == ("The room's.", "The PBX's.")
    assert room.system_prompt == "Over HTTP."


async def test_both_names_of_a_call_in_a_prepared_room_reach_it():
    rooms, call = Rooms(), FakeCall("call_1")
    prepared = rooms.create("acme", "Front desk")
    rooms.attach("acme", "rustpbx_1", call, prepared=prepared)

    await rooms.set_prompt("acme", prepared.id, "First.")
    await rooms.set_prompt("acme", "rustpbx_1", "Second.")

    assert call.prompts == ["First.", "Second."]
    assert prepared.metadata == {"calls": ["call_1"]}
    assert rooms.get("acme", "rustpbx_1").metadata == {"calls": ["call_1"], "room": prepared.id}


async def test_a_prepared_room_speaks_to_all_calls_in_it_and_to_those_to_come():
    rooms, calls = Rooms(), [FakeCall(f"call_{number}") for number in range(3)]
    prepared = rooms.create("acme", "Front desk")
    for number, call in enumerate(calls[:2]):
        rooms.attach("acme", f"rustpbx_{number}", call, prepared=prepared)

    await rooms.set_prompt("acme", prepared.id, "Be brief.")
    late = rooms.attach("acme", "rustpbx_2", calls[2], prepared=prepared)

    assert [call.prompts for call in calls] == [["Be brief."], ["Be brief."], []]
    assert late.prompt == "Be brief."


def test_a_call_that_the_pbx_names_like_a_prepared_room_is_in_that_room():
    rooms = Rooms()
    prepared = rooms.create("acme", "Front desk", "Be brief.")

    room = rooms.attach("acme", prepared.id, FakeCall("call_1"))

    assert room.prompt == "Be brief."
    assert rooms.get("acme", prepared.id) is prepared
    assert prepared.metadata == {"calls": ["call_1"]}


def test_a_room_of_a_call_goes_with_it_and_a_prepared_one_stays():
    rooms = Rooms()
    prepared = rooms.create("acme", "Front desk")
    room = rooms.attach("acme", "rustpbx_1", FakeCall("call_1"), prepared=prepared)

    rooms.detach(room)

    assert [each.id for each in rooms.list("acme")] == [prepared.id]
    assert prepared.metadata is None


def test_a_name_that_the_pbx_tells_later_takes_the_place_of_the_first():
    rooms = Rooms()
    room = rooms.attach("acme", "call_1", FakeCall("call_1"))
    taken = rooms.attach("acme", "rustpbx_2", FakeCall("call_2"))

    rooms.rename(room, "rustpbx_1")
    rooms.rename(room, "rustpbx_2")

    assert rooms.find("acme", "call_1") is None
    assert rooms.find("acme", "rustpbx_1") is room
    assert rooms.find("acme", "rustpbx_2") is taken


async def test_a_call_that_the_pbx_names_later_like_a_prepared_room_is_in_that_room():
    rooms, call = Rooms(), FakeCall("call_1")
    prepared = rooms.create("acme", "Front desk", "Be brief.")
    await rooms.set_prompt("acme", prepared.id, "Be very brief.")
    room = rooms.attach("acme", "call_1", call)

    has_entered = rooms.rename(room, prepared.id), rooms.rename(room, prepared.id)
    entered = prepared.metadata, room.prompt, [each.id for each in rooms.list("acme")]
    rooms.detach(room)

    assert has_entered == (True, False)
    assert entered == ({"calls": ["call_1"]}, "Be very brief.", [prepared.id])
    assert rooms.get("acme", prepared.id).metadata is None


def test_a_call_that_is_in_a_prepared_room_stays_there_whatever_it_is_named():
    rooms = Rooms()
    first, second = rooms.create("acme", "First"), rooms.create("acme", "Second")
    room = rooms.attach("acme", "call_1", FakeCall("call_1"), prepared=first)

    rooms.rename(room, second.id)

    assert first.metadata == {"calls": ["call_1"]}
    assert (second.metadata, rooms.find("acme", "call_1")) == (None, room)


def test_a_name_that_is_told_after_the_call_brings_no_room_back():
    rooms = Rooms()
    room = rooms.attach("acme", "call_1", FakeCall("call_1"))

    rooms.detach(room)
    rooms.rename(room, "rustpbx_1")

    assert rooms.list("acme") == []


def test_deleting_a_room_hangs_up_its_calls():
    rooms, call = Rooms(), FakeCall("call_1")
    prepared = rooms.create("acme", "Front desk")
    rooms.attach("acme", "rustpbx_1", call, prepared=prepared)

    rooms.delete("acme", prepared.id)

    assert call.is_over
    assert rooms.find("acme", prepared.id) is None


def test_rooms_are_bounded_for_each_tenant_and_calls_are_not_counted():
    rooms = Rooms(most=1)
    rooms.attach("acme", "rustpbx_1", FakeCall("call_1"))
    rooms.create("acme", "Front desk")
    rooms.create("other", "Theirs")

    with pytest.raises(Refused, match="already"):
        rooms.create("acme", "One too many")

    assert rooms.count == 3


def test_a_prepared_room_that_nobody_uses_is_forgotten_and_one_with_a_call_is_not():
    now_s = 0.0
    rooms = Rooms(unused_s=60, clock=lambda: now_s)
    rooms.create("acme", "Forgotten")
    used = rooms.create("acme", "Used")
    room = rooms.attach("acme", "rustpbx_1", FakeCall("call_1"), prepared=used)

    now_s = 61.0
    kept = [each.name for each in rooms.list("acme")]
    rooms.detach(room)
    now_s = 122.0

    assert kept == ["Used", "Used"]
    assert rooms.list("acme") == []
