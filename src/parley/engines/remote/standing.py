"""What several servers of one engine say of themselves, put into one status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from parley.core.errors import ModelMissing, ParleyError
from parley.engines.remote.addresses import without_password
from parley.engines.remote.instances import Instance
from parley.engines.spec import Status

ClientT = TypeVar("ClientT")

CHECK_LIMIT_S = 4.0


async def standing(
    instances: Sequence[Instance[ClientT]], ask: Callable[[ClientT], Awaitable[Status]]
) -> Status:
    """Ask every server at once, none for longer than 4 s. One that can work is enough.

    Who lacks the model gets no requests while another has it.
    """
    states = await asyncio.gather(*(_state(each, ask) for each in instances))
    for instance, state in zip(instances, states, strict=True):
        instance.lacks_model = bool(state.missing_model)
    if len(states) == 1:
        return states[0]
    able = [state for state in states if state.ok]
    told = [
        f"{without_password(each.url)}: {state.detail}"
        for each, state in zip(instances, states, strict=True)
        if not state.ok
    ]
    detail = "; ".join([f"{len(able)} of {len(states)} can work", *told])
    hint = " ".join(dict.fromkeys(state.hint for state in states if state.hint))
    missing = next((state.missing_model for state in states if state.missing_model), "")
    return Status(bool(able), detail, hint, missing)


async def _state(
    instance: Instance[ClientT], ask: Callable[[ClientT], Awaitable[Status]]
) -> Status:
    try:
        async with asyncio.timeout(CHECK_LIMIT_S):
            return await ask(instance.client)
    except TimeoutError:
        return Status(False, f"no answer within {CHECK_LIMIT_S:g} s")
    except ModelMissing as error:
        return Status(False, error.message, error.hint, error.model)
    except ParleyError as error:
        return Status(False, error.message, error.hint)
