"""The ``parley`` command: its verbs, its flags, and how it says that it can't."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from parley import __version__
from parley.cli import main
from parley.cli.commands import build_parser
from parley.core.errors import BadSettings
from parley.settings import Settings, setting_facts


@pytest.fixture(autouse=True)
def empty_house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory and a data folder of the test's own, and none of our settings."""
    for fact in setting_facts():
        monkeypatch.delenv(fact.name, raising=False)
    monkeypatch.setenv("PARLEY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What ``parley serve`` would have served."""
    settings: list[Settings] = []

    def serve(given: Settings) -> int:
        settings.append(given)
        return 0

    monkeypatch.setitem(sys.modules, "parley.start", SimpleNamespace(serve=serve))
    return settings


def own_agent(house: Path, text: str) -> Path:
    file = house / "data" / "agents" / "ada.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.mark.parametrize("typed", [["version"], ["--version"]])
def test_the_version_is_told_even_where_settings_are_wrong(
    typed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_PORT", "x")

    try:
        code = main(typed)
    except SystemExit as ended:
        code = int(ended.code or 0)

    assert code == 0
    assert __version__ in capsys.readouterr().out


def test_serve_hands_the_settings_to_the_house_and_flags_beat_the_environment(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVER_PORT", "1111")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")

    code = main(["serve", "--port", "2222", "--max-calls=3", "--opus", "off"])

    assert code == 0
    assert (served[0].server_port, served[0].max_calls, served[0].opus) == (2222, 3, False)
    assert served[0].log_level == "DEBUG"


def test_every_setting_but_secrets_and_later_ones_is_a_flag_of_serve() -> None:
    given = build_parser().parse_args(
        ["serve", *(f"{f.flag}=1" for f in setting_facts() if f.flag and not f.planned)]
    )

    flagged = {name.removeprefix("setting_") for name in vars(given) if name.startswith("setting_")}
    assert flagged == {f.field for f in setting_facts() if not f.hides_value and not f.planned}
    assert "openai_api_key" not in flagged


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["serve", "--port", "99999"], "SERVER_PORT=99999 is not allowed: it takes a whole number"),
        (["serve", "--host", "0.0.0.0"], "PARLEY_ALLOW_ANONYMOUS=web"),
        (["serve", "--pipecat-server-host", "0.0.0.0"], "PARLEY_ALLOW_ANONYMOUS=rustpbx"),
        (["check", "--rustpbx", "on", "--sample-rate", "44100"], "SAMPLE_RATE=44100 is not"),
        (["agents", "check", "--agents-dir", "/nowhere"], "PARLEY_AGENTS_DIR=/nowhere is not a"),
        (["agents", "list", "--agents-dir", "/nowhere"], "PARLEY_AGENTS_DIR=/nowhere is not a"),
        (["agents", "list", "--agent", "receptionits"], "Did you mean receptionist?"),
    ],
)
def test_what_stops_the_start_is_one_line_with_the_cure_and_no_traceback(
    typed: list[str], said: str, served: list[Settings], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(typed)

    stderr = capsys.readouterr().err
    assert code == 2
    assert said in stderr
    assert stderr.startswith("parley: ")
    assert stderr.count("\n") == 1
    assert served == []


def test_what_the_house_refuses_is_told_the_same_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def serve(settings: Settings) -> int:
        raise BadSettings("The port is taken.", hint="Take another.")

    monkeypatch.setitem(sys.modules, "parley.start", SimpleNamespace(serve=serve))

    code = main(["serve"])

    assert code == 2
    assert capsys.readouterr().err == "parley: The port is taken. Take another.\n"


def test_an_interrupted_start_ends_quietly(monkeypatch: pytest.MonkeyPatch) -> None:
    def serve(settings: Settings) -> int:
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "parley.start", SimpleNamespace(serve=serve))

    assert main(["serve"]) == 130


def test_agents_are_listed_with_the_default_one_marked(
    empty_house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_agent(empty_house, "title: Ada\n")

    code = main(["agents", "list"])

    lines = capsys.readouterr().out.splitlines()
    assert code == 0
    assert lines[0].startswith("* receptionist  Linden Dental Practice")
    assert lines[1].startswith("  ada  Ada")


def test_agents_of_tenants_are_listed_with_their_tenant_and_checked_too(
    empty_house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = empty_house / "data" / "agents" / "tenants" / "acme" / "vault.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("titel: Vault\n")
    checked = main(["agents", "check"]), capsys.readouterr().out
    file.write_text("title: Vault\n")

    main(["agents", "list"])

    assert (checked[0], f"{file}:1: titel is not known" in checked[1]) == (1, True)
    assert "vault  Vault  tenant acme" in capsys.readouterr().out


def test_a_broken_agent_is_told_with_file_and_line(
    empty_house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = own_agent(empty_house, "title: Ada\ntools: [clokc]\n")

    code = main(["agents", "check"])

    assert code == 1
    assert f'{file}:2: There is no tool "clokc". Did you mean clock?' in capsys.readouterr().out


def test_only_the_files_that_are_named_are_checked(
    empty_house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own_agent(empty_house, "titel: Ada\n")
    good = empty_house / "good.yaml"
    good.write_text("title: Good\n")

    code = main(["agents", "check", str(good)])

    assert code == 0
    assert capsys.readouterr().out == "agents    1 checked, all good\n"


def test_the_engines_table_names_the_builtin_engines_and_calls_the_script_a_script(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = main(["engines"])

    out = capsys.readouterr().out
    assert code == 0
    surveyed, _, chosen = out.partition("\n\n")
    assert [line.split()[:2] for line in chosen.splitlines()[1:4]] == [
        ["stt", "builtin"],
        ["llm", "scripted"],
        ["tts", "builtin"],
    ]
    rows = {tuple(line.split()[:2]): line for line in surveyed.splitlines()[1:]}
    assert "yes" in rows["stt", "builtin"]
    assert rows["llm", "ollama"].split()[2] == "no"
    assert "scripted dialogue, not a language model" in out


def test_an_engine_that_does_not_exist_is_told_by_engines_and_by_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARLEY_TTS", "bultin")

    assert main(["engines"]) == 1
    assert main(["check"]) == 1

    said = "There is no tts engine 'bultin' (PARLEY_TTS). Did you mean builtin?"
    assert capsys.readouterr().err.splitlines() == [said, said]


def test_check_is_content_with_a_fresh_installation(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check"])

    out = capsys.readouterr().out
    assert code == 0
    assert "settings  1 set, all good" in out
    assert "agents    1 checked, all good" in out


def test_check_tells_of_rules_that_name_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PARLEY_SIP", "true")
    monkeypatch.setenv("PARLEY_SIP_AGENTS", "1=receptionist,2=acme:receptionist,3=nobody")
    before = main(["check"]), capsys.readouterr().out
    main(["tenants", "set", "acme", "--calls", "none"])
    monkeypatch.setenv("PARLEY_SIP_AGENTS", "1=receptionist,2=acme:receptionist")
    capsys.readouterr()

    after = main(["check"]), capsys.readouterr().out

    said = [line for line in before[1].splitlines() if line.startswith("PARLEY_SIP_AGENTS")]
    assert before[0] == 1
    assert [line.partition(" there is ")[0] for line in said] == [
        "PARLEY_SIP_AGENTS: in 2=acme:receptionist",
        "PARLEY_SIP_AGENTS: in 3=nobody",
    ]
    assert "no tenant 'acme'" in said[0]
    assert (after[0], "rules     2 checked, all good" in after[1]) == (0, True)


def test_pipecat_s_banner_does_not_come_before_what_a_command_says():
    program = "from parley.cli import main; main(['version']); import pipecat"

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (done.stdout.strip(), done.stderr) == (__version__, "")
