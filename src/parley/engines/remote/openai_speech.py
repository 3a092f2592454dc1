"""OpenAI's speech service, and any server with the same routes: options and state."""

from __future__ import annotations

from typing import Any

from pydantic import Field, SecretStr

from parley.core.errors import EngineFailed
from parley.engines.remote.addresses import HttpUrls
from parley.engines.remote.instances import Instances
from parley.engines.remote.speech_server import OFFICIAL_URL, SpeechServer, is_official, listed
from parley.engines.remote.standing import standing
from parley.engines.spec import EngineOptions, Status

NAME = "OpenAI"
ENGINE = "openai"


class OpenAISpeechOptions(EngineOptions):
    """What hearing and speaking with such a server have in common."""

    base_url: HttpUrls = Field(
        (OFFICIAL_URL,), description="Where it answers, up to and with /v1; or a list of such."
    )
    api_key: SecretStr = Field(SecretStr(""), description="The key; many local servers need none.")
    timeout_s: float = Field(
        30.0, gt=0, le=600, description="The longest silence while it works, in seconds."
    )
    max_concurrent: int | None = Field(None, ge=1, description="Requests under way at once.")

    @property
    def is_official(self) -> bool:
        return all(is_official(url) for url in self.base_url)

    @property
    def is_set_up(self) -> bool:
        """For ``auto``: a key, or an address of one's own."""
        return bool(self.api_key.get_secret_value()) or "base_url" in self.model_fields_set


class OpenAISpeechServers:
    """The servers of one engine. ``route`` is the one that this engine needs."""

    def __init__(self, options: OpenAISpeechOptions, model: str, route: str) -> None:
        self._options = options
        self._model = model
        self._route = route
        self.all = Instances(options.base_url, self._connect, SpeechServer.close)

    async def check(self) -> Status:
        if self._options.is_official and not self._options.api_key.get_secret_value():
            return Status(False, "no key", "Set OPENAI_API_KEY.")
        return await standing(self.all.all, self._state)

    async def close(self) -> None:
        await self.all.close()

    def _connect(self, url: str) -> SpeechServer:
        key = self._options.api_key.get_secret_value()
        return SpeechServer(NAME, url, api_key=key, timeout_s=self._options.timeout_s)

    async def _state(self, server: SpeechServer) -> Status:
        if is_official(server.url):
            return self._with_model(await server.get("models"))
        # OPENAI_BASE_URL may name a server that only chats, and small ones have no list of models.
        if not await server.offers(self._route):
            return Status(
                False,
                f"{server.where} has no {self._route}",
                "Choose another engine for this, or another base_url.",
            )
        return Status(True, self._model)

    def _with_model(self, answer: Any) -> Status:
        known = [str(entry.get("id")) for entry in listed(answer, "data")]
        if not known:
            raise EngineFailed("OpenAI lists no models.")
        if self._model not in known:
            return Status(False, f"no model {self._model}", "Set model to one that it has.")
        return Status(True, self._model)
