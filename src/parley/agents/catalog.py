"""All agents by name, kept in step with their files while calls go on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

# Its signature names trio, which isn't installed.
from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

from parley.agents.reading import AgentDefaults, Problem, Reading, read_agent
from parley.agents.schema import Agent
from parley.core.errors import BadAgent, BadSettings, NotFound
from parley.core.log import get_logger
from parley.core.registry import did_you_mean
from parley.core.shipped import shipped_folder
from parley.settings import Settings

log = get_logger(__name__)

# Some network mounts tell nobody of changes, so the folders are looked at now and then as well.
_LOOK_MS = 5000

Prepare = Callable[[Agent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Kept:
    """One file as it was last seen: its content's digest and what reading it gave."""

    digest: str
    reading: Reading


class AgentCatalog:
    """The agents of some folders; where two folders have the same name, the first folder's wins.

    A call takes an agent once and keeps it: changes reach the next call.
    """

    def __init__(self, folders: Sequence[Path], defaults: AgentDefaults) -> None:
        self._folders = [folder.resolve() for folder in folders]
        self._defaults = defaults
        self._seen: dict[Path, _Kept] = {}
        self._agents: dict[str, Agent] = {}
        self._files: dict[str, Path] = {}
        self._in_force: dict[str, Reading] = {}

    @classmethod
    def from_settings(cls, settings: Settings) -> AgentCatalog:
        """The user's agents, then those that ship with Parley."""
        if settings.agents_dir and not settings.agents_dir.is_dir():
            raise BadSettings(
                f"PARLEY_AGENTS_DIR={settings.agents_dir} is not a folder.",
                hint="Name the folder that holds your agents' YAML files.",
            )
        folders = [settings.agents_folder, shipped_folder()]
        return cls(folders, AgentDefaults.from_settings(settings))

    @property
    def default_name(self) -> str:
        return self._defaults.name

    def load(self) -> list[Problem]:
        """Read every file. Returns what is wrong with those that had to be left out.

        Raises ``BadAgent`` when the default agent is one of them, and ``BadSettings`` when
        somebody chose a default agent that does not exist.
        """
        problems: list[Problem] = []
        for name, reading in self._scan().items():
            problems.extend(reading.problems)
            if reading.agent:
                self._agents[name] = reading.agent
                self._files[name] = reading.file
            elif name == self.default_name:
                raise BadAgent("\n".join(str(problem) for problem in reading.problems))
        if self._defaults.must_exist and self.default_name not in self._agents:
            raise BadSettings(
                f"PARLEY_AGENT={self.default_name} names no agent.",
                hint=did_you_mean(self.default_name, self._agents),
            )
        self._stand_in()
        return problems

    def get(self, name: str = "") -> Agent:
        """The agent of that name; "" is the default one. Raises ``NotFound``."""
        try:
            return self._agents[name or self.default_name]
        except KeyError:
            raise NotFound(
                f"There is no agent {name or self.default_name!r}.",
                hint=did_you_mean(name or self.default_name, self._agents),
            ) from None

    def all(self) -> list[Agent]:
        """Every agent, the default one first, then by name."""
        return sorted(
            self._agents.values(), key=lambda agent: (agent.name != self.default_name, agent.name)
        )

    def files(self) -> list[Path]:
        """Every agent's file, also those whose place another one takes."""
        return [file for folder in self._folders for file in agent_files(folder)]

    def file_of(self, name: str) -> Path | None:
        """Where the agent was read from; None when settings alone define it."""
        return self._files.get(name)

    async def watch(self, prepare: Prepare) -> None:
        """Follow the folders until cancelled.

        ``prepare`` gets every new or changed agent before a call can; when it raises, or
        the file is broken, the last good version stays.
        """
        try:
            await self._follow(prepare, force_polling=None)
        except (OSError, RuntimeError) as error:
            # The kernel hands out a limited number of watches.
            log.warning("agents_polled", error=str(error))
            await self._follow(prepare, force_polling=True)

    async def _follow(self, prepare: Prepare, *, force_polling: bool | None) -> None:
        folders = [folder for folder in self._folders if folder.is_dir()]
        if not folders:
            return
        async for _ in awatch(
            *folders,
            recursive=False,
            force_polling=force_polling,
            yield_on_timeout=True,
            rust_timeout=_LOOK_MS,
        ):
            await self.reload(prepare)

    async def reload(self, prepare: Prepare) -> None:
        """Take in what changed in the folders since they were last read."""
        before = self._in_force
        files = await asyncio.to_thread(self._scan)
        for name, reading in files.items():
            if reading is not before.get(name):
                await self._renew(name, reading, prepare)
        for name in [name for name in self._files if name not in files]:
            del self._agents[name], self._files[name]
            log.info("agent_removed", agent=name)
        self._stand_in()

    async def _renew(self, name: str, reading: Reading, prepare: Prepare) -> None:
        for problem in reading.problems:
            log.error("agent_broken", agent=name, problem=str(problem), kept=name in self._agents)
        if reading.agent is None:
            return
        if reading.agent == self._agents.get(name):
            self._files[name] = reading.file
            return
        try:
            await prepare(reading.agent)
        except Exception as error:
            # Whatever goes wrong with this one, the next edit must still be followed.
            log.error(
                "agent_refused",
                agent=name,
                file=str(reading.file),
                problem=str(error),
                kept=name in self._agents,
            )
            return
        self._agents[name] = reading.agent
        self._files[name] = reading.file
        log.info("agent_loaded", agent=name, file=str(reading.file))

    def _stand_in(self) -> None:
        """Somebody must answer: without a file, settings alone make the default agent."""
        if self.default_name not in self._agents:
            self._agents[self.default_name] = self._defaults.agent()

    def _scan(self) -> dict[str, Reading]:
        """Read what is new or changed; gives the reading in force for each name."""
        in_force: dict[str, Reading] = {}
        seen: dict[Path, _Kept] = {}
        for folder in self._folders:
            for file in agent_files(folder):
                digest = _digest(file)
                kept = self._seen.get(file)
                if kept is None or kept.digest != digest:
                    kept = _Kept(digest, read_agent(file, self._defaults))
                seen[file] = kept
                in_force.setdefault(file.stem, kept.reading)
        self._seen = seen
        self._in_force = in_force
        return in_force


def agent_files(folder: Path) -> list[Path]:
    """The agents' files of a folder; names that start with ``.`` or ``_`` are left alone."""
    found = [*folder.glob("*.yaml"), *folder.glob("*.yml")]
    return sorted(file for file in found if not file.name.startswith((".", "_")))


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
