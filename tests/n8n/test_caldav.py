"""The templates for CalDAV, on a Radicale that is installed beside n8n."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.n8n.days import next_day
from tests.n8n.installation import Installation
from tests.n8n.instance import WORKFLOWS, Answer, N8n

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

USER, PASSWORD = "parley", "a-word-for-tests"
SHIPPED_URL = "http://127.0.0.1:5232/parley/appointments"
# A person's own lunch of every week, in the calendar's time zone and with a folded line.
LUNCH = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//Somebody//else//EN\r
BEGIN:VEVENT\r
UID:lunch\r
DTSTAMP:20261101T000000Z\r
DTSTART;TZID=Europe/London:{first}T121500\r
DTEND;TZID=Europe/London:{first}T124500\r
RRULE:FREQ=WEEKLY\r
SUMMARY:Lunch with a name that is far too long for one line of a calen\r
 dar\r
END:VEVENT\r
END:VCALENDAR\r
"""


class Calendar:
    """The tools of the templates, and the calendar behind them."""

    def __init__(self, n8n: N8n, url: str, hooks: dict[str, str]) -> None:
        self._n8n = n8n
        self._url = url
        self._hooks = hooks

    async def use(self, tool: str, key: str = "", **args: Any) -> Answer:
        return await self._n8n.call(tool, key, hook=self._hooks[tool], **args)

    async def put(self, name: str, text: str) -> None:
        async with self._http() as http:
            (await http.put(f"{self._url}/{name}", content=text)).raise_for_status()

    async def files(self) -> str:
        async with self._http() as http:
            return (await http.get(f"{self._url}/")).text

    @staticmethod
    def _http() -> httpx.AsyncClient:
        return httpx.AsyncClient(auth=(USER, PASSWORD), timeout=30)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def calendar(
    n8n: N8n, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Calendar]:
    folder = tmp_path_factory.mktemp("radicale")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "radicale",
        "--config",
        str(configuration(folder, port)),
        env={**os.environ, "PYTHONPATH": str(installation.radicale())},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/{USER}/appointments"
        await make_calendar(url)
        yield Calendar(n8n, url, await add_templates(n8n, url))
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


def configuration(folder: Path, port: int) -> Path:
    (folder / "users").write_text(f"{USER}:{PASSWORD}\n")
    file = folder / "config"
    file.write_text(
        f"[server]\nhosts=127.0.0.1:{port}\n"
        f"[auth]\ntype=htpasswd\nhtpasswd_filename={folder / 'users'}\nhtpasswd_encryption=plain\n"
        f"[storage]\nfilesystem_folder={folder / 'files'}\n"
    )
    return file


async def make_calendar(url: str) -> None:
    async with httpx.AsyncClient(auth=(USER, PASSWORD), timeout=30) as http:
        for _ in range(60):
            try:
                answer = await http.request("MKCALENDAR", f"{url}/")
                assert answer.status_code == 201, answer.text
                return
            except httpx.ConnectError:
                await asyncio.sleep(0.5)
    raise AssertionError("Radicale did not start")


async def add_templates(n8n: N8n, url: str) -> dict[str, str]:
    """Publish the templates with this server's address; gives the tools' addresses."""
    await n8n.add_credential("httpBasicAuth", {"user": USER, "password": PASSWORD})
    hooks: dict[str, str] = {}
    for file in sorted((WORKFLOWS / "templates/caldav").glob("*.json")):
        made = json.loads(file.read_text().replace(SHIPPED_URL, url))
        await n8n.add_workflow(made)
        hooks[file.stem] = next(
            node["webhookId"] for node in made["nodes"] if "parleyTool" in node["type"]
        )
    return hooks


async def test_an_appointment_is_booked_refused_moved_and_cancelled(calendar: Calendar) -> None:
    day = next_day()

    free = (await calendar.use("free_times", day=day)).result
    book = (await calendar.use("book_appointment", name="Ora", day=day, time="10:00")).result
    other = await calendar.use("book_appointment", name="Pia", day=day, time="10:00")
    move = (
        await calendar.use("move_appointment", name="Ora", new_day=day, new_time="14:00")
    ).result
    listed = (await calendar.use("list_appointments", name="Ora")).result
    after = (await calendar.use("free_times", day=day)).result
    cancel = (await calendar.use("cancel_appointment", name="Ora")).result

    assert len(free["times"]) == 16
    assert book["status"] == "booked"
    assert other.error == "slot_taken"
    assert (move["status"], move["time"]) == ("moved", "14:00")
    assert [each["time"] for each in listed["appointments"]] == ["14:00"]
    assert "10:00" in after["times"] and "14:00" not in after["times"]
    assert cancel["status"] == "cancelled"
    assert "Ora" not in await calendar.files()


async def test_the_server_lets_one_of_ten_in(calendar: Calendar) -> None:
    day = next_day()

    answers = await asyncio.gather(
        *(calendar.use("book_appointment", name=f"C{n}", day=day, time="10:00") for n in range(10))
    )

    assert Counter(answer.body["ok"] for answer in answers) == {True: 1, False: 9}


async def test_a_request_that_comes_again_changes_nothing_more(calendar: Calendar) -> None:
    day = next_day()
    wish = {"name": "Ray", "day": day, "time": "11:00"}

    answers = [await calendar.use("book_appointment", "key-ray", **wish) for _ in range(2)]

    assert answers[0].result == answers[1].result
    assert (await calendar.files()).count("SUMMARY:Ray") == 1


async def test_what_others_write_into_the_calendar_blocks_its_time(calendar: Calendar) -> None:
    day = next_day()
    week_before = date.fromisoformat(day) - timedelta(days=7)
    await calendar.put("lunch.ics", LUNCH.format(first=f"{week_before:%Y%m%d}"))

    times = (await calendar.use("free_times", day=day)).result["times"]
    booked = await calendar.use("book_appointment", name="Sue", day=day, time="12:30")

    assert {"12:00", "12:30"}.isdisjoint(times)
    assert {"11:30", "13:00"} <= set(times)
    assert booked.error == "slot_taken"
