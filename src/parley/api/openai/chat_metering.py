"""Tokens are reserved before a model is asked and settled after, whoever keeps the accounts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from fastapi import Request

from parley.access.caller import Caller
from parley.access.guard import caller_of
from parley.access.reservations import RequestReservation
from parley.api.openai.chat_models import WRITTEN_MAX_TOKENS
from parley.api.openai.chat_reply import Gathered
from parley.api.openai.chat_request import ChatRequest
from parley.engines.llm.guarding import estimated_tokens
from parley.store.records import Amounts


class TokenMeter(Protocol):
    """Keeps a tenant within its tokens."""

    def metered(
        self, request: Request, asked: ChatRequest, reply: Gathered
    ) -> AbstractAsyncContextManager[None]:
        """Entering reserves, and raises for a caller that has used up what it has; leaving
        settles what ``reply`` has come to, also when it broke off."""
        ...


class FreeOfCharge:
    """Nobody counts."""

    @asynccontextmanager
    async def metered(
        self, request: Request, asked: ChatRequest, reply: Gathered
    ) -> AsyncGenerator[None]:
        yield


class RequestLedger(Protocol):
    """What the access ledger does for one request."""

    def metered(
        self, caller: Caller, wanted: Amounts
    ) -> AbstractAsyncContextManager[RequestReservation]: ...


class LedgerMeter:
    """Has the access ledger reserve the longest reply and charge the one that came.

    The access guard must have let the request in.
    """

    def __init__(self, ledger: RequestLedger) -> None:
        self._ledger = ledger

    @asynccontextmanager
    async def metered(
        self, request: Request, asked: ChatRequest, reply: Gathered
    ) -> AsyncGenerator[None]:
        longest = asked.options.max_tokens or WRITTEN_MAX_TOKENS
        wanted = Amounts(tokens=estimated_tokens(asked.messages) + longest)
        async with self._ledger.metered(caller_of(request), wanted) as held:
            try:
                yield
            finally:
                if not reply.is_empty:
                    spent = reply.spent(asked.messages)
                    held.use(tokens=spent.prompt_tokens + spent.completion_tokens)
