"""How the parts of Parley that are not always installed are got, for the hints of errors."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "parley-voice"

_CHECKOUT = Path(__file__).resolve().parents[3]


def install_hint(extra: str) -> str:
    """What to do where an extra is missing."""
    hint = f"Install it: {install_command(extra)}."
    if _is_prepared_checkout() or _has_pip():
        return hint
    return f"{hint} An image gets it when it is built: --build-arg PARLEY_EXTRAS."


def install_command(extra: str) -> str:
    """What installs an extra for the Python that runs this."""
    if _is_prepared_checkout():
        # Another way would last until the next start, which installs what the scripts know of.
        return f"PARLEY_EXTRAS={extra} scripts/serve"
    wanted = f"'{PACKAGE}[{extra}]'"
    if _has_pip():
        return f"{sys.executable} -m pip install {wanted}"
    return f"uv pip install --python {sys.executable} {wanted}"


def _is_prepared_checkout() -> bool:
    """Whether this is the Python that the checkout's scripts have made."""
    made = _CHECKOUT / ".venv"
    return (_CHECKOUT / "scripts/serve").is_file() and Path(sys.prefix).resolve() == made.resolve()


def _has_pip() -> bool:
    return find_spec("pip") is not None
