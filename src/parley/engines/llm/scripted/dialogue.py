"""The dialogue itself: what is being arranged, what is asked next, what is said.

A ``Dialogue`` lives for one replay of one conversation. It is told what happened (the caller
said, a tool was asked for, a tool answered) and gives a ``Turn`` for each.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from parley.engines.llm.scripted.filling import Flow, fill_from
from parley.engines.llm.scripted.hearing import Heard, IntentFit, Listener
from parley.engines.llm.scripted.replies import Names, Template
from parley.engines.llm.scripted.results import Answer
from parley.engines.llm.scripted.script import Case, Intent
from parley.engines.llm.scripted.turn import Call, Turn
from parley.engines.llm.scripted.wording import Wording, joined

_CALLS_PER_TURN = 5
_NEARLY = 1e-6
_LAST = frozenset({"hang_up", "transfer"})
"""After these nobody is there who could be told anything."""


class Dialogue:
    """One conversation, from its start to where it stands.

    ``tools`` are the names of those on offer; ``now`` is the caller's time.
    """

    def __init__(self, listener: Listener, tools: frozenset[str], now: datetime) -> None:
        self.listener = listener
        self.script = listener.script
        self.wording = Wording(listener.script, now)
        self.tools = tools
        self.now = now
        self.flow: Flow | None = None
        self.requested: Flow | None = None
        self.running: dict[str, Flow] = {}
        self.memory: dict[str, str] = {}
        self.misses = 0
        self.calls = 0
        self.last_text = ""

    # ── what happens ─────────────────────────────────────────────────────────────────────────

    def spoken(self, text: str) -> None:
        """Something was said for the script: a greeting, an announcement."""
        self.last_text = self.last_text or text

    def greet(self) -> Turn:
        return self._said(Turn(self.wording.say(self.script.greeting)))

    def nudge(self) -> Turn:
        """Nothing new was said, yet the script is to speak."""
        if self.flow is not None and (question := self.wording.question(self.flow)):
            return self._said(Turn(question))
        return self._said(Turn(self.wording.say(self.script.still_there)))

    def hear(self, text: str) -> Turn:
        """The caller said something."""
        self._take_back()
        self.calls = 0
        heard = self.listener.listen(text)
        return self._said(self._answer(heard) if self.flow else self._begin(heard))

    def tool_requested(self, id: str, name: str) -> None:
        """The call that was wanted has been made."""
        if self.requested is not None and self.requested.intent.call == name:
            self.running[id] = self.requested
            self.requested = None

    def tool_cancelled(self, id: str) -> None:
        """The tool was stopped, as the caller spoke."""
        flow = self.running.pop(id, None)
        if flow is not None:
            self.requested = flow
            self._take_back()

    def tool_answered(self, id: str, answer: Answer) -> Turn:
        """The tool gave a result or failed."""
        flow = self.running.pop(id, None)
        if flow is None:
            # A tool that this script never called: another model did, or an earlier script.
            return Turn(answer.error or (answer.result if isinstance(answer.result, str) else ""))
        aside_of = self.flow
        flow.answer = {"result": answer.result, "error": answer.error}
        if not answer.failed:
            self._remember(flow)
        cases = flow.intent.on_error if answer.failed else flow.intent.on_result
        case = next((each for each in cases if self.wording.holds(each, flow)), None)
        turn = self._follow(case, flow) if case is not None else Turn(answer.error)
        if answer.failed and not (turn.text or turn.call):
            turn = Turn(self.wording.say(self.script.trouble, flow))
        if aside_of is not None and self.flow is aside_of:
            turn = self._and_ask_again(turn)
        if not (turn.text or turn.call) and flow.intent.call not in _LAST:
            # Silence would pass for a broken engine.
            turn = Turn(self.wording.say(self.script.done, flow))
        return self._said(turn)

    def wait(self) -> Turn:
        """A tool is still at work, and the script is to speak."""
        return Turn(self.wording.say(self.script.wait))

    # ── understanding ────────────────────────────────────────────────────────────────────────

    def _begin(self, heard: Heard) -> Turn:
        """Nothing is being arranged: see what the caller wants."""
        if not heard.fits:
            return self._not_understood()
        return self._start(heard.fits[0], heard)

    def _answer(self, heard: Heard) -> Turn:
        """Something is being arranged: an answer, a correction, a remark or another wish."""
        flow = self.flow
        assert flow is not None
        may_leave = flow.asking == "change"
        fit = next((each for each in heard.fits if may_leave or not each.intent.only_idle), None)
        captured = fit if fit and fit.intent is flow.intent else None
        filling = fill_from(flow, heard, captured, self.script, self.now)
        found = filling.values
        verdict, verdict_weight = heard.yes_or_no() if flow.asking == "confirm" else ("", 0.0)
        answered = bool(found or verdict)
        if fit and fit.intent is not flow.intent:
            outweighs = fit.fit.score > filling.weight + verdict_weight + _NEARLY
            if outweighs and not (fit.intent.is_courtesy and answered):
                self.flow = None if fit.intent.only_idle else flow
                return self._start(fit, heard)
        if not answered and captured is None:
            found = self._guessed(flow, heard)
        if not (found or verdict or captured):
            return self._not_understood()
        self.misses = flow.misses = 0
        changes = {name: value for name, value in found.items() if flow.slots.get(name) != value}
        flow.slots.update(changes)
        if flow.asking == "confirm" and not changes:
            if verdict == "yes":
                return self._execute(flow)
            if verdict == "no":
                flow.asking = "change"
                return Turn(self.wording.say(flow.intent.declined or self.script.declined, flow))
        return self._advance(flow)

    def _guessed(self, flow: Flow, heard: Heard) -> dict[str, str]:
        """An answer in words that no slot expects, such as a rare name."""
        slots = self.script.slots
        is_correction = flow.asking in ("confirm", "change")
        for name in flow.intent.needs if is_correction else (flow.asking,):
            guess = slots[name].type.guess(heard.words, unasked=is_correction)
            if guess:
                return {name: guess}
        return {}

    def _not_understood(self) -> Turn:
        script = self.script
        self.misses += 1
        flow = self.flow
        if flow is not None:
            flow.misses += 1
            if flow.misses >= script.tries:
                self.flow = None
                self.misses = 0
                return Turn(self.wording.say(script.give_up, flow))
        sorry = script.fallback[min(self.misses, len(script.fallback)) - 1]
        return Turn(joined(sorry.render(self.wording.names(flow)), self.wording.question(flow)))

    # ── doing ────────────────────────────────────────────────────────────────────────────────

    def _start(self, fit: IntentFit, heard: Heard) -> Turn:
        """The caller wants this now."""
        self.misses = 0
        aside = heard.aside(fit)
        if aside and fit.intent.is_only_words and not aside.intent.is_only_words:
            fit, aside = aside, fit
        before = ""
        if aside and aside.intent.is_only_words:
            before = self.wording.say(aside.intent.reply)
        turn = self._carry_out(fit, heard)
        return Turn(joined(before, turn.text), turn.call, turn.is_repeat)

    def _carry_out(self, fit: IntentFit, heard: Heard) -> Turn:
        intent = fit.intent
        if intent.action == "repeat":
            if not self.last_text:
                return self.greet()
            return Turn(joined(self.wording.say(intent.reply), self.last_text), is_repeat=True)
        if intent.action == "abandon":
            self.flow = None
            return Turn(self.wording.say(intent.reply))
        flow = Flow(intent, self._known_slots(intent))
        flow.slots.update(fill_from(flow, heard, fit, self.script, self.now).values)
        if not intent.is_remark:
            return self._advance(flow)
        turn = self._execute(flow)
        return turn if intent.call else self._and_ask_again(turn)

    def _known_slots(self, intent: Intent) -> dict[str, str]:
        """What the caller need not say again: remembered, or part of what this interrupts."""
        known = {name: value for name, value in self.memory.items() if name in intent.slots}
        if self.flow is not None:
            before = self.flow.slots
            known.update({name: before[name] for name in intent.inherits if name in before})
        return known

    def _advance(self, flow: Flow) -> Turn:
        """Ask for what is missing, then for a yes, then do it."""
        flow.asking = next((name for name in flow.intent.needs if name not in flow.slots), "")
        if not flow.asking and flow.intent.confirm:
            flow.asking = "confirm"
        if not flow.asking:
            return self._execute(flow)
        self.flow = flow
        return Turn(self.wording.question(flow))

    def _execute(self, flow: Flow) -> Turn:
        if not flow.intent.is_remark:
            self.flow = None
        text = self.wording.say(flow.intent.reply, flow)
        if not flow.intent.call:
            self._remember(flow)
            return Turn(text)
        if flow.intent.call not in self.tools:
            # A goodbye is one without a telephone too.
            return Turn(text or self.wording.say(self.script.unavailable, flow))
        self.calls += 1
        if self.calls > _CALLS_PER_TURN:
            return Turn(self.wording.say(self.script.trouble, flow))
        self.requested = flow
        names = self.wording.names(flow)
        arguments = {
            name: self._argument(value, names) if isinstance(value, Template) else value
            for name, value in flow.intent.arguments.items()
        }
        wanted = {name: value for name, value in arguments.items() if value not in (None, "")}
        return Turn(text, Call(flow.intent.call, wanted))

    def _argument(self, template: Template, names: Names) -> Any:
        value = template.value(names)
        slot = self.script.slots.get(template.names[0]) if template.names else None
        return slot.type.argument(value) if slot and template.is_field else value

    def _follow(self, case: Case, flow: Flow) -> Turn:
        """Do as the script says about a tool's answer."""
        names = self.wording.names(flow)
        text = self.wording.say(case.reply, flow)
        for name, template in case.settings.items():
            value = template.value(names)
            if value not in (None, ""):
                flow.slots[name] = str(value)
        for name in case.again:
            flow.slots.pop(name, None)
        if case.then:
            flow = Flow(self.script.intents[case.then], dict(flow.slots))
        if not (case.then or case.again):
            return Turn(text)
        turn = self._advance(flow)
        return Turn(joined(text, turn.text), turn.call)

    def _take_back(self) -> None:
        """A call that was wanted was never made, or was stopped: nothing has been done yet."""
        flow, self.requested = self.requested, None
        if flow is not None and flow.intent.confirm and self.flow is None:
            flow.asking = "confirm"
            self.flow = flow

    def _remember(self, flow: Flow) -> None:
        """What was told once and acted on holds for the rest of the call."""
        for name, value in flow.slots.items():
            if self.script.slots[name].is_remembered:
                self.memory[name] = value

    def _and_ask_again(self, turn: Turn) -> Turn:
        """After a remark, come back to what was being asked."""
        if self.flow is None or not turn.text:
            return turn
        return Turn(joined(turn.text, self.wording.question(self.flow)), turn.call)

    def _said(self, turn: Turn) -> Turn:
        if turn.text and not turn.is_repeat:
            self.last_text = turn.text
        return turn
