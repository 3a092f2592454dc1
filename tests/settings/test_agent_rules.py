"""Rules for who answers: what they fit, and what is said of those that can't be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from parley.core.errors import BadSettings
from parley.settings import Settings, load_settings
from parley.settings.agent_rules import AgentRule, Pattern

NO_FILE = Path("no-such-file.env")


def load(rules: object) -> Settings:
    return load_settings({"sip_agents": rules}, env_file=NO_FILE)


@pytest.mark.parametrize(
    ("pattern", "address", "fits"),
    [
        ("+4930123", "+4930123", True),
        ("+4930123", "+49301234", False),
        ("+4930*", "+49301234", True),
        ("+4930*", "+49891234", False),
        ("+49 30*".replace(" ", "-"), "+49.30-1234", True),
        ("+4930123", "+49-30-123;phone-context=example.org", True),
        ("*", "", True),
        ("*", "anybody", True),
        ("*21*", "*21*4711#", True),
        ("*21", "*21", True),
        ("*21", "21", False),
        ("sales", "Sales", False),
        ("sales-berlin", "sales-berlin", True),
        ("*@pbx.example", "200@PBX.example", True),
        ("*@pbx.example", "200@other.example", False),
        ("200@*.example", "200@pbx.example", True),
        ("200@*.example", "200@example", False),
        ("200@[::1]", "200@::1", True),
    ],
)
def test_a_pattern_is_a_number_its_beginning_or_anything_and_a_host(
    pattern: str, address: str, fits: bool
):
    user, _, host = address.partition("@")

    assert Pattern.read(pattern).fits(user, host) is fits


def test_a_rule_says_which_calls_and_who_answers_them():
    rule = AgentRule.read(" +4930* from:+49171* diverted:100 via:10.0.0.0/24 = acme:desk ")

    assert (rule.tenant, rule.agent) == ("acme", "desk")
    assert rule.dialled == Pattern("+4930", is_open=True)
    assert rule.caller == Pattern("+49171", is_open=True)
    assert rule.diverted == Pattern("100")
    assert str(rule.via) == "10.0.0.0/24"


def test_rules_keep_their_order_and_may_be_a_list_in_the_file():
    texts = ["+49301=reception", "+4930*=sales", "via:10.0.0.5=ivr"]

    typed, listed = load(",".join(texts)).sip_agents, load(texts).sip_agents

    assert typed == listed
    assert [str(rule) for rule in typed] == texts


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("+4930", "doesn't look like NUMBER=AGENT"),
        ("=sales", "doesn't look like NUMBER=AGENT"),
        ("200=", "no agent"),
        ("200=two words", "no agent"),
        ("200=:desk", "no agent"),
        ("200@=sales", "no number"),
        ("200@a@b=sales", "no number"),
        ("4*2=sales", "isn't at the end"),
        ("200@pbx:5060=sales", "ports aren't compared"),
        ("200 300=sales", "twice"),
        ("to:200=sales", "there are from:, diverted:, via:"),
        ("via:trunk=sales", "no network"),
        ("from:=sales", "no number"),
    ],
)
def test_a_rule_that_cannot_be_read_says_what_is_wrong_with_it(rule: str, says: str):
    with pytest.raises(BadSettings) as raised:
        load(f"100=reception,{rule}")

    assert "PARLEY_SIP_AGENTS" in str(raised.value)
    assert says in str(raised.value)
