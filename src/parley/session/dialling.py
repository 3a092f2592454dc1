"""A call that goes out: whom it goes to, and what is done when a machine takes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

OnMachine = Literal["ignore", "go_on", "hang_up", "leave_message"]
"""``ignore`` doesn't listen for one: the agent speaks as soon as somebody has answered."""

AnsweredBy = Literal["human", "machine", "unsure"]
Rule = Literal["short_greeting", "long_greeting", "beep", "silence", "limit"]


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who took a call, by which rule that was told, and how long after the answer."""

    by: AnsweredBy
    rule: Rule
    after_ms: float


@dataclass(frozen=True, slots=True)
class Opening:
    """How a call begins once somebody has answered: with the ``greeting``, "" being the agent's
    own. A machine may get a ``message`` instead; "" is the greeting."""

    on_machine: OnMachine = "ignore"
    greeting: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Dial:
    """Somebody is to be called. ``target`` and ``caller`` are URIs; "" as ``caller`` is whom the
    telephone takes itself for, and as ``agent`` the default one."""

    target: str
    tenant: str
    agent: str = ""
    caller: str = ""
    caller_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ring_limit_s: float = 45.0
    opening: Opening = field(default_factory=Opening)
