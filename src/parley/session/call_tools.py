"""Everything about tools that one live call has: the tools themselves, what is said while they run,
and what is said when nothing comes of them."""

from __future__ import annotations

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema

from parley.agents.schema import Agent
from parley.core.call import CallInfo
from parley.session.actions import ToolActions
from parley.session.control import CallControl
from parley.session.fillers import Fillers
from parley.session.house import House
from parley.session.last_resort import LastResort
from parley.session.live_tools import LiveTools
from parley.session.media import CallMedia
from parley.session.narrator import Announcer
from parley.session.pipeline import CallPipeline
from parley.session.terms import CallTerms
from parley.session.toolbelt import Toolbelt, Whose
from parley.session.waiting_words import waiting_words


class CallTools:
    """One call's. Only those are offered that its transport can do."""

    def __init__(
        self,
        call: CallInfo,
        agent: Agent,
        terms: CallTerms,
        media: CallMedia,
        control: CallControl,
        house: House,
        announcer: Announcer,
    ) -> None:
        tools = house.tools.tools_for(agent, call.tenant) if terms.is_agent else ()
        possible = [tool for tool in tools if tool.needs is None or tool.needs in media.abilities]
        self._speaks = terms.speaks and terms.is_agent
        self._fillers = Fillers(waiting_words(agent), call.id, announcer.announce)
        belt = Toolbelt(
            possible,
            ToolActions(control, media),
            announcer.announce,
            Whose(call.tenant, agent.name),
            self._fillers.progress,
            house.tool_book,
        )
        self._resort = LastResort(control, agent.sorry.tool)
        self._live = LiveTools(belt, self._fillers, self._resort)
        self.schema: ToolsSchema = belt.schema()
        announcer.tell_too(self._fillers.note)
        announcer.tell_too(self._live.note)

    def hang_on(self, line: CallPipeline) -> None:
        """Let the model use them."""
        self._live.hang_on(line)
        if self._speaks:
            self._fillers.speak_through(line)
            self._resort.watch(line)

    async def close(self) -> None:
        """Wait shortly for what must not be interrupted, then let go."""
        await self._fillers.close()
        await self._live.close()
