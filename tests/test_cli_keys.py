"""``parley keys``, ``parley tenants`` and ``parley db``, as somebody types them."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from parley.cli import main
from parley.cli.keys import read_span
from parley.core.errors import BadRequest
from parley.settings import setting_facts


@pytest.fixture(autouse=True)
def empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a data folder of the test's own, and none of our settings."""
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code and what was printed."""
    code = main(words)
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_key_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = typed(capsys, "keys", "create", "--name", "web", "--tenant", "acme")
    token = said.split()[0]

    _, listed = typed(capsys, "keys", "list")

    assert code == 0
    assert token.startswith("pk_") and said.count(token) == 1
    assert "not shown again" in said
    assert token not in listed
    assert token[:11] in listed and "acme" in listed and "never" in listed


def test_a_script_can_take_the_key_from_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    main(["keys", "create", "--name", "web"])

    assert len(capsys.readouterr().out.split()) == 1


def test_a_key_is_revoked_by_its_name_and_forgotten_if_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    typed(capsys, "keys", "create", "--name", "web")

    revoked = typed(capsys, "keys", "revoke", "web")
    listed = typed(capsys, "keys", "list")[1]
    forgotten = typed(capsys, "keys", "revoke", "web", "--forget")

    assert revoked[0] == 0 and "is revoked" in revoked[1]
    assert "revoked 20" in listed
    assert forgotten[0] == 0 and "is forgotten" in forgotten[1]
    assert "There are no keys" in typed(capsys, "keys", "list")[1]


def test_a_rotation_says_until_when_the_old_key_is_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first = typed(capsys, "keys", "create", "--name", "web")[1].split()[0]

    code, said = typed(capsys, "keys", "rotate", "web", "--overlap", "12h")

    assert code == 0
    assert said.split()[0].startswith("pk_") and said.split()[0] != first
    assert "The old one" in said and "is good until 20" in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("keys", "create", "--name", "web", "--scopes", "speach"), "speech"),
        (("keys", "create", "--name", "web", "--expires", "soon"), "90d"),
        (("keys", "create", "--name", ""), "what it is for"),
        (("keys", "revoke", "nobody"), "parley keys list"),
        (("keys", "rotate", "nobody"), "parley keys list"),
        (("tenants", "set", "acme"), "--help"),
        (("tenants", "set", "acme", "--calls", "0"), "none or default"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_to_do(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], hint: str
) -> None:
    code, said = typed(capsys, *words)

    assert code == 2
    assert hint in said


def test_a_tenants_quotas_are_set_one_by_one(capsys: pytest.CaptureFixture[str]) -> None:
    typed(capsys, "tenants", "set", "acme", "--minutes-day", "60", "--calls", "2")
    typed(capsys, "tenants", "set", "acme", "--tokens-month", "500")

    _, listed = typed(capsys, "tenants", "list")

    assert "acme  calls at once: 2" in listed
    assert "0.0 of 60 minutes, 0 tokens, 0 characters" in listed
    assert "0.0 minutes, 0 of 500 tokens, 0 characters" in listed


def test_a_tenants_quota_is_lifted_and_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--quota-tokens-day", "7")
    typed(capsys, "tenants", "set", "acme", "--tokens-day", "none")

    lifted = typed(capsys, "tenants", "list", *settings)[1].partition("default")[0]
    typed(capsys, "tenants", "set", "acme", "--tokens-day", "default")
    put_back = typed(capsys, "tenants", "list", *settings)[1].partition("default")[0]

    assert "of 7 tokens" not in lifted
    assert "of 7 tokens" in put_back


def test_a_database_is_upgraded_and_says_where_it_is(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = typed(capsys, "db", "current")

    upgraded = typed(capsys, "db", "upgrade")
    after = typed(capsys, "db", "current")
    again = typed(capsys, "db", "upgrade")

    assert before[0] == 1 and "parley db upgrade" in before[1]
    assert upgraded[0] == 0 and "upgraded from nothing" in upgraded[1]
    assert after[0] == 0 and str(tmp_path / "data" / "parley.db") in after[1]
    assert again[0] == 0 and "is up to date" in again[1]


@pytest.mark.parametrize(
    ("text", "span"),
    [("90d", timedelta(days=90)), ("0s", timedelta()), ("4w", timedelta(weeks=4))],
)
def test_a_time_span_is_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert read_span(text) == span


@pytest.mark.parametrize("text", ["", "d", "90", "1y", "-1d", "9999999999999w"])
def test_anything_else_is_no_time_span(text: str) -> None:
    with pytest.raises(BadRequest, match="no time span"):
        read_span(text)


def test_commands_that_need_no_database_never_load_it() -> None:
    heavy = "{'sqlalchemy', 'limits', 'alembic'}"
    script = f"import sys, parley.cli.commands; print({heavy} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert done.stdout.strip() == "set()"


def test_a_public_server_starts_once_a_key_exists(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "parley.start", SimpleNamespace(serve=lambda _: 0))
    before = typed(capsys, "serve", "--host", "0.0.0.0")
    typed(capsys, "keys", "create", "--name", "web")

    after = typed(capsys, "serve", "--host", "0.0.0.0")

    assert before[0] == 2 and "parley keys create" in before[1]
    assert after[0] == 0
