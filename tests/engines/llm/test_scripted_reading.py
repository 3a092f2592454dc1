"""Script files: found, read, and every mistake reported with its line and what to write."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from parley.core.errors import BadScript
from parley.engines.llm.scripted.form import CaseForm, IntentForm, ScriptForm, SlotForm
from parley.engines.llm.scripted.reading import find_script, read_script

SMALL = """\
name: small
greeting: Hello.
values: {shop: Flower Corner}
phrases:
  i_want: (i want | i would like)
slots:
  colour:
    options: {red: [red, crimson], blue: [dark blue]}
    ask: Which colour?
intents:
  - name: order
    say: "[<i_want>] (roses | {colour} roses)"
    needs: [colour]
    call: order
    with: {colour: "{colour}", count: 3}
    on_result: "{colour} roses from {shop} it is."
"""


@pytest.fixture
def write(tmp_path):
    def write(text):
        file = tmp_path / "script.yaml"
        file.write_text(text, encoding="utf-8")
        return file

    return write


def complaint(file):
    with pytest.raises(BadScript) as problem:
        read_script(file)
    return str(problem.value).replace(str(file), "script.yaml")


def test_a_script_is_read_with_all_it_holds(write):
    script = read_script(write(SMALL))

    order = script.intents["order"]
    assert script.name == "small"
    assert order.slots == {"colour"}
    assert order.call == "order"
    assert order.on_result[0].reply[0].names == ("colour", "shop")
    assert script.fallback[0].text == "Sorry, I did not get that."


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: small", "nmae: small", '"nmae" is not known here. Did you mean name?'),
        ("greeting: Hello.\n", "", 'line 1: "greeting" is missing here: add it.'),
        ("greeting: Hello.", "greeting: 7", 'line 2: greeting: put "7" in quotes'),
        ("greeting: Hello.", "greeting: {a: b}", "line 2: greeting: this must be text; put text"),
        ("greeting: Hello.", "greeting: [[a]]", "line 2: greeting: put text that starts with ["),
        ("greeting: Hello.", "greeting: ''", "line 2: greeting: this is empty"),
        ("greeting: Hello.", "greeting: a: b", 'line 2: This is not YAML: mapping values'),
        ("{shop}", "{shp}", 'line 16: There is no value or slot "shp". Did you mean shop?'),
        ("{shop}", "{shop", "has a brace without its partner"),
        ("{shop}", "{Shop!}", "is no field: write a name in small letters"),
        ("Hello.", "'{result.x}'", "{result.x} is known only in on_result and on_error."),
        ("{shop: F", "{colour: F", 'line 7: "colour" already means something else'),
        ("options: {red: [red, crimson], blue: [dark blue]}", "type: choice",
         "line 7: A choice needs options"),
        ("options: {red: [red, crimson], blue: [dark blue]}", "names: [a]\n    type: day",
         "line 8: Only slots of type person have names."),
        ("    options: {red: [red, crimson], blue: [dark blue]}\n", "",
         "line 7: What is a colour? Give its type: day, time, number, person or choice."),
        ("[dark blue]", "['{day}']", "line 8: An option can't hold a slot ({day})."),
        ("dark blue]", "(dark blue]", 'line 8: In "(dark blue": ( is never closed: add ).'),
        ("<i_want>", "<i_wnt>", "line 12: In \"[<i_wnt>] (roses | {colour} roses)\": there is no"),
        ("{colour} roses)", "{color} roses)", 'line 12: There is no slot "color". Did you mean'),
        ("    ask: Which colour?\n", "", 'line 12: How is colour asked for? Give the slot "ask".'),
        ("  colour:\n", "  confirm:\n", 'line 7: "confirm" already means something else'),
        ("needs: [colour]", "needs: [color]", 'line 13: There is no slot "color".'),
        ("call: order\n", "call: ''\n", 'line 15: "with" needs a tool'),
        ("    say: \"[<i_want>] (roses | {colour} roses)\"\n", "", 'Nothing leads to "order"'),
        ("name: order\n", "name: Order!\n", 'line 11: "Order!" is no name: use small letters'),
        ("on_result: \"{colour} roses from {shop} it is.\"", "on_result: {then: oder}",
         'line 16: There is no intent "oder". Did you mean order?'),
        ("on_result: \"{colour} roses from {shop} it is.\"", "on_result: {if: x, reply: y}",
         'line 16: "x" is not in the tool\'s answer: write result.x'),
        ("on_result: \"{colour} roses from {shop} it is.\"",
         "on_result: {if: result.x, unless: result.y, reply: y}",
         'A case has "if" or "unless", not both.'),
        ("on_result: \"{colour} roses from {shop} it is.\"", "on_result: {set: {colour: red}}",
         'A case needs a reply, "then" or "again".'),
        ("    call: order\n", "    call: order\n    action: dance\n",
         "line 15: action: \"dance\" is not known; write 'repeat' or 'abandon'."),
        ("    call: order\n", "    call: order\n    action: repeat\n", "drop the call"),
        ("    call: order\n", "    call: order\n    declined: No?\n", '"declined" answers a no'),
        ("intents:\n", "tries: 0\nintents:\n", "line 10: tries: Input should be greater than"),
    ],
)  # fmt: skip
def test_a_mistake_has_its_line_and_its_cure(write, old, new, message):
    assert old in SMALL

    assert message in complaint(write(SMALL.replace(old, new)))


def test_all_mistakes_are_reported_at_once_in_order(write):
    text = SMALL.replace("{shop}", "{shp}").replace("needs: [colour]", "needs: [color]")

    lines = complaint(write(text)).splitlines()

    assert lines[0] == "script.yaml has mistakes:"
    assert [line.split(":")[0] for line in lines[1:]] == ["  line 13", "  line 16"]


def test_a_pattern_in_brackets_without_quotes_is_explained(write):
    text = SMALL.replace('say: "[<i_want>] (roses | {colour} roses)"', "say:\n      - [a] roses")

    assert 'Text that starts with [ or { must be in quotes: "[what are]' in complaint(write(text))


def test_two_intents_of_one_name_and_intents_without_a_deed_are_refused(write):
    text = SMALL + "  - {name: order, say: hello}\n  - {name: drop, say: x, action: abandon}\n"

    found = complaint(write(text))

    assert 'line 17: There are two intents "order".' in found
    assert 'line 17: "order" does nothing: give it a reply, a call or an action.' in found
    assert 'line 18: "abandon" needs a reply' in found


def test_what_is_no_script_at_all_is_refused(write):
    assert "it must start with keys" in complaint(write("- a\n- b\n"))
    assert "intents: at least one is needed here" in complaint(
        write("name: x\ngreeting: hi\nintents: []\n")
    )


def test_the_guide_names_every_key_and_its_example_works(write):
    guide = (Path(__file__).parents[3] / "docs/guides/scripts.md").read_text(encoding="utf-8")
    forms = (ScriptForm, IntentForm, CaseForm, SlotForm)
    keys = {field.alias or name for form in forms for name, field in form.model_fields.items()}

    example = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)[0]

    known = re.compile(r"`([a-z_]+)(?:: true)?`|^ *(?:- )?([a-z_]+):", re.MULTILINE)
    assert keys <= {word for found in known.finditer(guide) for word in found.groups()}
    assert list(read_script(write(example)).intents) == ["hours", "order", "goodbye"]


def test_a_script_is_found_by_name_or_by_path(write):
    file = write(SMALL)

    assert find_script("receptionist").name == "receptionist.yaml"
    assert find_script(str(file)) == file


def test_a_script_that_is_not_there_is_refused_with_the_nearest_name(tmp_path):
    with pytest.raises(BadScript, match="Did you mean receptionist"):
        find_script("receptionst")
    with pytest.raises(BadScript, match="Give the path of a YAML file that exists"):
        find_script(str(tmp_path / "none.yaml"))
    with pytest.raises(BadScript, match="can't be read"):
        read_script(tmp_path)
