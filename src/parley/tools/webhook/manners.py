"""The two manners of asking a tool at a URL: by our signed envelope, and as a plain HTTP API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast
from urllib.parse import quote, urlencode

from parley.core.errors import BadRequest
from parley.tools.house import ToolHouse
from parley.tools.provider import ProviderContext
from parley.tools.spec import ToolCall
from parley.tools.webhook.envelope import RunAnswer, RunRequest
from parley.tools.webhook.exchange import Reply, Request
from parley.tools.webhook.failures import Failure
from parley.tools.webhook.options import WebhookOptions
from parley.tools.webhook.signing import HEADER, sign

Outcome = RunAnswer | Failure

JSON = "application/json"
_IN_QUERY = ("GET", "DELETE")
_EMPTY = (201, 202, 204, 205)


@dataclass(frozen=True)
class Asked:
    """What is asked, of whom, and for whose call."""

    options: WebhookOptions
    house: ToolHouse
    context: ProviderContext
    call: ToolCall
    arguments: Mapping[str, Any]
    run_id: str
    callback_url: str = ""

    @property
    def changes(self) -> bool:
        return self.options.changes or self.call.changes

    @property
    def whose(self) -> str:
        """The tenant whose failures these are."""
        return self.context.owner or self.call.tenant

    def headers(self) -> dict[str, str]:
        """The file's headers with their secrets. Raises ``BadRequest`` for one that isn't set."""
        fill, owner = self.house.credentials.filled, self.context.owner
        return {
            name: fill(text, owner=owner, tenant=self.call.tenant)
            for name, text in self.options.headers.items()
        }

    def secrets(self) -> list[str]:
        """What must not come back to light. Raises ``BadRequest``."""
        return self.house.credentials.secrets_in(
            self.options.headers, owner=self.context.owner, tenant=self.call.tenant
        )


class Manner(Protocol):
    """How a request is made and its answer read."""

    async def request(self, asked: Asked, left_s: float) -> Request:
        """Raises ``BadRequest`` where something for it isn't set up."""
        ...

    def read(self, asked: Asked, reply: Reply) -> Outcome: ...

    def may_repeat(self, asked: Asked, failure: Failure) -> bool:
        """Whether a second attempt can do no harm."""
        ...


class Signed:
    """Our envelope, signed, with a key by which a second attempt is known for what it is."""

    async def request(self, asked: Asked, left_s: float) -> Request:
        options, call = asked.options, asked.call
        secret = await asked.house.secrets.secret_for(asked.context.owner)
        if not secret:
            raise BadRequest(
                f"There is no secret to sign requests to {options.name} with.",
                hint="Set PARLEY_TOOL_SECRET, or envelope: plain where the service checks none.",
            )
        body = RunRequest(
            run_id=asked.run_id,
            call_id=call.actions.call_id,
            tenant=call.tenant,
            agent=call.agent,
            tool=options.name,
            deadline_ms=round(left_s * 1000),
            locale=asked.context.language,
            timezone=asked.context.time_zone,
            idempotency_key=call.idempotency_key,
            callback_url=asked.callback_url,
            args=asked.arguments,
        ).body()
        headers = {
            **asked.headers(),
            "Content-Type": JSON,
            "Idempotency-Key": call.idempotency_key,
            HEADER: sign(secret, body),
        }
        return Request(options.method, options.url, options.url, asked.whose, headers, body)

    def read(self, asked: Asked, reply: Reply) -> Outcome:
        if reply.data is None:
            return Failure("empty", f"HTTP {reply.status} with nothing in it")
        items = cast("list[Any]", reply.data) if isinstance(reply.data, list) else []
        try:
            # n8n answers with all items of its last node: one.
            return RunAnswer.read(items[0] if len(items) == 1 else cast(object, reply.data))
        except BadRequest as error:
            return Failure("no_envelope", error.message)

    def may_repeat(self, asked: Asked, failure: Failure) -> bool:
        # Busy and gateways' answers are safe because of the key. A line that broke in mid-answer
        # says that the work has begun: with the key it is not done twice, but may be refused.
        return failure.kind != "broken_off" or not asked.changes


class Plain:
    """Somebody's HTTP API, which knows nothing of us."""

    async def request(self, asked: Asked, left_s: float) -> Request:
        options = asked.options
        rest = dict(asked.arguments)
        url = options.url
        for name in options.in_path:
            url = url.replace(f"{{{name}}}", quote(_text(rest.pop(name)), safe=""))
        headers = asked.headers()
        if asked.changes:
            headers["Idempotency-Key"] = asked.call.idempotency_key
        if options.method in _IN_QUERY:
            if rest:
                url += ("&" if "?" in url else "?") + urlencode(_in_query(rest), doseq=True)
            return Request(options.method, url, options.url, asked.whose, headers)
        headers["Content-Type"] = JSON
        body = json.dumps(rest).encode()
        return Request(options.method, url, options.url, asked.whose, headers, body)

    def read(self, asked: Asked, reply: Reply) -> Outcome:
        if reply.data is not None:
            return RunAnswer(True, reply.data)
        if reply.status in _EMPTY or asked.options.answer.may_be_empty:
            return RunAnswer(True)
        return Failure("empty", f"HTTP {reply.status} with nothing in it")

    def may_repeat(self, asked: Asked, failure: Failure) -> bool:
        # Nobody knows whether it looks at the key.
        return not asked.changes


MANNERS: Mapping[str, Manner] = {"parley": Signed(), "plain": Plain()}


def _in_query(arguments: Mapping[str, Any]) -> dict[str, str | list[str]]:
    return {
        name: [_text(each) for each in cast("list[Any]", value)]
        if isinstance(value, list)
        else _text(value)
        for name, value in arguments.items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
