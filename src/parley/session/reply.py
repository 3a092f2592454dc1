"""A reply in the words of those who ask for one and those who carry it."""

from __future__ import annotations

from parley.engines.llm.live import outcome_of
from parley.engines.llm.reply_wish import HandedBack, ReplyOutcome, ReplyWish

__all__ = ["HandedBack", "ReplyOutcome", "ReplyWish", "outcome_of"]
