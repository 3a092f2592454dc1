"""The ``keypad`` tools: pressing keys, and having the caller type or say a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from parley.core.errors import CallNotLive, InvalidValue, NotSupported, ToolFailed
from parley.core.spelling import Spelling
from parley.tools.arguments import Arguments
from parley.tools.provider import ProviderContext
from parley.tools.spec import DigitsGiven, DigitsWanted, Tool, ToolCall

_SEND_LIMIT_S = 30.0
_SLACK_S = 120.0
_MOST_DIGITS = 64
_SPACES = str.maketrans("", "", " -./()")


class Number(BaseModel):
    """A number that callers are asked for. With ``digits`` 0 it may have any length."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    digits: int = Field(default=0, ge=0, le=_MOST_DIGITS)
    terminator: Literal["#", "*", ""] = "#"
    first_s: float = Field(default=10.0, gt=0, le=120)
    between_s: float = Field(default=4.0, gt=0, le=60)
    secret: bool = False
    description: str = ""

    def wanted(self) -> DigitsWanted:
        return DigitsWanted(
            count=self.digits,
            terminator=self.terminator,
            first_s=self.first_s,
            between_s=self.between_s,
            most=self.digits or _MOST_DIGITS,
            is_secret=self.secret,
        )

    @property
    def limit_s(self) -> float:
        """What a caller may take who types slowly, after a prompt of some length."""
        return self.first_s + self.between_s * (self.digits or _MOST_DIGITS) + _SLACK_S


Name = Annotated[
    str, Spelling(r"[a-z][a-z0-9_]{0,39}", "up to 40 small letters, digits and _, a letter first")
]


class KeypadOptions(BaseModel):
    """The numbers that callers are asked for, by name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    collect: Mapping[Name, Number] = Field(default={"digits": Number()}, max_length=20)
    secret: bool = False
    """Whether the keys that are pressed are kept out of events."""


class KeypadProvider:
    """Makes ``send_digits``, and a tool ``collect_NAME`` for each number."""

    name = "keypad"
    summary = "Pressing keys, and having the caller type or say a number."
    options = KeypadOptions

    def tools(self, options: KeypadOptions, context: ProviderContext) -> Sequence[Tool]:
        return (
            _send_tool(options.secret),
            *(_collect_tool(name, number) for name, number in options.collect.items()),
        )


def _send_tool(is_secret: bool) -> Tool:
    digits = {
        "type": "string",
        "pattern": "^[0-9*#A-D]+$",
        "description": "The keys, in order: 0-9, *, #",
    }
    return Tool(
        name="send_digits",
        description="Press keys on the telephone, for a machine at the other end.",
        run=_send,
        parameters={
            "type": "object",
            "properties": {"digits": digits},
            "required": ["digits"],
            "additionalProperties": False,
        },
        timeout_s=_SEND_LIMIT_S,
        interruptible=False,
        filler_after_ms=0,
        needs="digits",
        hides_arguments=is_secret,
    )


async def _send(call: ToolCall) -> dict[str, Any]:
    given = dict(call.arguments)
    if isinstance(given.get("digits"), int):
        given["digits"] = str(given["digits"])
    digits = Arguments(given, ("digits",)).text("digits").translate(_SPACES)
    try:
        await call.actions.send_digits(digits)
    except (NotSupported, InvalidValue, CallNotLive) as error:
        raise ToolFailed(error.message) from error
    return {"status": "sent"}


def _collect_tool(name: str, number: Number) -> Tool:
    what = number.description or name.replace("_", " ")
    prompt = {
        "type": "string",
        "maxLength": 300,
        "description": "What the caller is asked, unless you have just asked it",
    }
    return Tool(
        name=f"collect_{name}",
        description=f"Have the caller type a number on the keypad, or say it: {what}.",
        run=partial(_collect, number),
        parameters={
            "type": "object",
            "properties": {"prompt": prompt},
            "additionalProperties": False,
        },
        timeout_s=number.limit_s,
        interruptible=False,
        filler_after_ms=0,
        outlives_speech=True,
        needs="digits",
        hides_answer=number.secret,
    )


async def _collect(number: Number, call: ToolCall) -> dict[str, Any]:
    given = Arguments(call.arguments, ("prompt",))
    prompt = given.text("prompt", longest=300) if given.has("prompt") else ""
    found = await call.actions.collect_digits(number.wanted(), prompt)
    return _answer(number, found)


def _answer(number: Number, found: DigitsGiven) -> dict[str, Any]:
    """``status`` is complete, incomplete, nothing or said (something without a digit in it)."""
    if not found.digits:
        if found.said:
            return {"status": "said", "digits": "", "said": found.said}
        return {"status": "nothing", "digits": ""}
    is_whole = not number.digits or len(found.digits) == number.digits
    return {
        "status": "complete" if is_whole else "incomplete",
        "digits": found.digits,
        "spoken": " ".join(found.digits),
        "by": found.by,
    }
