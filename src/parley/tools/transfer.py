"""The tools ``transfer`` and ``hold``: handing the caller on, and having the caller wait."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from parley.core.errors import CallNotLive, InvalidValue, NotSupported, ToolFailed
from parley.tools.arguments import Arguments, one_of
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool, ToolCall

# A telephone is let ring for a minute, and the far side has its say after that.
_TRANSFER_LIMIT_S = 90.0
_CHANGE_LIMIT_S = 40.0
_TARGET = re.compile(r"(sips?|tel):[^\s\x00-\x1f\x7f<>]+", re.IGNORECASE)


def _address(value: object) -> object:
    if isinstance(value, str) and not _TARGET.fullmatch(value):
        raise ValueError("takes an address such as sip:100@pbx.example.org or tel:+4930123456")
    return value


class TransferOptions(BaseModel):
    """Whom the agent may hand a caller on to, by names that it understands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    targets: Mapping[
        Annotated[str, Field(min_length=1, max_length=60)],
        Annotated[str, BeforeValidator(_address), Field(max_length=200)],
    ] = Field(default={}, max_length=50)


class TransferProvider:
    """Makes the tool ``transfer``. It reaches the targets that the agent's file names and nobody
    else: a model that may dial any number can be talked into dialling any number."""

    name = "transfer"
    summary = "Handing the caller on to somebody whom the agent's file names."
    options = TransferOptions

    def tools(self, options: TransferOptions, context: ProviderContext) -> Sequence[Tool]:
        to = one_of(list(options.targets), "Whom the caller is handed on to")
        return (
            Tool(
                name="transfer",
                description="Hand the caller on to somebody else. Say first whom to. The call is "
                "over for you once they answer; if they don't, you are told why and go on.",
                run=partial(_transfer, options.targets),
                parameters={
                    "type": "object",
                    "properties": {"to": to},
                    "required": ["to"],
                    "additionalProperties": False,
                },
                timeout_s=_TRANSFER_LIMIT_S,
                interruptible=False,
                filler_after_ms=0,
                outlives_speech=True,
                needs="transfer",
            ),
        )


async def _transfer(targets: Mapping[str, str], call: ToolCall) -> dict[str, Any]:
    wanted = Arguments(call.arguments, ("to",)).text("to")
    found = next((name for name in targets if name.lower() == wanted.lower()), None)
    if found is None:
        known = ", ".join(targets) or "nobody"
        raise ToolFailed(f"Nobody is called {wanted!r} here; callers can be handed on to {known}.")
    try:
        await call.actions.transfer(targets[found])
    except (NotSupported, InvalidValue, CallNotLive) as error:
        raise ToolFailed(error.message) from error
    return {"status": "transferred", "to": found}


class HoldOptions(BaseModel):
    """Holding has nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HoldProvider:
    """Makes the tools ``hold_call`` and ``resume_call``."""

    name = "hold"
    summary = "Putting the caller on hold, and taking the call back."
    options = HoldOptions

    def tools(self, options: HoldOptions, context: ProviderContext) -> Sequence[Tool]:
        return (
            _bare(
                "hold_call",
                "Put the caller on hold. Say first that they will have to wait. You can't hear "
                "the caller until you use resume_call.",
                _hold,
            ),
            _bare("resume_call", "Take the call back from hold.", _resume),
        )


def _bare(name: str, description: str, run: Any) -> Tool:
    return Tool(
        name=name,
        description=description,
        run=run,
        parameters={"type": "object", "properties": {}, "additionalProperties": False},
        timeout_s=_CHANGE_LIMIT_S,
        interruptible=False,
        filler_after_ms=0,
        needs="hold",
    )


async def _hold(call: ToolCall) -> dict[str, Any]:
    try:
        await call.actions.hold()
    except (NotSupported, CallNotLive) as error:
        raise ToolFailed(error.message) from error
    return {"status": "on_hold"}


async def _resume(call: ToolCall) -> dict[str, Any]:
    try:
        await call.actions.resume()
    except (NotSupported, CallNotLive) as error:
        raise ToolFailed(error.message) from error
    return {"status": "resumed"}
