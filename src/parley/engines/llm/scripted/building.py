"""A script's form becomes a script: patterns and templates are parsed, names are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from parley.core.registry import did_you_mean
from parley.engines.llm.scripted.automaton import Automaton
from parley.engines.llm.scripted.form import CaseForm, IntentForm, ScriptForm, SlotForm
from parley.engines.llm.scripted.pattern import (
    BadPattern,
    Node,
    Word,
    parse_pattern,
    slots_of,
)
from parley.engines.llm.scripted.problems import Place, Problems
from parley.engines.llm.scripted.replies import NOW_NAMES, BadTemplate, Template
from parley.engines.llm.scripted.script import Case, Intent, Replies, Script, SlotUse
from parley.engines.llm.scripted.slots import (
    BUILT_IN,
    COMMON_NAMES,
    Choice,
    Person,
    SlotType,
)

_ANSWER_NAMES = ("result", "error")
"""What templates may use besides when they word a tool's answer."""

_STATES = ("confirm", "change")
"""What is asked for besides slots."""

_PLAIN_ANSWER = Word("answer", "answer")


@dataclass(frozen=True)
class Builder:
    """Builds one script and notes what is wrong with its form."""

    form: ScriptForm
    problems: Problems
    phrases: dict[str, Node] = field(default_factory=dict[str, Node])
    slots: dict[str, SlotUse] = field(default_factory=dict[str, SlotUse])
    plain_types: dict[str, SlotType] = field(
        default_factory=lambda: {name: make() for name, make in BUILT_IN.items()}
    )

    def build(self) -> Script:
        form = self.form
        for name, text in form.phrases.items():
            self._keep_phrase(name, text)
        self._add_slots()
        intents = [
            self._intent(intent, ("intents", number)) for number, intent in enumerate(form.intents)
        ]
        self._check_names(intents)
        script = Script(
            name=form.name,
            language=form.language,
            values=form.values,
            slots=self.slots,
            intents={intent.name: intent for intent in intents},
            greeting=self._replies(form.greeting, ("greeting",)),
            fallback=self._replies(form.fallback, ("fallback",)),
            still_there=self._replies(form.still_there, ("still_there",)),
            declined=self._replies(form.declined, ("declined",)),
            give_up=self._replies(form.give_up, ("give_up",)),
            unavailable=self._replies(form.unavailable, ("unavailable",)),
            trouble=self._replies(form.trouble, ("trouble",), extra=_ANSWER_NAMES),
            done=self._replies(form.done, ("done",), extra=_ANSWER_NAMES),
            wait=self._replies(form.wait, ("wait",)),
            tries=form.tries,
        )
        self.problems.raise_if_any()
        return script

    # ── phrases and slots ────────────────────────────────────────────────────────────────────

    def _keep_phrase(self, name: str, text: str) -> None:
        node = self._pattern(text, ("phrases", name), may_be_silent=True)
        if node is not None:
            self.phrases[name] = node

    def _add_slots(self) -> None:
        forms = dict(self.form.slots)
        for name in self.plain_types:
            if name not in self.form.values:
                forms.setdefault(name, SlotForm())
        types = {name: self._slot_type(name, form) for name, form in forms.items()}
        # Patterns of answers name slots, so all names must be known before the first is parsed.
        for name, type_ in types.items():
            self.slots[name] = SlotUse(name, type_, (), (), False)
        for name, form in forms.items():
            place = ("slots", name)
            answers = form.say or tuple(
                text.replace("{}", f"{{{name}}}") for text in types[name].answers
            )
            nodes = self._patterns(answers, (*place, "say") if form.say else place)
            ask = self._replies(form.ask, (*place, "ask"))
            self.slots[name] = SlotUse(name, types[name], ask, nodes, form.remember)

    def _slot_type(self, name: str, form: SlotForm) -> SlotType:
        place = ("slots", name)
        if name in (*_ANSWER_NAMES, *NOW_NAMES, *_STATES, *self.form.values):
            self.problems.add(place, f'"{name}" already means something else: rename the slot.')
        kind = form.type or ("choice" if form.options else "person" if form.names else name)
        if form.options and kind != "choice":
            self.problems.add((*place, "options"), "Only slots of type choice have options.")
        if form.names and kind != "person":
            self.problems.add((*place, "names"), "Only slots of type person have names.")
        if kind == "choice":
            return self._choice(form, place)
        if kind == "person":
            return Person(form.names or COMMON_NAMES)
        if kind not in self.plain_types:
            self.problems.add(
                place, f"What is a {name}? Give its type: day, time, number, person or choice."
            )
            return self.plain_types["number"]
        return self.plain_types[kind]

    def _choice(self, form: SlotForm, place: Place) -> SlotType:
        options = {
            value: self._patterns(texts, (*place, "options", value))
            for value, texts in form.options.items()
        }
        if not options:
            self.problems.add(place, 'A choice needs options: "options: {red: [red, crimson]}".')
        for value, nodes in options.items():
            for name in (name for node in nodes for name in slots_of(node)):
                self.problems.add(
                    (*place, "options", value), f"An option can't hold a slot ({{{name}}})."
                )
        kept = {value: nodes for value, nodes in options.items() if nodes}
        return Choice(kept or {"": (_PLAIN_ANSWER,)})

    # ── intents ──────────────────────────────────────────────────────────────────────────────

    def _intent(self, form: IntentForm, place: Place) -> Intent:
        patterns = self._patterns(form.say, (*place, "say"))
        for key, names in (("needs", form.needs), ("inherits", form.inherits)):
            for number, name in enumerate(names):
                self._check_slot(name, (*place, key, number))
        for name in form.ask:
            self._check_slot(name, (*place, "ask", name))
        for name in form.needs:
            if name in self.slots and not (self.slots[name].ask or name in form.ask):
                self.problems.add(
                    (*place, "needs"), f'How is {name} asked for? Give the slot "ask".'
                )
        self._check_sense(form, place)
        arguments = {
            name: self._template(value, (*place, "with", name)) if isinstance(value, str) else value
            for name, value in form.arguments.items()
        }
        slots = {name for node in patterns for name in slots_of(node)}.union(form.needs)
        for value in arguments.values():
            slots.update(name for name in _names_in(value) if name in self.slots)
        return Intent(
            name=form.name,
            patterns=patterns,
            automata=tuple(Automaton(node) for node in patterns),
            reply=self._replies(form.reply, (*place, "reply")),
            needs=form.needs,
            inherits=form.inherits,
            ask={
                name: self._replies(texts, (*place, "ask", name))
                for name, texts in form.ask.items()
            },
            confirm=self._replies(form.confirm, (*place, "confirm")),
            declined=self._replies(form.declined, (*place, "declined")),
            call=form.call,
            arguments=arguments,
            on_result=self._cases(form.on_result, (*place, "on_result")),
            on_error=self._cases(form.on_error, (*place, "on_error")),
            action=form.action,
            only_idle=form.idle,
            is_courtesy=form.courtesy,
            slots=frozenset(slots),
        )

    def _check_sense(self, form: IntentForm, place: Place) -> None:
        add = self.problems.add
        if not (form.reply or form.call or form.action or form.needs):
            add(place, f'"{form.name}" does nothing: give it a reply, a call or an action.')
        if not form.call:
            for key, given in (
                ("on_result", form.on_result), ("on_error", form.on_error),
                ("with", form.arguments), ("confirm", form.confirm),
            ):  # fmt: skip
                if given:
                    add((*place, key), f'"{key}" needs a tool: add "call: name_of_the_tool".')
        if form.needs and not (form.call or form.reply):
            add((*place, "needs"), "Nothing is done with what is asked: add a call or a reply.")
        if form.action == "abandon" and not form.reply:
            add(place, '"abandon" needs a reply: what is said when the caller drops it.')
        if form.action and form.call:
            add((*place, "call"), f'"{form.action}" is all that this intent does: drop the call.')
        if form.declined and not form.confirm:
            add((*place, "declined"), '"declined" answers a no to "confirm", which is missing.')

    def _cases(self, forms: Sequence[CaseForm], place: Place) -> tuple[Case, ...]:
        return tuple(self._case(form, (*place, number)) for number, form in enumerate(forms))

    def _case(self, form: CaseForm, place: Place) -> Case:
        condition = form.only_if or form.unless
        if form.only_if and form.unless:
            self.problems.add(place, 'A case has "if" or "unless", not both.')
        if condition and condition.split(".")[0] not in _ANSWER_NAMES:
            self.problems.add(
                place, f'"{condition}" is not in the tool\'s answer: write result.{condition}'
            )
        for name in (*form.set, *form.again):
            self._check_slot(name, (*place, "set" if name in form.set else "again"))
        if not (form.reply or form.then or form.again):
            self.problems.add(place, 'A case needs a reply, "then" or "again".')
        return Case(
            condition=condition,
            wanted=not form.unless,
            reply=self._replies(form.reply, (*place, "reply"), extra=_ANSWER_NAMES),
            settings={
                name: self._template(text, (*place, "set", name), extra=_ANSWER_NAMES)
                for name, text in form.set.items()
            },
            again=form.again,
            then=form.then,
        )

    def _check_names(self, intents: Sequence[Intent]) -> None:
        names = [form.name for form in self.form.intents]
        led_to = {
            case.then for form in self.form.intents for case in (*form.on_result, *form.on_error)
        }
        for number, form in enumerate(self.form.intents):
            place = ("intents", number)
            if form.name in names[:number]:
                self.problems.add((*place, "name"), f'There are two intents "{form.name}".')
            if not form.say and form.name not in led_to:
                self.problems.add(place, f'Nothing leads to "{form.name}": add "say".')
            for key, cases in (("on_result", form.on_result), ("on_error", form.on_error)):
                for index, case in enumerate(cases):
                    if case.then and case.then not in names:
                        self.problems.add(
                            (*place, key, index, "then"),
                            f'There is no intent "{case.then}". {did_you_mean(case.then, names)}',
                        )

    # ── patterns and templates ───────────────────────────────────────────────────────────────

    def _patterns(self, texts: Sequence[str], place: Place) -> tuple[Node, ...]:
        nodes = [self._pattern(text, (*place, number)) for number, text in enumerate(texts)]
        return tuple(dict.fromkeys(node for node in nodes if node is not None))

    def _pattern(self, text: str, place: Place, *, may_be_silent: bool = False) -> Node | None:
        try:
            node = parse_pattern(text, self.phrases, may_be_silent=may_be_silent)
        except BadPattern as error:
            self.problems.add(place, str(error))
            return None
        if place[0] != "phrases":
            for name in slots_of(node):
                self._check_slot(name, place)
        return node

    def _check_slot(self, name: str, place: Place) -> None:
        if name not in self.slots:
            self.problems.add(place, f'There is no slot "{name}". {did_you_mean(name, self.slots)}')

    def _replies(self, texts: Sequence[str], place: Place, extra: Sequence[str] = ()) -> Replies:
        return tuple(
            self._template(text, (*place, number), extra) for number, text in enumerate(texts)
        )

    def _template(self, text: str, place: Place, extra: Sequence[str] = ()) -> Template:
        try:
            template = Template(text)
        except BadTemplate as error:
            self.problems.add(place, f"{error}.")
            return Template("")
        known = [*self.form.values, *self.slots, *NOW_NAMES, *extra]
        for name in template.names:
            if name.split(".")[0] in known:
                continue
            if name.split(".")[0] in _ANSWER_NAMES:
                what = f"{{{name}}} is known only in on_result and on_error."
            else:
                what = f'There is no value or slot "{name}". {did_you_mean(name, known)}'
            self.problems.add(place, what)
        return template


def _names_in(value: Template | float | None) -> Sequence[str]:
    return value.names if isinstance(value, Template) else ()
