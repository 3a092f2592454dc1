"""A real OpenSIPS that runs a configuration of deploy/opensips: only CHANGE lines are altered."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.opensips_real.builds import Build
from tests.transports.sip.phone import udp_phone

DEPLOYED = Path(__file__).parents[2] / "deploy/opensips"
START_LIMIT_S = 20
STOP_LIMIT_S = 10


class RealOpenSips:
    """One that is started, stopped and started again with the same file. ``port`` is its SIP's."""

    def __init__(self, build: Build, folder: Path, configuration: str, port: int) -> None:
        self.port = port
        self._build = build
        self._folder = folder
        self._file = folder / "opensips.cfg"
        folder.mkdir(exist_ok=True)
        self._file.write_text(configuration)
        self._running: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    async def start(self) -> None:
        """Return once it answers."""
        with (self._folder / "log").open("ab") as log:
            # A session of its own: when it ends, it ends all processes of its group.
            self._running = await asyncio.create_subprocess_exec(
                self._build.program,
                *("-F", "-f", self._file, "-w", self._folder),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        await self._answers(self._running)

    async def _answers(self, running: asyncio.subprocess.Process) -> None:
        async with udp_phone(self.port) as phone, asyncio.timeout(START_LIMIT_S):
            while phone.inbox.empty():
                assert running.returncode is None, self.log
                phone.say(phone.compose("OPTIONS"))
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await running.wait()

    async def stop(self) -> None:
        """End it and all its processes. May be repeated."""
        running = self._running
        if running is None or running.returncode is not None:
            return
        running.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await running.wait()
        except TimeoutError:
            os.killpg(running.pid, signal.SIGKILL)
            await running.wait()


@asynccontextmanager
async def running_opensips(
    build: Build, folder: Path, configuration: str, port: int
) -> AsyncIterator[RealOpenSips]:
    opensips = RealOpenSips(build, folder, configuration, port)
    try:
        await opensips.start()
        yield opensips
    finally:
        await opensips.stop()


def deployed(name: str, build: Build, changes: Mapping[str, str]) -> str:
    """The configuration of that name with its CHANGE lines as a user changes them.

    ``changes`` have the beginning of a line, and what stands in its place. A line that isn't
    marked, as one that isn't there, is refused.
    """
    wanted = {"mpath=": f'mpath="{build.modules}/"', **changes}
    lines: list[str] = []
    is_marked = False
    for line in (DEPLOYED / name).read_text().splitlines():
        is_marked = (is_marked or line.startswith("# CHANGE")) and bool(line.strip())
        begins = next((each for each in wanted if line.startswith(each)), "")
        if begins:
            assert is_marked, f"{line!r} isn't marked CHANGE"
            line = wanted.pop(begins)
        lines.append(line)
    assert not wanted, f"{name} has no line that begins with {', '.join(wanted)}"
    return "\n".join(lines) + "\n"
