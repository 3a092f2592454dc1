"""The JavaScript of the appointment tools, put together for each step.

It runs in n8n's expression sandbox, which knows ``DateTime`` and ``$now`` of Luxon and refuses the
word that JavaScript has for all that a function was given.
"""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent / "javascript"

# Everything that somebody who uses the workflows may want to change.
PRACTICE = """{
  "practice": {
    "time_zone": "Europe/London",
    "opens": "09:00",
    "closes": "17:00",
    "days": [1, 2, 3, 4, 5],
    "closed": ["2026-12-25", "2027-01-01"],
    "slot_minutes": 30,
    "days_ahead": 366
  }
}"""

_KNOWN = "const q = $('Asked').first().json;\nconst p = q.practice;"
_OTHERS = "const rows = all.filter((r) => r.key !== q.key);"


def script(name: str) -> str:
    return (_FOLDER / f"{name}.js").read_text(encoding="utf-8").strip()


def asked(operation: str) -> str:
    """Reads and checks what was asked."""
    return _function("asked", "times", "practice", *_ASKED[operation])


def decision(operation: str, rows: tuple[str, ...]) -> str:
    """Chooses what is done, from the rows that "Find" has found."""
    steps: dict[str, tuple[str, ...]] = {
        "free": ("const rows = all;", "free", "decide_free"),
        "book": (_OTHERS, "free", "decide_book"),
        "move": (_OTHERS, "free", "changed", "which", "decide_move"),
        "cancel": ("const rows = all;", "changed", "which", "decide_cancel"),
        "list": ("const rows = all;", "changed", "which", "decide_list"),
    }
    found = "const all = read($('Find').all());"
    return _function(_KNOWN, "times", *rows, found, *steps[operation])


def verdict(
    status: str, rows: tuple[str, ...], judged: str, lost: str, *, looks_again: bool
) -> str:
    """Tells whether the time that was claimed is ours; ``lost`` is the answer if it isn't."""
    known = "won, again, gives_way, row_id" if looks_again else "won, row_id"
    told = f"return {{ {known}, answer: won ? done('{status}', q.name, t) : {lost} }};"
    return _function(_KNOWN, "times", *rows, judged, "free", told)


_ASKED: dict[str, tuple[str, ...]] = {
    "free": ("ask_day",),
    "book": ("fault", "ask_booking"),
    "move": ("fault", "ask_move"),
    "cancel": ("ask_cancel",),
    "list": ("ask_cancel",),
}


def body_of(*names: str) -> str:
    """Scripts by themselves as an expression."""
    return _function(*names)


def _function(*parts: str) -> str:
    """Statements, or names of scripts, as one expression."""
    bodies = [script(part) if part.isidentifier() else part for part in parts]
    return "(() => {\n" + "\n".join(bodies) + "\n})()"


def expression(code: str) -> str:
    """The code as n8n wants it: two braces together would end it early."""
    apart = re.sub(r"([{}])(?=\1)", r"\1 ", code)
    return f"={{{{ {apart} }}}}"
