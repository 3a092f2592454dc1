"""What monitors read: the requirement's JSON, and each engine by kind and name."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from fastapi import FastAPI

from parley.api.errors import install_error_handlers
from parley.api.health import health_router
from parley.engines.fallback.places import Queue
from parley.engines.spec import Kind, Status

OK = Status(True, "it answers")
DOWN = Status(False, "it can't be reached", "Start it.")
Statuses = dict[tuple[Kind, str], Status]


class House:
    def __init__(self, statuses: Statuses, fetching: Mapping[str, str] | None = None) -> None:
        self.statuses = statuses
        self.fetching: Mapping[str, str] = fetching or {}
        self.is_accepting = True
        self.queues: dict[tuple[Kind, str], Queue] = {}

    async def check_engines(self) -> Statuses:
        return self.statuses

    def engine_queues(self) -> Mapping[tuple[Kind, str], Queue]:
        return self.queues


class Door:
    """A part of the house that says how it is."""

    def __init__(self, status: Status) -> None:
        self.said = status

    def status(self) -> Status:
        return self.said


def client(house: House, **parts: Door) -> httpx.AsyncClient:
    web = FastAPI()
    install_error_handlers(web)
    web.include_router(health_router(house, house, parts=parts))
    return httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://parley")


async def test_what_is_not_set_up_is_named_and_harms_nothing() -> None:
    async with client(House({("stt", "builtin"): OK, ("tts", "builtin"): OK})) as http:
        told = (await http.get("/health")).json()
        speaches = (await http.get("/health/speaches")).json()

    assert told == {
        "status": "healthy",
        "checks": {"speaches": "not_configured", "ollama": "not_configured", "builtin": True},
    }
    assert speaches == {"status": "not_configured"}


@pytest.mark.parametrize("broken", ["stt", "tts"])
async def test_an_engine_that_fails_in_one_kind_is_degraded_by_name(broken: Kind) -> None:
    statuses: Statuses = {("stt", "speaches"): OK, ("tts", "speaches"): OK, ("llm", "ollama"): OK}
    statuses[broken, "speaches"] = DOWN
    async with client(House(statuses)) as http:
        answer = await http.get("/health")
        speaches = (await http.get("/health/speaches")).json()
        one = (await http.get(f"/health/engines/{broken}/speaches")).json()
        ollama = (await http.get("/health/ollama")).json()

    assert answer.status_code == 200
    assert answer.json() == {"status": "degraded", "checks": {"speaches": False, "ollama": True}}
    assert speaches["status"] == "degraded"
    assert one == {"status": "degraded", "detail": "it can't be reached", "hint": "Start it."}
    assert ollama["status"] == "healthy"


async def test_models_on_their_way_are_told_with_their_progress() -> None:
    status = Status(False, "no such model", "parley models pull ollama:m", missing_model="m")
    house = House({("llm", "ollama"): status}, {"ollama:m": "m  43 %  0.9 GB of 2.0 GB"})
    async with client(house) as http:
        told = (await http.get("/health")).json()
        one = (await http.get("/health/engines/llm/ollama")).json()

    assert told["fetching"] == {"ollama:m": "m  43 %  0.9 GB of 2.0 GB"}
    assert one["missing_model"] == "m"


async def test_who_waits_for_an_engine_is_told_beside_its_health() -> None:
    house = House({("llm", "ollama"): OK, ("stt", "builtin"): OK})
    house.queues["llm", "ollama"] = Queue(2, 2, 3, 8, 1, 40, 900)
    async with client(house) as http:
        one = (await http.get("/health/engines/llm/ollama")).json()
        named = (await http.get("/health/ollama")).json()
        other = (await http.get("/health/engines/stt/builtin")).json()

    assert one["queue"] == {
        "places": 2,
        "busy": 2,
        "waiting": 3,
        "waiting_limit": 8,
        "refused": 1,
        "last_wait_ms": 40,
        "longest_wait_ms": 900,
    }
    assert named["engines"]["llm"]["queue"] == one["queue"]
    assert "queue" not in other


@pytest.mark.parametrize("path", ["/health/nobody", "/health/engines/stt/nobody"])
async def test_an_engine_that_nobody_uses_is_not_found(path: str) -> None:
    async with client(House({("stt", "builtin"): OK})) as http:
        answer = await http.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_a_house_that_drains_is_alive_but_not_ready() -> None:
    house = House({})
    house.is_accepting = False
    async with client(house) as http:
        live, ready = await http.get("/health/live"), await http.get("/health/ready")

    assert live.status_code == 200
    assert (ready.status_code, ready.json()) == (503, {"status": "draining"})


async def test_a_door_that_can_not_be_reached_is_degraded_like_an_engine() -> None:
    house = House({("stt", "builtin"): OK})
    async with client(house, opensips=Door(DOWN), spare=Door(OK)) as http:
        told = (await http.get("/health")).json()
        opensips = (await http.get("/health/opensips")).json()
        spare = (await http.get("/health/spare")).json()

    assert told["status"] == "degraded"
    assert (told["checks"]["opensips"], told["checks"]["spare"]) == (False, True)
    assert opensips == {"status": "degraded", "detail": DOWN.detail, "hint": DOWN.hint}
    assert spare == {"status": "healthy", "detail": OK.detail}
