"""A tenant's own voices: listed, spoken with and hinted at for that tenant, and for nobody else."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI, Request

from parley.access.caller import Caller
from parley.api.errors import install_error_handlers
from parley.api.openai.engines import CatalogDesk
from parley.api.openai.speech import speech_router
from parley.api.openai.voices import voices_router
from parley.engines.catalog import EngineCatalog
from parley.engines.found import engines_from
from parley.engines.spec import EngineOptions, EngineSpec, Kind, Voice
from parley.engines.wish import EngineWish, Wishes
from parley.testing.speech import FakeSynthesizer

SPEECH = {"model": "tts-1", "input": "Hello.", "response_format": "pcm"}


class Choir(FakeSynthesizer):
    """A voice of everybody's, and one of acme's."""

    def voices(self) -> tuple[Voice, ...]:
        return (Voice("anna", "Anna", "en"), Voice("jingle", "Jingle", "en", "acme"))


class Solo(FakeSynthesizer):
    """What bee's own agent speaks with."""

    def voices(self) -> tuple[Voice, ...]:
        return (Voice("buzz", "Buzz", "en"),)


def wishes(kind: Kind, tenant: str) -> Wishes:
    return (EngineWish("solo" if tenant == "bee" else "choir"),)


async def guard(request: Request) -> None:
    request.state.caller = Caller(tenant=request.headers["x-tenant"])


@asynccontextmanager
async def house() -> AsyncGenerator[tuple[httpx.AsyncClient, Choir]]:
    choir, solo = Choir(), Solo()
    catalog = EngineCatalog(engines_from([_spec("choir", choir), _spec("solo", solo)]), {})
    desk = CatalogDesk(catalog, wishes)
    web = FastAPI()
    install_error_handlers(web)
    web.include_router(speech_router(desk, guard, stall_s=5))
    web.include_router(voices_router(desk, guard))
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://parley") as http:
        yield http, choir
    await catalog.close()


def _spec(name: str, engine: FakeSynthesizer) -> EngineSpec[FakeSynthesizer]:
    return EngineSpec(
        kind="tts",
        name=name,
        options=EngineOptions,
        open=lambda _: engine,
        summary=name,
        available=lambda _: True,
    )


async def listed(http: httpx.AsyncClient, tenant: str) -> list[str]:
    answer = await http.get("/v1/audio/voices", headers={"x-tenant": tenant})
    return [each["id"] for each in answer.json()["voices"] if "alias_of" not in each]


async def test_the_list_has_ones_own_voices_and_everybodys() -> None:
    async with house() as (http, _):
        assert await listed(http, "acme") == ["anna", "jingle"]
        assert await listed(http, "other") == ["anna"]


async def test_the_default_model_is_that_of_the_tenants_own_default_agent() -> None:
    async with house() as (http, _):
        assert await listed(http, "bee") == ["buzz"]
        assert await listed(http, "other") == ["anna"]


async def test_anothers_voice_is_refused_like_one_that_nobody_has() -> None:
    async with house() as (http, choir):
        spoken = await http.post(
            "/v1/audio/speech", json=SPEECH | {"voice": "jingle"}, headers={"x-tenant": "acme"}
        )
        refused = [
            await http.post(
                "/v1/audio/speech", json=SPEECH | {"voice": name}, headers={"x-tenant": "other"}
            )
            for name in ("jingle", "jangle", "Jingle", "Jangle")
        ]

    assert (spoken.status_code, choir.options[-1].voice, choir.options[-1].tenant) == (
        200,
        "jingle",
        "acme",
    )
    assert {answer.status_code for answer in refused} == {400}
    told = [answer.text.replace("ing", "?").replace("ang", "?") for answer in refused]
    assert told[0] == told[1]
    assert told[2] == told[3]
    assert "Did you mean jingle" not in refused[1].text


async def test_openais_names_never_mean_anothers_voice() -> None:
    async with house() as (http, choir):
        for name in ("alloy", "echo", "nova", "shimmer"):
            await http.post(
                "/v1/audio/speech", json=SPEECH | {"voice": name}, headers={"x-tenant": "other"}
            )

    assert {options.voice for options in choir.options} <= {"", "anna"}
