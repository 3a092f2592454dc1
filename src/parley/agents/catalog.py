"""All agents by name, kept in step with their files while calls go on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

# Its signature names trio, which isn't installed.
from watchfiles import awatch  # pyright: ignore[reportUnknownVariableType]

from parley.agents.places import places_in, watched_in
from parley.agents.reading import AgentDefaults, Problem, Reading, read_agent
from parley.agents.schema import Agent, AgentKey
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

    A tenant sees the house's agents and its own, which take the place of the house's of the same
    name; those of another tenant don't exist for it. "" as a tenant sees the house's alone.

    A call takes an agent once and keeps it: changes reach the next call.
    """

    def __init__(self, folders: Sequence[Path], defaults: AgentDefaults) -> None:
        self._folders = [folder.resolve() for folder in folders]
        self._defaults = defaults
        self._seen: dict[Path, _Kept] = {}
        self._agents: dict[AgentKey, Agent] = {}
        self._files: dict[AgentKey, Path] = {}
        self._in_force: dict[AgentKey, Reading] = {}

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

        Raises ``BadAgent`` when the house's default agent is one of them, and ``BadSettings`` when
        somebody chose a default agent that the house has not got.
        """
        problems: list[Problem] = []
        for key, reading in self._scan().items():
            problems.extend(reading.problems)
            if reading.agent:
                self._agents[key] = reading.agent
                self._files[key] = reading.file
            elif key == self._default_key:
                raise BadAgent("\n".join(str(problem) for problem in reading.problems))
        if self._defaults.must_exist and self._default_key not in self._agents:
            raise BadSettings(
                f"PARLEY_AGENT={self.default_name} names no agent.",
                hint=did_you_mean(self.default_name, self._visible("")),
            )
        self._stand_in()
        return problems

    def get(self, name: str = "", tenant: str = "") -> Agent:
        """The agent of that name for that tenant; "" is the default one. Raises ``NotFound``."""
        wanted = name or self.default_name
        agent = self._agents.get((tenant, wanted)) or self._agents.get(("", wanted))
        if agent is None:
            hint = did_you_mean(wanted, self._visible(tenant))
            raise NotFound(f"There is no agent {wanted!r}.", hint=hint)
        return agent

    def of(self, tenant: str) -> list[Agent]:
        """The agents that the tenant can call, the default one first, then by name."""
        agents = self._visible(tenant).values()
        return sorted(agents, key=lambda agent: (agent.name != self.default_name, agent.name))

    def all(self) -> list[Agent]:
        """Every agent of the house and of all tenants, the house's first."""
        return sorted(self._agents.values(), key=self._rank)

    def has_tenant(self, name: str) -> bool:
        """Whether the tenant has agents of its own."""
        return any(tenant == name for tenant, _ in self._agents)

    def files(self) -> list[Path]:
        """Every agent's file, also those whose place another one takes."""
        return [file for place in places_in(self._folders) for file in place.files()]

    def file_of(self, agent: Agent) -> Path | None:
        """Where the agent was read from; None when settings alone define it."""
        return self._files.get(agent.key)

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
        while folders := watched_in(self._folders):
            changes = awatch(
                *folders,
                recursive=False,
                force_polling=force_polling,
                yield_on_timeout=True,
                rust_timeout=_LOOK_MS,
            )
            async with aclosing(changes):
                async for _ in changes:
                    await self.reload(prepare)
                    # Tenants come and go; each has a folder.
                    if watched_in(self._folders) != folders:
                        break

    async def reload(self, prepare: Prepare) -> None:
        """Take in what changed in the folders since they were last read."""
        before = self._in_force
        files = await asyncio.to_thread(self._scan)
        for key, reading in files.items():
            if reading is not before.get(key):
                await self._renew(key, reading, prepare)
        for key in [key for key in self._files if key not in files]:
            del self._agents[key], self._files[key]
            log.info("agent_removed", **_named(key))
        self._stand_in()

    async def _renew(self, key: AgentKey, reading: Reading, prepare: Prepare) -> None:
        kept = self._agents.get(key)
        for problem in reading.problems:
            log.error("agent_broken", **_named(key), problem=str(problem), kept=kept is not None)
        if reading.agent is None:
            return
        if reading.agent == kept:
            self._files[key] = reading.file
            return
        try:
            await prepare(reading.agent)
        except Exception as error:
            # Whatever goes wrong with this one, the next edit must still be followed.
            log.error(
                "agent_refused",
                **_named(key),
                file=str(reading.file),
                problem=str(error),
                kept=kept is not None,
            )
            return
        self._agents[key] = reading.agent
        self._files[key] = reading.file
        log.info("agent_loaded", **_named(key), file=str(reading.file))

    @property
    def _default_key(self) -> AgentKey:
        return ("", self.default_name)

    def _visible(self, tenant: str) -> dict[str, Agent]:
        """By name; a tenant's own come last and so take the house's places."""
        owners = ("", tenant) if tenant else ("",)
        return {
            name: agent
            for owner in owners
            for (whose, name), agent in self._agents.items()
            if whose == owner
        }

    def _rank(self, agent: Agent) -> tuple[str, bool, str]:
        return agent.tenant, agent.name != self.default_name, agent.name

    def _stand_in(self) -> None:
        """Somebody must answer: without a file, settings alone make the default agent."""
        if self._default_key not in self._agents:
            self._agents[self._default_key] = self._defaults.agent()

    def _scan(self) -> dict[AgentKey, Reading]:
        """Read what is new or changed; gives the reading in force for each agent."""
        in_force: dict[AgentKey, Reading] = {}
        seen: dict[Path, _Kept] = {}
        for place in places_in(self._folders):
            for file in place.files():
                digest = _digest(file)
                kept = self._seen.get(file)
                if kept is None or kept.digest != digest:
                    kept = _Kept(digest, read_agent(file, self._defaults, place.tenant))
                seen[file] = kept
                in_force.setdefault((place.tenant, file.stem), kept.reading)
        self._seen = seen
        self._in_force = in_force
        return in_force


def _named(key: AgentKey) -> dict[str, str]:
    """An agent in the log."""
    tenant, name = key
    return {"agent": name, "tenant": tenant} if tenant else {"agent": name}


def _digest(file: Path) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        return f"unreadable: {error.strerror}"
