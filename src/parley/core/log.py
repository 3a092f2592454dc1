"""Logs are events with fields, one stream for Parley, Pipecat and the libraries below them."""

from __future__ import annotations

import contextlib
import logging
import re
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Literal

import structlog

from parley.core.errors import BadSettings

LogFormat = Literal["console", "json"]

# aioice and aiortc report every candidate check and packet at INFO or DEBUG; uvicorn each message
# of each WebSocket, and its headers, keys among them.
_CHATTY = {
    "aioice": "WARNING",
    "aiortc": "WARNING",
    "httpx": "WARNING",
    "httpcore": "WARNING",
    "asyncio": "WARNING",
    "watchfiles": "WARNING",
    "alembic.runtime.plugins": "WARNING",
    "uvicorn.access": "WARNING",
    "uvicorn.error": "INFO",
}
_FILE_BYTES, _OLD_FILES = 10 * 1024 * 1024, 3
# uvicorn says so, as an error, of each WebSocket that was properly refused.
_UNTRUE = "ASGI callable returned without completing handshake."
# It also writes down the URLs of WebSockets, in which some clients have to put their key.
_KEY_IN_URL = re.compile(
    r"(?<=[?&]token=)[^&\s]+|(?<=/ws/rustpbx/)[^?\s]+|(?<=/ws/pcm/)[^?\s]+|(?<=[pe]k_)[\w-]+"
)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger whose calls read ``log.info("event_name", field=value)``."""
    return structlog.stdlib.get_logger(name)


def bind_call(call_id: str) -> None:
    """Put the call's id on every line that this task, and the tasks it starts, will log."""
    structlog.contextvars.bind_contextvars(call_id=call_id)


def bind_request(request_id: str) -> None:
    """The same for the number of an HTTP request."""
    structlog.contextvars.bind_contextvars(request_id=request_id)


def setup_logging(
    level: str = "INFO", log_format: LogFormat = "console", file: Path | None = None
) -> None:
    """Send everything to stderr in one format, and to the file; call once, at start-up.

    Raises ``BadSettings`` when the file can't be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    if file is not None:
        handlers.append(_file_handler(file))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    for number, handler in enumerate(handlers):
        renderer = _renderer(log_format, colors=number == 0 and sys.stderr.isatty())
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    *renderer,
                ],
            )
        )
    root = logging.getLogger()
    root.handlers = handlers
    root.setLevel(level)
    for name, quietest in _CHATTY.items():
        if _number(level) < _number(quietest):
            logging.getLogger(name).setLevel(quietest)
    logging.getLogger("uvicorn.error").addFilter(_is_true)
    logging.getLogger("uvicorn.error").addFilter(_hide_keys)
    _fold_in_loguru(level)


def _renderer(log_format: LogFormat, *, colors: bool) -> list[Any]:
    if log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    return [
        structlog.dev.ConsoleRenderer(
            colors=colors,
            # Where rich is installed, the usual one prints all local variables: keys, too.
            exception_formatter=structlog.dev.plain_traceback,
        )
    ]


def _file_handler(file: Path) -> logging.Handler:
    """It bounds itself: nobody who starts Parley by hand sets up logrotate."""
    try:
        return RotatingFileHandler(
            file, maxBytes=_FILE_BYTES, backupCount=_OLD_FILES, encoding="utf-8"
        )
    except OSError as error:
        raise BadSettings(
            f"PARLEY_LOG_FILE={file} can't be written ({error.strerror}).",
            hint="Name a file in a folder that exists and is yours, or unset it.",
        ) from error


def _is_true(record: logging.LogRecord) -> bool:
    return record.msg != _UNTRUE


def _hide_keys(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(
            _KEY_IN_URL.sub("…", each) if isinstance(each, str) else each for each in record.args
        )
    return True


def quiet_until_set_up() -> None:
    """Keep Pipecat, which prints a banner when it is imported, silent until ``setup_logging``."""
    from loguru import logger as loguru_logger

    # 0 is the one that loguru begins with; where it is gone, somebody has already seen to it.
    with contextlib.suppress(ValueError):
        loguru_logger.remove(0)


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level]


def _fold_in_loguru(level: str) -> None:
    """Pipecat logs through loguru; hand its lines to the same stream."""
    from loguru import logger as loguru_logger

    def to_stdlib(message: Any) -> None:
        record = message.record
        logging.getLogger(record["name"] or "pipecat").log(
            min(record["level"].no, logging.CRITICAL), "%s", record["message"]
        )

    loguru_logger.remove()
    # Pipecat calls its connection chatter INFO; only what it warns of is news to an operator.
    quietest = level if _number(level) <= logging.DEBUG else "WARNING"
    loguru_logger.add(to_stdlib, level=quietest, format="{message}", catch=False)
