"""Logs tell what happened, and no secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from parley.core.errors import BadSettings
from parley.core.log import setup_logging

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


@pytest.mark.parametrize(
    "url",
    [
        "/ws/rustpbx?token=pk_1&agent=a",
        "/ws/rustpbx/pk_1",
        "/ws/pcm/pk_1?a=b",
        "/pk_1",
        "/ws/rustpbx?Token=pk_1",
    ],
)
def test_a_key_in_the_url_of_a_socket_is_not_written_down(url: str) -> None:
    script = f"""
import logging
from parley.core.log import setup_logging
setup_logging("INFO")
said = '%s - "WebSocket %s" [accepted]'
logging.getLogger("uvicorn.error").info(said, "10.0.0.5:1", {url!r})
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "pk_1" not in done.stderr
    assert url.partition("pk_1")[0] in done.stderr


def test_the_headers_of_a_socket_are_not_written_down() -> None:
    script = """
import logging
from parley.core.log import setup_logging
setup_logging("DEBUG")
logging.getLogger("uvicorn.error").debug("< %s: %s", "authorization", "Bearer pk_1")
logging.getLogger("uvicorn.error").info("told")
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "told" in done.stderr and "pk_1" not in done.stderr


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_log_is_in_its_file_as_well(form: str, tmp_path: Path) -> None:
    file = tmp_path / "pipecat_server.log"
    script = f"""
from pathlib import Path
from parley.core.log import get_logger, setup_logging
setup_logging("INFO", {form!r}, Path({str(file)!r}))
get_logger("x").info("call_begun", call_id="call_1")
"""

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert "call_begun" in file.read_text() and "call_1" in file.read_text()
    assert "call_begun" in done.stderr
    assert "\x1b" not in file.read_text()


def test_a_log_file_that_can_not_be_written_is_named_with_the_cure(tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "pipecat_server.log"

    with pytest.raises(BadSettings, match=r"PARLEY_LOG_FILE=.*No such file") as caught:
        setup_logging("INFO", "console", file)

    assert caught.value.hint
