"""The YAML of a dialogue script, as people write it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from parley.core.spelling import Spelling


def _texts(value: Any) -> Any:
    """One text or a list of texts."""
    if isinstance(value, dict):
        raise PydanticCustomError(
            "unquoted", "this must be text; put text that holds { } or a colon in double quotes"
        )
    if not isinstance(value, list):
        return (value,)
    items = cast("list[Any]", value)
    if any(isinstance(item, list | dict) for item in items):
        raise PydanticCustomError(
            "unquoted", "put text that starts with [ or {, or holds a colon, in double quotes"
        )
    return tuple(items)


def _cases(value: Any) -> Any:
    """A reply, several of them, one case or a list of cases."""
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list) and any(isinstance(item, dict) for item in cast("list[Any]", value)):
        return cast("list[Any]", value)
    return [{"reply": value}]


Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_texts)]
Name = Annotated[str, Spelling(r"[a-z][a-z0-9_]*", "small letters, digits and _")]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SlotForm(_Form):
    """A piece of information that callers give."""

    type: Literal["", "day", "time", "number", "person", "choice"] = ""
    ask: Texts = ()
    say: Texts = ()
    names: Texts = ()
    options: dict[str, Texts] = {}
    remember: bool = False


class CaseForm(_Form):
    """What to do with a tool's answer."""

    only_if: str = Field(default="", alias="if")
    unless: str = ""
    reply: Texts = ()
    set: dict[Name, Text] = {}
    again: Texts = ()
    then: str = ""


Cases = Annotated[tuple[CaseForm, ...], BeforeValidator(_cases)]


class IntentForm(_Form):
    """One thing that callers want."""

    name: Name
    say: Texts = ()
    reply: Texts = ()
    needs: Texts = ()
    inherits: Texts = ()
    ask: dict[Name, Texts] = {}
    confirm: Texts = ()
    declined: Texts = ()
    call: str = ""
    arguments: dict[str, str | bool | int | float | None] = Field(default={}, alias="with")
    on_result: Cases = ()
    on_error: Cases = ()
    action: Literal["", "repeat", "abandon"] = ""
    idle: bool = False
    courtesy: bool = False


class ScriptForm(_Form):
    """The whole file."""

    name: str
    language: str = "en"
    values: dict[Name, Text] = {}
    phrases: dict[Name, Text] = {}
    slots: dict[Name, SlotForm] = {}
    intents: Annotated[tuple[IntentForm, ...], Field(min_length=1)]
    greeting: Texts
    fallback: Texts = (
        "Sorry, I did not get that.",
        "I am sorry, I still did not understand. Could you say it in other words?",
    )
    still_there: Texts = ("Are you still there?",)
    declined: Texts = ("All right. What should I change?",)
    give_up: Texts = ("I am sorry, I could not get that. Let us leave it for now.",)
    unavailable: Texts = ("I am sorry, I can't do that on this line.",)
    trouble: Texts = ("I am sorry, that did not work just now. Please try again later.",)
    done: Texts = ("What else can I do for you?",)
    wait: Texts = ("One moment, please.",)
    tries: Annotated[int, Field(ge=1, le=10)] = 3
