"""Says in short lines what set-up is doing, and in one line what stopped it and what to do."""

from __future__ import annotations

import errno
import re
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

_SIGN_OF_LIFE_S = 5.0
_TAIL_LINES = 15


class SetupFailed(Exception):
    """Set-up can't go on: one line of why and what to do. ``details`` may take more lines."""

    def __init__(self, cause: str, cure: str, details: str = "") -> None:
        super().__init__(f"{cause}: {cure}")
        self.details = details


NO_NETWORK_CURE = (
    "check the connection and the proxy (HTTPS_PROXY), or name a reachable package index with "
    "UV_DEFAULT_INDEX, then start again; what is already here is kept"
)
CERTIFICATE_CURE = "point SSL_CERT_FILE to your network's CA certificates, then start again"
DISK_FULL_CURE = "free about 2 GB here and in uv's cache (UV_CACHE_DIR), then start again"
READ_ONLY_CURE = (
    "set-up writes .venv and .cache in the checkout; make it yours to write, or copy it to a "
    "folder that is"
)

# What uv, npm and the C library write, and what it means.
_SYMPTOMS: tuple[tuple[str, str, str], ...] = (
    (r"No space left on device|\bENOSPC\b", "the disk is full", DISK_FULL_CURE),
    (
        r"UnknownIssuer|invalid peer certificate|CERTIFICATE_VERIFY_FAILED|SELF_SIGNED_CERT"
        r"|UNABLE_TO_GET_ISSUER_CERT",
        "a package index's certificate can't be verified",
        CERTIFICATE_CURE,
    ),
    (
        r"error sending request|dns error|failed to lookup|\bENOTFOUND\b|\bEAI_AGAIN\b"
        r"|\bECONNREFUSED\b|\bETIMEDOUT\b|operation timed out",
        "a package index can't be reached",
        NO_NETWORK_CURE,
    ),
    (
        r"Read-only file system|Permission denied|\bEACCES\b|\bEROFS\b",
        "set-up may not write where it must",
        READ_ONLY_CURE,
    ),
)


class Progress:
    """One line for each step: what it does, a dot every few seconds, how long it took."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str) -> None:
        self._write(f"parley: {text}\n")

    def beat(self) -> None:
        self._write(".")

    @contextmanager
    def step(self, text: str) -> Generator[None]:
        started = time.monotonic()
        self._write(f"parley: {text} ...")
        try:
            yield
        except BaseException:
            self._write(" stopped\n")
            raise
        self._write(f" {time.monotonic() - started:.1f} s\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def run_logged(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    log: Path,
    progress: Progress,
) -> None:
    """Run a program, its output into ``log``; fail with its meaning, or its last lines."""
    with log.open("ab") as sink:
        begin = sink.tell()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            status = _wait(process, progress)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if status:
        with log.open("rb") as source:
            source.seek(begin)
            output = source.read().decode(errors="replace")
        raise explain(f"{Path(command[0]).name} {command[1]}", status, output, log)


def _wait(process: subprocess.Popen[bytes], progress: Progress) -> int:
    while True:
        try:
            return process.wait(_SIGN_OF_LIFE_S)
        except subprocess.TimeoutExpired:
            progress.beat()


def explain(name: str, status: int, output: str, log: Path) -> SetupFailed:
    """Turn a failed program's output into one line with a cure."""
    for pattern, cause, cure in _SYMPTOMS:
        if re.search(pattern, output, re.IGNORECASE):
            return SetupFailed(cause, f"{cure} (details: {log})")
    tail = "\n".join(output.splitlines()[-_TAIL_LINES:])
    return SetupFailed(
        f"{name} ended with status {status}",
        f"its last lines are above, all of them in {log}",
        tail,
    )


def explain_os_error(error: OSError) -> SetupFailed:
    """Turn what the operating system refused during set-up into one line with a cure."""
    where = error.filename or "the checkout"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return SetupFailed("the disk is full", DISK_FULL_CURE)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return SetupFailed(f"can't write {where}", READ_ONLY_CURE)
    return SetupFailed(f"{where}: {error.strerror or error}", "mend that, then start again")
