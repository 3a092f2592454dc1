"""What Deepgram's recogniser and voices share: the key, the address, the list of models."""

from __future__ import annotations

from typing import Any, cast

import httpx
from pydantic import Field, SecretStr

from parley.core.errors import EngineUnavailable
from parley.engines.remote.addresses import HttpUrls, without_password
from parley.engines.remote.clients import http_client
from parley.engines.remote.failures import failure_of, told_plainly
from parley.engines.spec import EngineOptions, Status

ENGINE = "Deepgram"


class DeepgramOptions(EngineOptions):
    """What both of Deepgram's engines take."""

    api_key: SecretStr | None = Field(None, description="The key, from Deepgram's console.")
    base_url: HttpUrls = Field(
        ("https://api.deepgram.com",), description="Deepgram's servers, or your own of Deepgram's."
    )
    connect_timeout_s: float = Field(5.0, gt=0, description="How long connecting may take.")
    answer_timeout_s: float = Field(10.0, gt=0, description="How late an answer may be.")
    max_concurrent: int | None = Field(None, ge=1, description="Requests served at once.")


def headers_for(options: DeepgramOptions) -> dict[str, str]:
    """Raises ``EngineUnavailable`` when there is no key and the servers aren't one's own."""
    if options.api_key is not None and options.api_key.get_secret_value():
        return {"Authorization": f"Token {options.api_key.get_secret_value()}"}
    if is_configured(options):
        return {}
    raise EngineUnavailable(
        "Deepgram needs a key.", hint="Set DEEPGRAM_API_KEY to a key from console.deepgram.com."
    )


def is_configured(options: DeepgramOptions) -> bool:
    """A key, or an address of one's own, which may need none."""
    return bool(options.api_key) or "base_url" in options.model_fields_set


def client_for(url: str, options: DeepgramOptions) -> httpx.AsyncClient:
    return http_client(url, headers=headers_for(options), timeout_s=options.answer_timeout_s)


async def key_status(client: httpx.AsyncClient) -> Status:
    """Raises our errors when Deepgram can't be reached or refuses the key."""
    url = str(client.base_url)
    with told_plainly(ENGINE, url):
        answer = await client.get("/v1/auth/token")
        # Deepgram on one's own machines has no such route, and no keys.
        if answer.status_code >= 400 and answer.status_code not in (404, 405):
            raise failure_of(ENGINE, url, answer)
    return Status(True, f"Deepgram at {without_password(url)}")


async def models_of(client: httpx.AsyncClient, kind: str) -> list[dict[str, Any]]:
    """The models of kind stt or tts, newest versions only; none where there is no list."""
    url = str(client.base_url)
    with told_plainly(ENGINE, url):
        answer = await client.get("/v1/models")
        if answer.status_code in (404, 405):
            return []
        if answer.status_code >= 400:
            raise failure_of(ENGINE, url, answer)
        listed: Any = answer.json()[kind]
        return [cast("dict[str, Any]", model) for model in listed]
