"""When a caller who waits for a tool is told so: soon, once more, and then ever more rarely."""

from __future__ import annotations

from parley.core.events import (
    AgentSpeechStarted,
    AgentSpeechStopped,
    AgentText,
    CallHeld,
    CallResumed,
    Event,
    UserSpeechStarted,
    UserSpeechStopped,
    UserTranscript,
)

LATER_S = (5.0, 13.0, 24.0, 40.0)
"""Since the wait began: when it is said that it still goes on. From then on …"""
LATEST_EVERY_S = 20.0
"""… so often."""
BREATH_S = 2.5
"""Between anything that is heard and the next time that waiting is spoken of."""
NEWS_BREATH_S = 0.6
"""The same where there is something to tell."""
_JUST_S = 0.05
SOUND_WITHIN_S = 3.0
"""Words that make no sound for so long will make none."""


class WaitingTimes:
    """Told of what happens on the line, it says when the next sentence is due.

    One is never due while anybody speaks, while the call is on hold, or before an earlier one was
    heard. ``now_s`` is any clock that runs evenly.
    """

    def __init__(self) -> None:
        self._began_s = 0.0
        self._quiet_since_s = 0.0
        self._sound_by_s = 0.0
        self._told = 0
        self._told_s = 0.0
        self._agent_speaks = False
        self._caller_speaks = False
        self._is_held = False
        self._is_over = True

    def begin(self, now_s: float) -> None:
        """The caller has to wait, or to wait on: to them, tools that follow each other without a
        word in between are one wait. What the agent is saying when it begins stands in the place
        of the first sentence."""
        if self._is_over:
            self._is_over = False
            self._began_s = self._told_s = now_s
            self._told = 1 if self._agent_speaks or now_s < self._sound_by_s else 0

    def skip_first(self) -> None:
        """There is no first sentence; go on with those that come later."""
        self._told = max(1, self._told)

    def told(self, now_s: float) -> None:
        """A sentence goes out now."""
        self._told += 1
        self._told_s = now_s
        self._sound_by_s = now_s + SOUND_WITHIN_S

    def note(self, event: Event, now_s: float) -> None:
        """Tell of an event of the call."""
        match event:
            case AgentText():
                self._is_over = True
                self._sound_by_s = now_s + SOUND_WITHIN_S
            case UserTranscript(final=True):
                self._is_over = True
            case AgentSpeechStarted():
                self._agent_speaks = True
            case AgentSpeechStopped():
                self._agent_speaks = False
                self._fell_quiet(now_s)
            case UserSpeechStarted():
                self._is_over = self._caller_speaks = True
            case UserSpeechStopped():
                self._caller_speaks = False
                self._fell_quiet(now_s)
            case CallHeld():
                self._is_held = True
            case CallResumed():
                self._is_held = False
                self._fell_quiet(now_s)
            case _:
                pass

    @property
    def is_first(self) -> bool:
        """Whether nothing has been said in this wait."""
        return not self._told

    def due_s(self, *, first_after_s: float, has_news: bool = False) -> float | None:
        """When the next sentence is due; None: not before something else happens."""
        if self._agent_speaks or self._caller_speaks or self._is_held:
            return None
        if has_news:
            due_s = self._quiet_since_s + NEWS_BREATH_S
        elif not self._told:
            due_s = max(self._began_s, self._quiet_since_s) + first_after_s
        else:
            due_s = max(self._began_s + self._later_s(), self._quiet_since_s + BREATH_S)
        return max(due_s, self._sound_by_s)

    def _later_s(self) -> float:
        """The first of those moments that nothing has been said since."""
        told_s = self._told_s - self._began_s
        for later_s in LATER_S:
            if later_s > told_s + _JUST_S:
                return later_s
        rounds = (told_s + _JUST_S - LATER_S[-1]) // LATEST_EVERY_S + 1
        return LATER_S[-1] + rounds * LATEST_EVERY_S

    def _fell_quiet(self, now_s: float) -> None:
        self._quiet_since_s = now_s
        self._sound_by_s = now_s
