"""How a call differs from its agent's own ways, where its protocol leaves that to the caller."""

from __future__ import annotations

from dataclasses import dataclass, field

from parley.session.dialling import Opening


@dataclass(frozen=True, slots=True)
class CallTerms:
    """``is_agent`` off takes from the agent only its engines and limits: no greeting, goodbye,
    tools or instructions. With ``speaks`` off nothing is ever said, not even that a word was not
    understood. ``opening`` is for calls that go out."""

    is_agent: bool = True
    speaks: bool = True
    opening: Opening = field(default_factory=Opening)


AS_THE_AGENT_IS = CallTerms()
