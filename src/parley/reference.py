"""Writes the reference pages and ``.env.example`` from the code: ``python -m parley.reference``."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from parley.cli.commands import VERBS, short_flags
from parley.cli.verb import Argument, Verb
from parley.core import errors as error_tree
from parley.core.errors import ParleyError, error_types
from parley.core.events import Event, event_name, event_types
from parley.engines.found import FoundEngines, find_engines
from parley.settings import SettingFact, setting_facts

COMMAND = "python -m parley.reference"

_GROUPS = {
    "server": "The server",
    "access": "Keys, limits, quotas and the database",
    "calls": "Calls",
    "telephone": "The telephone",
    "rustpbx": "RustPBX",
    "agents": "Agents",
    "tools": "Tools",
    "engines": "Engines",
    "models": "Models and voices",
    "logs": "Logs",
    "later": "Known, but without effect in this version",
}
_MADE = f"<!-- Made by `{COMMAND}`; change the code, not this page. -->"


def settings_page() -> str:
    """``docs/reference/settings.md``."""
    found = find_engines()
    parts = [_heading("Settings", _SETTINGS_INTRO)]
    for group, title in _GROUPS.items():
        facts = [fact for fact in setting_facts() if fact.group == group]
        rows = [
            (_names(fact), fact.says + _used_by(fact, found), fact.allowed, fact.default)
            for fact in facts
        ]
        parts.append(f"## {title}\n\n{_table(('name', 'what', 'takes', 'default'), rows)}")
    return _page(parts)


def cli_page() -> str:
    """``docs/reference/cli.md``."""
    rows = [(f"`parley {_typed(verb)}`", verb.says) for verb in VERBS]
    flags = [(f"`{short}`", f"`{long}`") for short, long in short_flags().items()]
    return _page(
        [
            _heading("The command line", _CLI_INTRO),
            f"## Commands\n\n{_table(('command', 'what'), rows)}",
            f"## Short flags\n\n{_table(('short', 'means'), flags)}",
            _CLI_EXITS,
        ]
    )


def events_page() -> str:
    """``docs/reference/events.md``."""
    common = {field.name for field in fields(Event)}
    rows = [
        (
            f"`{event_name(event)}`",
            _first_paragraph(event.__doc__),
            ", ".join(f"`{f.name}: {f.type}`" for f in fields(event) if f.name not in common),
        )
        for event in event_types()
    ]
    return _page(
        [_heading("Events", _EVENTS_INTRO), _table(("event", "when", "its own fields"), rows)]
    )


def errors_page() -> str:
    """``docs/reference/errors.md``."""
    told = _told_of_errors()
    rows = [
        (
            f"`{error.code}`",
            told[error.__name__],
            str(error.status),
            f"`{error.type}`",
            "yes" if error.can_retry else "no",
        )
        for error in error_types()
        if error is not ParleyError
    ]
    rows.insert(0, (f"`{ParleyError.code}`", "anything else", "500", "`server_error`", "no"))
    headings = ("code", "what", "HTTP status", "type", "may a retry help?")
    return _page([_heading("Errors", _ERRORS_INTRO), _table(headings, rows)])


def env_example() -> str:
    """``.env.example``: the stack's settings, switched on, and all others, switched off."""
    stack = "\n".join(f"{name}={value}" for name, value in _STACK.items())
    parts = [_ENV_INTRO, f"{_ENV_STACK}\n{stack}"]
    for group, title in _GROUPS.items():
        parts.append(f"# ── {title.lower()} ──")
        for fact in setting_facts():
            if fact.group == group:
                says = f"# {fact.says} Takes {fact.allowed}. Default: {fact.default}."
                line = "# Set above." if fact.name in _STACK else f"#{fact.name}={fact.example}"
                parts.append(f"{says.replace('`', '')}\n{line}")
    return "\n\n".join(parts) + "\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/settings.md": settings_page,
    "docs/reference/cli.md": cli_page,
    "docs/reference/events.md": events_page,
    "docs/reference/errors.md": errors_page,
    ".env.example": env_example,
}
"""Each made file, by its place in the checkout."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=Path())
    checkout: Path = parser.parse_args(argv).checkout
    if not (checkout / "pyproject.toml").is_file():
        print(f"{checkout.resolve()} is no checkout of Parley.", file=sys.stderr)
        return 2
    for name, render in PAGES.items():
        (checkout / name).write_text(render(), encoding="utf-8")
        print(name)
    return 0


# ── words ────────────────────────────────────────────────────────────────────────────────────

_SETTINGS_INTRO = """\
Every setting has one name. `PARLEY_MAX_CALLS` in the environment or in a `.env` file of the
working directory is `--max-calls` on the command line and `max_calls` in the TOML file that
`PARLEY_CONFIG` names. A flag beats the environment, which beats `.env`, which beats the file.
An agent's own file beats all of them for that agent. An empty value counts as not set.

A `PARLEY_` name that does not exist stops the start, and so does a value that is not allowed.
Secrets have no flag, because other users of a machine can read its command lines.

`STT_MODEL`, `TTS_MODEL`, `LLM_MODEL` and `TTS_VOICE` are shared by several engines: a value
reaches only the engines whose model or voice it can be, the others keep their own, and start-up
says who took it."""

_CLI_INTRO = """\
After `scripts/serve` the command is `.venv/bin/parley`. `parley COMMAND --help` lists the flags of
a command. Every setting that is no secret is a flag of every command but `version`, and each
command reads the environment and the `.env` of the folder that it is started in, as the server
does: what both must know (`PARLEY_AGENTS_DIR`, `PARLEY_DATA_DIR`) is best kept there. See
[settings](settings.md)."""

_CLI_EXITS = """\
## Exit codes

| code | meaning |
|---|---|
| 0 | all is well |
| 1 | `check`, `engines` or `agents` found problems and printed them |
| 2 | it could not start; each line on stderr says what is wrong and what to do |
| 130 | interrupted from the keyboard |
| 143 | `serve` was told by SIGTERM to stop while it started; later it drains and exits with 0 |"""

_EVENTS_INTRO = """\
What happens in a call, in the order in which it happens. Every event carries `event` (its name),
`call_id`, and `at_s`, the server's monotonic clock in seconds. Every transport shows the same
events for the same conversation."""

_ERRORS_INTRO = """\
Errors over HTTP come in OpenAI's envelope: `{"error": {"message", "type", "param", "code"}}`.
`code` is stable; the message says what is wrong and what to do about it."""

_ENV_INTRO = """\
# Copy this file to .env, and take away the # before a name to set it.
# docs/reference/settings.md says more. Made by python -m parley.reference."""

_ENV_STACK = """\
# ── the stack of docker-compose.yml ──

# Warning: with SERVER_HOST=0.0.0.0 and PARLEY_ALLOW_ANONYMOUS=web, a Parley that is started \
without Docker can be used by everyone who reaches this machine.
# SPEACHES_MODE is cpu, cuda or cuda-cdi and meant for Compose only."""

_STACK = {
    "OLLAMA_MODEL": "llama3.2:3b",
    "SPEACHES_MODE": "cpu",
    "STT_MODEL": "Systran/faster-distil-whisper-small.en",
    "TTS_MODEL": "speaches-ai/Kokoro-82M-v1.0-ONNX",
    "TTS_VOICE": "af_heart",
    "SERVER_HOST": "0.0.0.0",
    "SERVER_PORT": "7860",
    "PARLEY_ALLOW_ANONYMOUS": "web",
}
"""What requirement 001 prints of its ``.env.example``, and the consent that such a bind needs."""


def _page(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _heading(title: str, intro: str) -> str:
    return f"# {title}\n\n{_MADE}\n\n{intro}"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def _names(fact: SettingFact) -> str:
    return f"`{fact.name}`" + (f"<br>`{fact.flag}`" if fact.flag and not fact.planned else "")


def _used_by(fact: SettingFact, found: FoundEngines) -> str:
    """Which engines that ship are told of the setting."""
    if not fact.engines:
        return ""
    told = [f"{s.kind} `{s.name}`" for s in found.all() if fact.name in s.environment.values()]
    if not told:
        return " No engine of this version uses it."
    return f" Used by {', '.join(told)}."


def _typed(verb: Verb) -> str:
    return " ".join([*verb.words, *map(_typed_argument, verb.takes)])


def _typed_argument(argument: Argument) -> str:
    """As in a usage line: words as they stand, flags with what they take, in brackets."""
    options = argument.options
    if not argument.name.startswith("-"):
        name = str(options.get("metavar", argument.name))
        return {"*": f"[{name} …]", "+": f"{name} …"}.get(options.get("nargs", ""), name)
    takes = str(options.get("metavar", argument.name.rpartition("-")[2].upper()))
    takes = "|".join(options["choices"]) if "choices" in options else takes
    flag = argument.name if options.get("action") == "store_true" else f"{argument.name} {takes}"
    return flag if options.get("required") else f"[{flag}]"


def _first_paragraph(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split())


def _told_of_errors() -> dict[str, str]:
    """What the tree in the module's docstring says of each class."""
    line = re.compile(r"(?:── |^ +)(\w+)\s+(\S.*)")
    found = (line.search(row) for row in (error_tree.__doc__ or "").splitlines())
    return {match[1]: match[2].removeprefix("… ") for match in found if match}


if __name__ == "__main__":
    sys.exit(main())
