"""The configurations for OpenSIPS, held to themselves and to the code: no OpenSIPS runs here.

``scripts/test-opensips`` runs them.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.opensips_real.builds import MODULES

from parley.settings import setting_facts
from parley.transports.opensips.options import OpenSipsOptions
from parley.transports.sip.addresses import SipUri
from parley.transports.sip.who_answers import AGENT_HEADER

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/opensips"
FILES = [FOLDER / "proxy.cfg", FOLDER / "endpoint.cfg"]
TEXTS = [FOLDER / "README.md", ROOT / "docs/guides/opensips.md"]

# As the sources of 3.4 to 4.1-dev have them.
FUNCTIONS = {
    "mf_process_maxfwd_header": "maxfwd",
    "send_reply": "signaling",
    "has_totag": "sipmsgops",
    "is_method": "sipmsgops",
    "remove_hf": "sipmsgops",
    "t_check_trans": "tm",
    "t_relay": "tm",
    "t_on_failure": "tm",
    "t_was_cancelled": "tm",
    "t_check_status": "tm",
    "t_local_replied": "tm",
    "loose_route": "rr",
    "record_route": "rr",
    "ds_select_dst": "dispatcher",
    "ds_next_dst": "dispatcher",
    "ds_mark_dst": "dispatcher",
    "ua_session_server_init": "b2b_entities",
}
PARAMETERS = {
    "tm": {"fr_timeout", "fr_inv_timeout"},
    "dispatcher": {
        "db_url",
        "persistent_state",
        "ds_ping_method",
        "ds_ping_from",
        "ds_ping_interval",
        "ds_probing_mode",
        "ds_probing_threshold",
    },
    "mi_datagram": {"socket_name", "children_count"},
    "b2b_entities": {"ua_default_timeout"},
}
GLOBALS = {
    "log_level",
    "xlog_level",
    "stderror_enabled",
    "syslog_enabled",
    "udp_workers",
    "socket",
    "mpath",
}
COLUMNS = [
    *("id", "setid", "destination", "socket", "state"),
    *("probe_mode", "weight", "priority", "attrs", "description"),
]
NEEDS = {"signaling": {"sl", "tm"}, "b2b_entities": {"tm"}, "dispatcher": {"db_text", "tm"}}

_COMMENT = re.compile(r'("(?:\\.|[^"\\])*")|#[^\n]*')
_TEXT = re.compile(r'"(?:\\.|[^"\\])*"')


def statements(file: Path) -> str:
    """The file without its comments."""
    return _COMMENT.sub(lambda found: found[1] or "", file.read_text())


def modules(file: Path) -> list[str]:
    return re.findall(r'loadmodule "(\w+)\.so"', statements(file))


def parameters(file: Path) -> dict[tuple[str, str], str]:
    found = re.findall(r'modparam\("(\w+)", "(\w+)", ("[^"]*"|\d+)\)', statements(file))
    return {(module, name): value.strip('"') for module, name, value in found}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_braces_quotes_and_brackets_are_balanced_and_statements_end(file: Path) -> None:
    bare = _TEXT.sub('""', statements(file))

    assert bare.count('"') % 2 == 0
    for opening, closing in ("{}", "()", "[]"):
        assert bare.count(opening) == bare.count(closing), opening
    routing = bare[re.search(r"^route \{", bare, re.M).start() :]  # type: ignore[union-attr]
    lines = [line.strip() for line in routing.splitlines() if line.strip()]
    assert [line for line in lines if line[-1] not in ";{}"] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_route_that_is_named_exists_and_is_used(file: Path) -> None:
    text = statements(file)
    named = set(re.findall(r"\broute\((\w+)\)", text))
    failures = set(re.findall(r't_on_failure\("(\w+)"\)', text))

    assert named == set(re.findall(r"^route\[(\w+)\]", text, re.M))
    assert failures == set(re.findall(r"^failure_route\[(\w+)\]", text, re.M))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_function_belongs_to_a_module_that_is_loaded(file: Path) -> None:
    bare = _TEXT.sub('""', statements(file))
    called = set(re.findall(r"(?<!\$)\b([a-z]\w+)\(", bare)) - {"modparam", "route"}

    assert {FUNCTIONS[name] for name in called} <= set(modules(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_modules_come_once_after_what_they_need_and_their_parameters_exist(file: Path) -> None:
    loaded = modules(file)
    text = statements(file)
    given = parameters(file)

    assert len(loaded) == len(set(loaded))
    assert {name for module in loaded for name in NEEDS.get(module, ())} <= set(loaded)
    assert len(given) == text.count("modparam(")
    for module, name in given:
        assert name in PARAMETERS[module]
        assert text.index(f'"{module}.so"') < text.index(f'modparam("{module}"')
    assert set(re.findall(r"^(\w+)=", text, re.M)) == GLOBALS


def test_whoever_builds_opensips_by_our_instructions_has_every_module_that_is_loaded() -> None:
    loaded = {module for file in FILES for module in modules(file)}

    assert loaded == {"proto_udp", *MODULES}


def test_the_endpoint_is_where_parley_looks_for_it_and_tells_all_that_parley_needs() -> None:
    text = statements(FOLDER / "endpoint.cfg")
    usual = OpenSipsOptions()
    socket = parameters(FOLDER / "endpoint.cfg")["mi_datagram", "socket_name"]
    flags = re.findall(r'ua_session_server_init\(\$var\(key\), "(\w+)"\)', text)

    assert socket == f"udp:{usual.mi_host}:{usual.mi_port}"
    assert [set(each) for each in flags] == [set("arhb")]
    assert "event_datagram" in modules(FOLDER / "endpoint.cfg")


def test_the_proxy_probes_its_nodes_and_fails_over_within_what_a_caller_bears() -> None:
    given = parameters(FOLDER / "proxy.cfg")
    text = statements(FOLDER / "proxy.cfg")

    assert given["dispatcher", "ds_ping_method"] == "OPTIONS"
    assert int(given["dispatcher", "ds_ping_interval"]) > 0
    assert given["dispatcher", "ds_probing_mode"] == "1"
    assert int(given["tm", "fr_timeout"]) < int(given["tm", "fr_inv_timeout"]) <= 30
    assert 'ds_select_dst(1, 4, "f")' in text
    # Only who is refused for want of room goes elsewhere: 404 and 488 are the same everywhere.
    assert re.search(r't_check_status\("408\|5\[0-9\]\[0-9\]"\)', text)


def test_a_caller_can_not_choose_what_only_a_listed_peer_may() -> None:
    removed = re.findall(r'remove_hf\("([\w-]+)"\)', statements(FOLDER / "proxy.cfg"))

    assert {name.lower() for name in removed} == {AGENT_HEADER, "p-asserted-identity"}


def test_the_tables_are_those_that_the_dispatcher_reads() -> None:
    head, *rows = (FOLDER / "dbtext/dispatcher").read_text().splitlines()
    version = (FOLDER / "dbtext/version").read_text().splitlines()

    assert [word.partition("(")[0] for word in head.split()] == COLUMNS
    assert version == ["table_name(string) table_version(int)", "dispatcher:9"]
    nodes = [re.split(r"(?<!\\):", row) for row in rows]
    assert len(nodes) == 2
    for number, node in enumerate(nodes, 1):
        assert len(node) == len(COLUMNS)
        fields = dict(zip(COLUMNS, node, strict=True))
        assert (fields["id"], fields["setid"], fields["probe_mode"]) == (str(number), "1", "1")
        assert SipUri.read(fields["destination"].replace("\\:", ":")).port


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_every_name_in_the_instructions_is_a_setting(page: Path) -> None:
    known = {fact.name for fact in setting_facts()}
    typed = re.findall(r"\b([A-Z][A-Z0-9_]{3,})=", page.read_text())

    assert typed
    assert set(typed) <= known
