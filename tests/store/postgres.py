"""A PostgreSQL server of the tests' own, where its programs are on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def programs() -> Path | None:
    """Where ``initdb`` and ``pg_ctl`` are, if they can be used."""
    on_path = shutil.which("initdb")
    folder = Path(on_path).parent if on_path else (FOLDERS[-1] if FOLDERS else None)
    # PostgreSQL refuses to run as root.
    if folder is None or (os.geteuid() == 0 and not shutil.which("setpriv")):
        return None
    return folder


@contextmanager
def server(folder: Path) -> Generator[str]:
    """Run one on loopback; gives its URL."""
    become = _NOBODY if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory() as place, socket.socket() as taken:
        if become:
            shutil.chown(place, "nobody")
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        taken.close()
        _run([*become, str(folder / "initdb"), "-D", f"{place}/db", "-U", "parley", "-A", "trust"])
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {place} -c fsync=off"
        control = [*become, str(folder / "pg_ctl"), "-D", f"{place}/db", "-w"]
        _run([*control, "-o", options, "-l", f"{place}/log", "start"])
        try:
            yield f"postgresql://parley@127.0.0.1:{port}/postgres"
        finally:
            _run([*control, "-m", "immediate", "stop"])


async def new_database(server_url: str, name: str) -> str:
    """An empty database on the server; gives its URL."""
    url = make_url(server_url)
    engine = create_async_engine(
        url.set(drivername="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    await engine.dispose()
    return url.set(database=name).render_as_string(hide_password=False)


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, done.stderr
