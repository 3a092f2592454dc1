"""What an agent does to its call with tools, as the wire, the model and the events show it."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiortc.rtp import RtpPacket
from loguru import logger

from parley.engines.llm.scripted import ScriptedChatter, ScriptedOptions
from parley.engines.spec import Delta, Message, ToolRequest
from parley.session.turns import Listening
from parley.testing.engines import FakeChatter, FakeTranscriber
from parley.testing.speech import FakeSynthesizer
from parley.tools.catalog import ToolCatalog
from parley.transports.keypad import DIGITS
from tests.caller_voice import CALLER_HZ, CallerVoice
from tests.session.fakes import FakeHouse, agent_with, start_call
from tests.transports.sip.caller import PhoneCaller, phone_caller
from tests.transports.sip.phone import SDP_LINE
from tests.transports.sip.rtp.far_end import sdp
from tests.transports.sip.switchboard import Switchboard, switchboard

SILENT = agent_with(greeting="")
NOTIFY = "Event: refer\r\nSubscription-State: {state}\r\nContent-Type: message/sipfrag\r\n"
SCRIPT = """
name: shop
language: en
greeting: Hello.
fallback: [Sorry?]
intents:
  - name: order
    say: where is my order
    call: collect_order
    on_result: "Your order is {result.spoken}."
"""
TARGETS = {"transfer": {"targets": {"the front desk": "sip:desk@127.0.0.1"}}}


class Mind:
    """Uses the given tools one after the other, then says what the last one answered."""

    def __init__(self, *uses: tuple[str, dict[str, Any]], first: str = "") -> None:
        self.uses = list(uses)
        self.first = first
        self.answers: list[Any] = []
        self._was_told = asyncio.Event()

    async def told(self, answers: int = 1) -> list[Any]:
        """The tools' answers, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.answers) < answers:
                self._was_told.clear()
                await self._was_told.wait()
        return self.answers

    def __call__(self, messages: Sequence[Message]) -> Delta | Sequence[Delta]:
        if messages[-1]["role"] == "tool":
            self.answers.append(json.loads(str(messages[-1]["content"])))
            self._was_told.set()
        if self.uses:
            name, arguments = self.uses.pop(0)
            words, self.first = self.first, ""
            use = Delta(tools=(ToolRequest(f"t{len(self.uses)}", name, arguments),))
            return [Delta(text=f"{words} "), use] if words else use
        return Delta(text="Very well.")


@pytest.fixture
def log_lines() -> Iterator[list[str]]:
    """What Pipecat logs with LOG_LEVEL=DEBUG."""
    lines: list[str] = []
    sink = logger.add(lines.append, level="DEBUG", format="{message}")
    yield lines
    logger.remove(sink)


@asynccontextmanager
async def talking(
    listening: Listening, mind: Mind, *wanted: Any, folder: Path | None = None, **engines: Any
) -> AsyncIterator[tuple[Switchboard, PhoneCaller]]:
    """A call that has just begun, with an agent that has these tools."""
    tools = ToolCatalog().tools_for(wanted, folder=folder)
    engines.setdefault("agents", [SILENT])
    async with (
        switchboard(listening, tools=tools, llm=FakeChatter(mind), **engines) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await (await board.control()).ask("Please go ahead.")
        yield board, caller
        caller.leave()
        await board.until("call_ended")


def keys(digits: str) -> list[RtpPacket]:
    """The packets of a telephone on which these keys are pressed."""
    return [
        RtpPacket(
            96,
            int(n == 0),
            1000 + 10 * number + n,
            500_000 + 4000 * number,
            # A stream of its own: its numbers are none of the voice's.
            8,
            bytes([DIGITS.index(digit), 10 | (0x80 if n > 2 else 0)])
            + (160 * min(n + 1, 4)).to_bytes(2),
        )
        for number, digit in enumerate(digits)
        for n in range(6)
    ]


# ── handing on ───────────────────────────────────────────────────────────────────────────────


async def test_a_caller_is_handed_on_after_the_last_word(listening: Listening):
    mind = Mind(("transfer", {"to": "the front desk"}), first="One moment please.")
    tts = FakeSynthesizer(word_ms=200)
    async with talking(listening, mind, TARGETS, tts=tts) as (board, caller):
        refer = await caller.phone.hear("REFER")
        heard_ms = caller.audible_ms
        caller.phone.reply(refer, "202 Accepted")
        going = NOTIFY.format(state="active;expires=60")
        await caller.ask("NOTIFY", extra=going, body="SIP/2.0 180 Ringing\r\n")
        still_there = "call_transferred" not in board.names()
        done = NOTIFY.format(state="terminated;reason=noresource")
        await caller.ask("NOTIFY", extra=done, body="SIP/2.0 200 OK\r\n")
        await caller.hear_goodbye()

        assert refer.header("refer-to") == "<sip:desk@127.0.0.1>"
        assert still_there and heard_ms >= 580
        assert (await board.until("call_transferred")).target == "sip:desk@127.0.0.1"
        assert (await board.until("call_ended")).reason == "agent"


async def test_a_transfer_that_fails_comes_back_to_the_agent_and_the_call_goes_on(
    listening: Listening,
):
    mind = Mind(("transfer", {"to": "the front desk"}))
    async with talking(listening, mind, TARGETS) as (board, caller):
        refer = await caller.phone.hear("REFER")
        caller.phone.reply(refer, "202 Accepted")
        over = NOTIFY.format(state="terminated;reason=noresource")
        await caller.ask("NOTIFY", extra=over, body="SIP/2.0 486 Busy Here\r\n")
        ended = await board.until("tool_ended")
        await caller.until(lambda: caller.audible_ms > 10)

        assert "the line is busy (486)" in ended.error
        assert mind.answers == [{"error": ended.error}]
        assert "call_ended" not in board.names()


async def test_a_transfer_that_fails_is_told_of_even_if_the_caller_spoke_meanwhile(
    listening: Listening,
):
    words = await CallerVoice()("what time is it")
    mind = Mind(("transfer", {"to": "the front desk"}))
    stt = FakeTranscriber("are you still there")
    async with talking(listening, mind, TARGETS, stt=stt) as (board, caller):
        caller.phone.reply(await caller.phone.hear("REFER"), "202 Accepted")
        await caller.speak(words)
        await board.until("turn_ended")
        before = len(board.names())
        over = NOTIFY.format(state="terminated;reason=noresource")
        await caller.ask("NOTIFY", extra=over, body="SIP/2.0 603 Decline\r\n")
        ended = await board.until("tool_ended")
        await caller.hear(10)

        assert "declined" in ended.error
        assert "agent_text" in board.names()[before:]


# ── hold ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_caller_is_put_on_hold_and_taken_back(listening: Listening):
    mind = Mind(("hold_call", {}), ("resume_call", {}))
    async with talking(listening, mind, "hold") as (board, caller):
        held = await caller.phone.hear("INVITE")
        caller.phone.reply(held, "200 OK", SDP_LINE, sdp(caller.sound.port, lines=["a=recvonly"]))
        back = await caller.phone.hear("INVITE")
        caller.phone.reply(back, "200 OK", SDP_LINE, caller.sdp)
        resumed = await board.until("call_resumed")
        await caller.until(lambda: caller.audible_ms > 10)

        assert ("a=sendonly" in held.body, "a=sendrecv" in back.body) == (True, True)
        assert ((await board.until("call_held")).by, resumed.by) == ("agent", "agent")
        assert mind.answers == [{"status": "on_hold"}, {"status": "resumed"}]


async def test_a_hold_that_is_refused_is_a_result_for_the_agent(listening: Listening):
    mind = Mind(("hold_call", {}))
    async with talking(listening, mind, "hold") as (board, caller):
        caller.phone.reply(await caller.phone.hear("INVITE"), "488 Not Acceptable Here")
        await caller.until(lambda: caller.audible_ms > 10)

        assert "488" in mind.answers[0]["error"]
        assert "call_held" not in board.names()


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


async def test_keys_are_pressed_one_after_the_other_and_told_to_nobody(
    listening: Listening, log_lines: list[str]
):
    mind = Mind(("send_digits", {"digits": "12 3#"}))
    async with talking(listening, mind, {"keypad": {"secret": True}}) as (board, caller):
        await caller.until(lambda: caller.audible_ms > 10)

        events = [p for p in caller.sound.packets if p.payload_type == 96]
        ends = [DIGITS[p.payload[0]] for p in events if p.payload[1] & 0x80]
        firsts = [p.marker for p in events if p.marker]
        assert ends == [digit for digit in "123#" for _ in range(3)]
        assert len(firsts) == len({p.timestamp for p in events}) == 4
        assert mind.answers == [{"status": "sent"}]
        assert (await board.until("tool_started")).arguments == {}
        assert not [line for line in log_lines if "12 3#" in line]
        assert [line for line in log_lines if "send_digits" in line]


async def test_a_number_is_typed_over_the_question(listening: Listening):
    mind = Mind(("collect_order", {"prompt": "one two three four five six seven eight nine"}))
    tts = FakeSynthesizer(word_ms=4000)
    wanted = {"keypad": {"collect": {"order": {"digits": 4}}}}
    async with talking(listening, mind, wanted, tts=tts) as (board, caller):
        await caller.hear(200)
        caller.sound.play(keys("4711"), caller.far_port)
        stopped = await board.until("agent_speech_stopped")

        assert stopped.played_ms < 36_000
        assert await mind.told() == [
            {"status": "complete", "digits": "4711", "spoken": "4 7 1 1", "by": "keys"}
        ]
        assert [e.digit for e in board.events if e.name == "dtmf_received"] == list("4711")


async def test_a_number_of_any_length_ends_with_its_key(listening: Listening):
    mind = Mind(("collect_digits", {}))
    async with talking(listening, mind, "keypad") as (board, caller):
        await board.until("tool_started")
        caller.sound.play(keys("90210#"), caller.far_port)
        answer = (await mind.told())[0]
        assert (answer["digits"], answer["status"]) == ("90210", "complete")


async def test_a_number_may_be_said_and_nobody_else_answers_it(listening: Listening):
    words = await CallerVoice()("what time is it")
    mind = Mind(("collect_order", {}))
    stt = FakeTranscriber("it is one two double five")
    wanted = {"keypad": {"collect": {"order": {"digits": 4}}}}
    async with talking(listening, mind, wanted, stt=stt) as (board, caller):
        await board.until("tool_started")
        await caller.speak(words)
        answer = (await mind.told())[0]
        assert (answer["digits"], answer["by"]) == ("1255", "voice")
        said = [e.text for e in board.events if e.name == "user_transcript" and e.final]
        assert said == ["Please go ahead.", "it is one two double five"]
        assert board.names().count("turn_ended") <= 2


async def test_what_holds_no_digit_is_handed_to_the_agent(listening: Listening):
    words = await CallerVoice()("what time is it")
    mind = Mind(("collect_digits", {}))
    stt = FakeTranscriber("i have lost my card")
    async with talking(listening, mind, "keypad", stt=stt) as (board, caller):
        await board.until("tool_started")
        await caller.speak(words)
        said = {"status": "said", "digits": "", "said": "i have lost my card"}
        assert await mind.told() == [said]


async def test_no_event_and_no_log_line_tells_a_secret(
    listening: Listening, log_lines: list[str], capsys: pytest.CaptureFixture[str]
):
    words = await CallerVoice()("what time is it")
    mind = Mind(("collect_pin", {}), ("collect_pin", {}))
    stt = FakeTranscriber("eight eight eight eight")
    wanted = {"keypad": {"collect": {"pin": {"digits": 4, "secret": True}}}}
    async with talking(listening, mind, wanted, stt=stt) as (board, caller):
        await board.until("tool_started")
        caller.sound.play(keys("9999"), caller.far_port)
        await mind.told()
        await caller.speak(words)

        assert [answer["digits"] for answer in await mind.told(2)] == ["9999", "8888"]
        pressed = [e for e in board.events if e.name == "dtmf_received"]
        assert [(e.digit, e.is_secret) for e in pressed] == [("", True)] * 4
        told = " ".join(str(e.to_dict()) for e in board.events if e.name != "call_started")
        told += "".join(log_lines) + capsys.readouterr().out
        assert "9999" not in told and "eight" not in told


async def test_a_script_asks_for_a_number_like_a_model(listening: Listening, tmp_path: Path):
    script = tmp_path / "shop.yaml"
    script.write_text(SCRIPT)
    chatter = ScriptedChatter(ScriptedOptions(script=script))
    tools = ToolCatalog().tools_for([{"keypad": {"collect": {"order": {"digits": 4}}}}])
    tts = FakeSynthesizer(word_ms=20)
    async with (
        switchboard(listening, agents=[SILENT], tools=tools, llm=chatter, tts=tts) as board,
        phone_caller(board.telephone.endpoint.port) as caller,
    ):
        await caller.call()
        await (await board.control()).ask("Where is my order?")
        await board.until("tool_started")
        caller.sound.play(keys("4711"), caller.far_port)
        await board.until("tool_ended")
        await caller.until(lambda: caller.audible_ms > 10)
        caller.leave()
        await board.until("call_ended")

    assert tts.texts == ["Your order is four seven one one."]


@pytest.mark.parametrize(("typed", "status"), [("", "nothing"), ("47", "incomplete")])
async def test_who_stops_typing_is_not_waited_for_for_ever(
    listening: Listening, typed: str, status: str
):
    mind = Mind(("collect_order", {}))
    number = {"digits": 4, "first_s": 0.3, "between_s": 0.3}
    wanted = {"keypad": {"collect": {"order": number}}}
    async with talking(listening, mind, wanted) as (board, caller):
        await board.until("tool_started")
        caller.sound.play(keys(typed), caller.far_port)
        await caller.until(lambda: caller.audible_ms > 10)

        assert (mind.answers[0]["status"], mind.answers[0]["digits"]) == (status, typed)


# ── recordings ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An agent's folder, with a recording of one second."""
    (tmp_path / "recordings").mkdir()
    for name, length_s in (("notice.wav", 1), ("story.wav", 30)):
        with wave.open(str(tmp_path / "recordings" / name), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(CALLER_HZ)
            file.writeframes((3000).to_bytes(2, "little") * CALLER_HZ * length_s)
    return tmp_path


async def test_a_recording_is_heard_to_its_end(listening: Listening, folder: Path):
    mind = Mind(("play_recording", {"name": "notice.wav"}))
    async with talking(listening, mind, "recordings", folder=folder) as (_, caller):
        assert await mind.told() == [{"status": "played"}]
        assert caller.audible_ms >= 950


async def test_speech_stops_a_recording(listening: Listening, folder: Path):
    words = await CallerVoice()("what time is it")
    mind = Mind(("play_recording", {"name": "story.wav"}))
    async with talking(listening, mind, "recordings", folder=folder) as (board, caller):
        await caller.hear(200)
        await caller.speak(words)
        stopped = await board.until("agent_speech_stopped")
        ended = await board.until("tool_ended")

        assert (stopped.played_ms < 29_000, ended.error) == (True, "cancelled")


async def test_speech_stops_no_recording_that_must_be_heard(listening: Listening, folder: Path):
    words = await CallerVoice()("what time is it")
    mind = Mind(("play_recording", {"name": "notice.wav"}))
    wanted = {"recordings": {"interruptible": False}}
    async with talking(listening, mind, wanted, folder=folder) as (board, caller):
        await caller.hear(200)
        await caller.speak(words)
        ended = await board.until("tool_ended")

        assert caller.audible_ms >= 950
        assert ended.error == ""


async def test_a_recording_elsewhere_is_none_of_the_agents(listening: Listening, folder: Path):
    (folder / "other.wav").write_bytes((folder / "recordings/notice.wav").read_bytes())
    mind = Mind(("play_recording", {"name": "../other.wav"}))
    async with talking(listening, mind, "recordings", folder=folder) as (board, caller):
        ended = await board.until("tool_ended")
        await caller.until(lambda: caller.audible_ms > 10)

        assert "There is no recording" in ended.error


# ── the end, and other ways in ───────────────────────────────────────────────────────────────


async def test_the_agent_hangs_up_after_its_last_word(listening: Listening):
    mind = Mind(("hang_up", {}), first="Goodbye then dear caller.")
    tts = FakeSynthesizer(word_ms=200)
    async with talking(listening, mind, "telephone", tts=tts) as (board, caller):
        await caller.hear_goodbye()

        assert caller.audible_ms >= 780
        assert (await board.until("call_ended")).reason == "agent"


async def test_tools_of_the_telephone_are_offered_on_the_telephone_only(listening: Listening):
    tools = ToolCatalog().tools_for(["telephone", TARGETS, "hold", "keypad", "recordings"])
    model = FakeChatter(lambda _: "Yes.")
    house = FakeHouse(listening, agents=[SILENT], llm=model, tools=tools)
    async with house.host() as host:
        call = start_call(host)
        await call.until("media_started")
        await call.control.ask("Hello?")
        await call.until("turn_ended")
        call.transport.leave()
        await call.until("call_ended")

    offered = [tool.name for tool in model.tools]
    assert offered == ["hang_up", "adjust_speech", "play_recording"]


async def test_a_call_on_hold_is_not_idle(listening: Listening):
    agent = agent_with(greeting="", turn_taking={"idle_s": 0.3, "hold_s": 60})
    mind = Mind()
    async with talking(listening, mind, agents=[agent]) as (board, caller):
        await caller.offer("sendonly")
        await board.until("call_held")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await board.until("call_ended")
        await caller.offer("sendrecv")

        assert (await board.until("call_ended")).reason == "idle"
