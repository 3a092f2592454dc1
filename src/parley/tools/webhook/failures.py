"""What can go wrong between us and a tool at a URL, and the sentence that each becomes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

FailureKind = Literal[
    "not_allowed",
    "unreachable",
    "paused",
    "timeout",
    "broken_off",
    "redirect",
    "not_trusted",
    "not_there",
    "not_understood",
    "busy",
    "gateway",
    "broken",
    "empty",
    "no_data",
    "a_file",
    "too_large",
    "no_envelope",
    "not_set_up",
]

# Read out as it stands when no language model words it. {} is the tool's name in words.
_SENTENCES: dict[FailureKind, str] = {
    "not_allowed": "The service for {} can't be used here.",
    "unreachable": "The service for {} can't be reached right now.",
    "paused": "The service for {} isn't working right now.",
    "timeout": "The service for {} did not answer in time.",
    "broken_off": "The service for {} stopped in the middle of its answer.",
    "redirect": "The service for {} has moved.",
    "not_trusted": "The service for {} doesn't let me in.",
    "not_there": "The service for {} isn't there any more.",
    "not_understood": "The service for {} did not understand the request.",
    "busy": "The service for {} is too busy right now.",
    "gateway": "The service for {} isn't working right now.",
    "broken": "The service for {} has a problem of its own.",
    "empty": "The service for {} gave no answer.",
    "no_data": "The service for {} answered something that I can't read.",
    "a_file": "The service for {} answered with a file, which I can't read out.",
    "too_large": "The service for {} answered more than I can take in.",
    "no_envelope": "The service for {} answered something that I can't read.",
    "not_set_up": "The service for {} can't be used here.",
}
MAYBE_DONE = "It may have been done all the same, so check before you try again."

# After these nobody knows whether the tool has done its work.
_UNCERTAIN = frozenset(
    {"timeout", "broken_off", "gateway", "broken", "empty", "no_data", "a_file", "too_large",
     "no_envelope"}
)  # fmt: skip
_PASSING = frozenset({"unreachable", "broken_off", "busy", "gateway"})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer. ``detail`` is for the log; ``says`` is the service's own sentence,
    where it gave one; ``was_sent`` tells whether the request may have reached it."""

    kind: FailureKind
    detail: str
    says: str = ""
    status: int = 0
    was_sent: bool = True

    @property
    def may_pass(self) -> bool:
        """Whether a second attempt, a moment later, may go better."""
        return self.kind in _PASSING

    def unquoted(self) -> Failure:
        """The same without the service's own words, which were meant for people who set it up."""
        return replace(self, says="")

    def sentence(self, tool: str, *, changes: bool = False) -> str:
        """What the model is told, and can pass on to the caller."""
        words = _SENTENCES[self.kind].format(tool.replace("_", " "))
        if self.says:
            full_stop = "" if self.says.endswith((".", "!", "?")) else "."
            words = f"{words[:-1]}: {self.says}{full_stop}"
        if changes and self.was_sent and self.kind in _UNCERTAIN:
            words = f"{words} {MAYBE_DONE}"
        return words


def status_failure(status: int, says: str = "") -> Failure:
    """The failure that an HTTP status stands for."""
    kind: FailureKind = "not_understood"
    if status < 400:
        kind = "redirect"
    elif status >= 500:
        kind = "gateway" if status in (502, 503, 504) else "broken"
    else:
        kind = _STATUSES.get(status, kind)
    return Failure(kind, f"HTTP {status}", says, status)


_STATUSES: dict[int, FailureKind] = {
    401: "not_trusted",
    403: "not_trusted",
    404: "not_there",
    405: "not_there",
    407: "not_trusted",
    410: "not_there",
    425: "busy",
    429: "busy",
}
