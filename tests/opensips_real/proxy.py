"""proxy.cfg in a real OpenSIPS, nodes behind it, and telephones that keep to its route."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parley.session.turns import Listening
from tests.opensips_real.builds import Build
from tests.opensips_real.running import DEPLOYED, RealOpenSips, deployed, running_opensips
from tests.session.fakes import agent_with
from tests.transports.sip.switchboard import Switchboard, switchboard

# Whom sipp calls, whom the test telephones call, and who answers at every Parley.
AGENTS = [agent_with(name=name) for name in ("demo", "tester", "receptionist")]


def write_tables(folder: Path, nodes: Sequence[int]) -> None:
    """The tables of deploy/opensips, with these ports as the nodes."""
    folder.parent.mkdir(exist_ok=True)
    shutil.copytree(DEPLOYED / "dbtext", folder)
    head, row, *_ = (folder / "dispatcher").read_text().splitlines()
    rows = [
        re.sub(r"^\d+:(\d+):sip\\:[^:]*\\:\d+:", rf"{number}:\1:sip\\:127.0.0.1\\:{port}:", row)
        for number, port in enumerate(nodes, 1)
    ]
    assert all(str(port) in each for port, each in zip(nodes, rows, strict=True)), rows
    (folder / "dispatcher").write_text("\n".join([head, *rows]) + "\n")


@asynccontextmanager
async def running_proxy(
    build: Build, folder: Path, port: int, nodes: Sequence[int]
) -> AsyncIterator[RealOpenSips]:
    write_tables(folder / "dbtext", nodes)
    changes = {
        "socket=": f"socket=udp:127.0.0.1:{port}",
        'modparam("dispatcher", "db_url"': (
            f'modparam("dispatcher", "db_url", "text://{folder}/dbtext")'
        ),
    }
    configuration = deployed("proxy.cfg", build, changes)
    async with running_opensips(build, folder, configuration, port) as proxy:
        yield proxy


@asynccontextmanager
async def node_at(
    port: int, listening: Listening, *, max_calls: int = 4, **house: Any
) -> AsyncIterator[Switchboard]:
    """A Parley with a telephone of its own."""
    sip = {"port": port, "t1_s": 0.5}
    async with switchboard(
        listening, agents=AGENTS, max_calls=max_calls, sip=sip, **house
    ) as board:
        yield board
