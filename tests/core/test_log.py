"""Logs tell what happened, and no secrets."""

from __future__ import annotations

import subprocess
import sys

import pytest

FAILS = """
from parley.core.log import get_logger, setup_logging
setup_logging("INFO", {form!r})
def serve(key):
    authorization = "Bearer " + key
    return 1 / 0
try:
    serve("pk_very" + "secret")
except ZeroDivisionError as error:
    get_logger("x").error("request_broke", exc_info=error)
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_traceback_shows_the_code_and_not_what_was_in_its_variables(form: str) -> None:
    script = FAILS.format(form=form)

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "ZeroDivisionError" in done.stderr
    assert "in serve" in done.stderr
    assert "pk_verysecret" not in done.stderr


def test_a_socket_that_was_refused_is_no_error() -> None:
    script = """
import logging
from uvicorn.protocols.websockets import websockets_sansio_impl as uvicorn
from parley.core.log import setup_logging
from pathlib import Path
setup_logging("INFO")
said = "ASGI callable returned without completing handshake."
assert said in Path(uvicorn.__file__).read_text()
logging.getLogger("uvicorn.error").error(said)
logging.getLogger("uvicorn.error").error("told")
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "told" in done.stderr and "handshake" not in done.stderr
