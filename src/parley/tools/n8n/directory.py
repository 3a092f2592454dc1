"""Knows n8n's tools at any moment: asks again and again, and keeps the last list while n8n is
away, also over a restart of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from parley.core.errors import ConnectFailed, DestinationRefused
from parley.core.log import get_logger
from parley.core.tasks import begin, end
from parley.tools.n8n.listing import Listing
from parley.tools.n8n.workflows import Found, WorkflowTool, tools_in
from parley.tools.webhook.destinations import Destinations

log = get_logger(__name__)

REFRESH_S = 30.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 2.0, 60.0


class Directory:
    """The tools of one n8n, which is asked every ``refresh_s``.

    ``kept_in`` is the file with the list that came last. Before any list has ever come,
    ``is_known`` is false: nobody can tell what n8n has.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        destinations: Destinations,
        kept_in: Path,
        refresh_s: float = REFRESH_S,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._listing = Listing(self.base_url, api_key, destinations)
        self._kept_in = kept_in
        self._refresh_s = refresh_s
        self._tools: Mapping[str, WorkflowTool] = {}
        self._problems: tuple[str, ...] = ()
        self._is_known = False
        self._is_away = False
        self._news = asyncio.Condition()
        self._was_asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_known(self) -> bool:
        return self._is_known

    @property
    def tools(self) -> Mapping[str, WorkflowTool]:
        """By name, as n8n had them when it was last reached."""
        return self._tools

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps workflows with our tag from being tools."""
        return self._problems

    async def open(self) -> None:
        """Begin to ask. Whoever calls this must ``close``."""
        await asyncio.to_thread(self._recall)
        self._task = begin(self._keep_asking(), "n8n")

    async def close(self) -> None:
        if self._task is not None:
            await end(self._task)
        await self._listing.close()

    async def asked(self) -> None:
        """Return when n8n has been asked once, whatever came of it."""
        await self._was_asked.wait()

    async def wait_for(self, *names: str) -> None:
        """Return when all of these are tools."""
        async with self._news:
            await self._news.wait_for(lambda: all(name in self._tools for name in names))

    async def refresh(self) -> None:
        """Ask now. Raises ``ConnectFailed`` and ``DestinationRefused``; the list stays what it
        was."""
        found = tools_in(await self._listing.workflows(), self.base_url)
        await self._take(found)

    async def _keep_asking(self) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            try:
                await self.refresh()
                retry_s, pause_s = _FIRST_RETRY_S, self._refresh_s
                self._is_away = False
            except (ConnectFailed, DestinationRefused) as error:
                if not self._is_away:
                    kept = sorted(self._tools)
                    log.warning("n8n_away", why=str(error), hint=error.hint, kept_tools=kept)
                self._is_away = True
                pause_s, retry_s = retry_s, min(retry_s * 2, _LONGEST_RETRY_S)
            self._was_asked.set()
            await asyncio.sleep(pause_s)

    async def _take(self, found: Found) -> None:
        is_new = not self._is_known or _fields(found.tools) != _fields(self._tools)
        if found.problems != self._problems:
            for problem in found.problems:
                log.warning("n8n_workflow_is_no_tool", problem=problem)
        self._problems = found.problems
        if not is_new:
            return
        self._tools, self._is_known = found.tools, True
        log.info("n8n_tools", tools=sorted(found.tools))
        await asyncio.to_thread(self._keep)
        async with self._news:
            self._news.notify_all()

    def _keep(self) -> None:
        kept = {"base_url": self.base_url, "tools": _fields(self._tools)}
        draft = self._kept_in.with_suffix(".new")
        try:
            draft.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            draft.replace(self._kept_in)
        except OSError as error:
            log.warning("n8n_tools_not_kept", file=str(self._kept_in), why=str(error))

    def _recall(self) -> None:
        """Take the list of the last time, if it came from the same n8n."""
        try:
            kept: Any = json.loads(self._kept_in.read_text(encoding="utf-8"))
            if kept["base_url"] != self.base_url:
                return
            tools: dict[str, WorkflowTool] = {}
            for workflow, fields in cast("list[tuple[str, dict[str, Any]]]", kept["tools"]):
                tool = WorkflowTool(workflow, fields)
                tool.options()
                tools[tool.name] = tool
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("n8n_tools_not_recalled", file=str(self._kept_in), why=str(error))
            return
        self._tools, self._is_known = tools, True


def _fields(tools: Mapping[str, WorkflowTool]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(tool.workflow, tool.fields) for tool in tools.values()]
