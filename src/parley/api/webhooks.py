"""``/v1/webhooks``: whom to tell of calls."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from parley.api.event_courier import Standing
from parley.api.event_letters import EVENTS, USUAL_EVENTS
from parley.api.openai.bodies import described_body, read_json, tenant_of
from parley.api.openai.engines import Guard
from parley.core.answers import BODY_FAULTS, answers
from parley.core.errors import InvalidValue, NotFound
from parley.core.registry import did_you_mean
from parley.core.spelling import Spelling
from parley.store.records import WebhookRecord
from parley.store.signing_secrets import new_secret

MOST_BODY_BYTES = 16 * 1024
MOST_WEBHOOKS = 20
LONGEST_URL = 2000
_HOOKS = "/v1/webhooks"

Url = Annotated[
    str,
    StringConstraints(strip_whitespace=True, max_length=LONGEST_URL),
    Spelling(r"[^\s\x00-\x1f\x7f]+", "an address without spaces and control characters"),
]


class NewWebhook(BaseModel):
    """Where to send events, and which."""

    model_config = ConfigDict(extra="ignore")

    url: Annotated[Url, Field(description="http:// or https://")]
    events: Annotated[
        list[str],
        Field(
            max_length=len(EVENTS),
            description="Names of events; else " + ", ".join(USUAL_EVENTS) + ".",
        ),
    ] = []


class ShownWebhook(BaseModel):
    """A webhook, and how this server fares with it: a dropped event is not sent again."""

    id: str
    object: Literal["webhook"] = "webhook"
    url: str
    events: list[str]
    created_at: datetime
    delivered: int = 0
    dropped: int = 0
    waiting: int = 0


class MadeWebhook(ShownWebhook):
    """A webhook that has just been made. Its secret is shown now and never again."""

    secret: Annotated[str, Field(description="What its events are signed with.")]


class ShownWebhooks(BaseModel):
    """Every webhook of the tenant, oldest first."""

    object: Literal["list"] = "list"
    data: list[ShownWebhook]


class WebhookShelf(Protocol):
    """Where webhooks are kept: ``store.webhooks``."""

    async def add(self, webhook: WebhookRecord, *, most: int) -> bool: ...

    async def all(self, tenant: str = "") -> Sequence[WebhookRecord]: ...

    async def remove(self, tenant: str, webhook_id: str) -> bool: ...


class Carrier(Protocol):
    """Who delivers: ``Courier``."""

    async def look(self) -> None: ...

    def standing(self, hook: WebhookRecord) -> Standing: ...


class Places(Protocol):
    """Which addresses may be reached: ``tools.webhook.destinations.Destinations``."""

    def require_url(self, url: str) -> None: ...


def webhooks_router(
    kept: WebhookShelf, carrier: Carrier, places: Places, guard: Guard, *, stall_s: float
) -> APIRouter:
    """``GET`` and ``POST /v1/webhooks``, ``DELETE /v1/webhooks/{id}``."""
    webhooks = _Webhooks(kept, carrier, places, stall_s)
    router = APIRouter(tags=["webhooks"], dependencies=[Depends(guard)])
    router.add_api_route(
        _HOOKS, webhooks.list, methods=["GET"], summary="List webhooks", responses=answers(503)
    )
    router.add_api_route(
        _HOOKS,
        webhooks.add,
        methods=["POST"],
        status_code=201,
        summary="Have events of calls sent to a URL",
        responses=answers(*BODY_FAULTS, 403, 503),
        openapi_extra=described_body(NewWebhook),
    )
    router.add_api_route(
        f"{_HOOKS}/{{webhook_id}}",
        webhooks.remove,
        methods=["DELETE"],
        status_code=204,
        summary="Remove a webhook",
        responses=answers(404, 503),
    )
    return router


class _Webhooks:
    def __init__(
        self, kept: WebhookShelf, carrier: Carrier, places: Places, stall_s: float
    ) -> None:
        self._kept = kept
        self._carrier = carrier
        self._places = places
        self._stall_s = stall_s

    async def list(self, request: Request) -> ShownWebhooks:
        found = await self._kept.all(tenant_of(request))
        return ShownWebhooks(data=[ShownWebhook(**self._described(each)) for each in found])

    async def add(self, request: Request) -> MadeWebhook:
        """The answer has the secret with which events are signed."""
        wish = await read_json(
            request, NewWebhook, most_bytes=MOST_BODY_BYTES, stall_s=self._stall_s
        )
        self._require_url(wish.url)
        hook = WebhookRecord(
            id=f"hook_{secrets.token_hex(12)}",
            tenant=tenant_of(request),
            url=wish.url,
            events=_known(wish.events) or USUAL_EVENTS,
            secret=new_secret(),
            created_at=datetime.now(UTC),
        )
        if not await self._kept.add(hook, most=MOST_WEBHOOKS):
            raise InvalidValue(
                f"There are {MOST_WEBHOOKS} webhooks already.", hint="Remove one before."
            )
        await self._carrier.look()
        return MadeWebhook(**self._described(hook), secret=hook.secret)

    async def remove(self, request: Request, webhook_id: str) -> None:
        found = webhook_id.isprintable() and await self._kept.remove(tenant_of(request), webhook_id)
        if not found:
            raise NotFound(
                f"There is no webhook {webhook_id!r}.", hint="GET /v1/webhooks lists them."
            )
        await self._carrier.look()

    def _require_url(self, url: str) -> None:
        try:
            self._places.require_url(url)
        except InvalidValue as error:
            raise InvalidValue(error.message, hint=error.hint, param="url") from error

    def _described(self, hook: WebhookRecord) -> dict[str, Any]:
        return {
            "id": hook.id,
            "url": hook.url,
            "events": list(hook.events),
            "created_at": hook.created_at,
            **self._carrier.standing(hook),
        }


def _known(names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if name not in EVENTS:
            raise InvalidValue(
                f"events: there is no event {name[:60]!r}.",
                hint=did_you_mean(name[:60], EVENTS),
                param="events",
            )
    return tuple(dict.fromkeys(names))
