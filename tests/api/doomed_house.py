"""A process with a live call in it, as far as store and access go: it waits to be killed.

``python -m tests.api.doomed_house FOLDER CALL_ID`` prints "live" when its journals have it all.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from parley.access.opening import open_access
from parley.core.bus import Bus
from parley.core.call import CallInfo
from parley.core.events import AgentText, CallStarted, ToolEnded, TurnEnded, UserTranscript
from parley.settings import Settings
from parley.store.call_journal import CallJournal
from parley.store.call_writer import CallWriter
from parley.store.opening import open_store


async def live(folder: Path, call_id: str) -> None:
    settings = Settings(data_dir=folder)
    call = CallInfo(agent="tester", transport="webrtc", tenant="acme", id=call_id)
    async with (
        open_store(settings) as store,
        open_access(settings, store) as access,
        CallJournal(store.calls, folder / "calls") as journal,
    ):
        held = await access.ledger.reserve(call)
        held.note(tokens=42, characters=8)
        async with Bus() as bus:
            bus.subscribe("store", CallWriter(journal.note).listen)
            for event in (
                CallStarted(call_id=call_id, call=call),
                UserTranscript(call_id=call_id, text="When do you open?", final=True),
                AgentText(call_id=call_id, text="At nine."),
                TurnEnded(call_id=call_id, stages={}, interrupted=False),
                ToolEnded(call_id=call_id, tool="clock", tool_call_id="1", after_ms=3),
            ):
                bus.publish(event)
        print("live", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(live(Path(sys.argv[1]), sys.argv[2]))
