"""Notices text that may be meant to give the model orders."""

from __future__ import annotations

import re

LONGEST_READ = 20_000

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        (
            "overrides_instructions",
            r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,40}\b(?:previous|prior|above|"
            r"earlier|all|any|your|the|system)\b[^.\n]{0,30}\b(?:instruction|prompt|rule|direction|"
            r"guideline|order)s?\b",
        ),
        (
            "asks_for_instructions",
            r"\b(?:reveal|show|print|repeat|output|tell\s+me|what\s+(?:is|are))\b[^.\n]{0,40}"
            r"\b(?:system\s+prompt|(?:your|hidden|initial|original|system)\s+instructions)\b",
        ),
        (
            "gives_a_new_role",
            r"\b(?:you\s+are\s+now|from\s+now\s+on,?\s+you|pretend\s+(?:to\s+be|you\s+are)|act\s+as)"
            r"\b[^.\n]{0,60}\b(?:ai|assistant|model|bot|jailbroken|unrestricted|dan|developer|"
            r"admin\w*|without\s+(?:rules|restrictions|limits))\b"
            r"|\b(?:developer|god|dan|jailbreak)\s+mode\b",
        ),
        (
            "speaks_as_the_system",
            r"(?:^|\n)\s*(?:#+\s*)?(?:system|assistant|developer)\s*(?:message|prompt)?\s*:|"
            r"<\/?(?:system|instructions?|assistant)>|\bnew\s+(?:system\s+)?instructions?\s*:",
        ),
        (
            "control_tokens",
            r"<[|｜][^<>\n]{1,60}[|｜]>|\[/?INST\]|<</?SYS>>|<custom_token_\d+>|<start_of_turn>",
        ),
        (
            "hidden_characters",
            "[\u202a-\u202e\u2066-\u2069\U000e0020-\U000e007f]|\u200b.{0,9}\u200b",
        ),
        (
            "orders_a_tool",
            r"\b(?:call|run|use|invoke|execute)\s+(?:the\s+)?\w+\s+(?:tool|function)\b[^.\n]{0,60}"
            r"\b(?:without|do\s+not|don't|never)\b[^.\n]{0,30}\b(?:ask|tell|mention|confirm)\w*",
        ),
    )
)


def suspicions(text: str) -> tuple[str, ...]:
    """The names of the rules that ``text`` meets. Finding one proves nothing."""
    text = text[:LONGEST_READ]
    return tuple(name for name, pattern in _RULES if pattern.search(text))
