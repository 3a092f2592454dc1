"""Signs what is sent to tools, and checks the signature of what they send back.

A signature is the header ``X-Parley-Signature: t=<unix seconds>,v1=<hex>``, where ``<hex>`` is
HMAC-SHA256 over the time, a dot and the raw body, keyed with a secret that both sides hold.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from typing import Protocol

from parley.core.errors import BadSignature

HEADER = "X-Parley-Signature"
WINDOW_S = 300
"""How old, or how far ahead of our clock, a signed message may be."""

_FORM = re.compile(r"t=(\d{1,12}),v1=([0-9a-f]{64})")


class ToolSecrets(Protocol):
    """Knows the secret that a tenant's tools share with us."""

    async def secret_for(self, owner: str) -> str:
        """The secret of a tenant, of the house for "", or "" where there is none."""
        ...


def sign(secret: str, body: bytes, at_s: int | None = None) -> str:
    """The header's value for a body that is sent at that time, or now."""
    at_s = int(time.time()) if at_s is None else at_s
    return f"t={at_s},v1={_digest(secret, at_s, body)}"


def verify(
    secret: str,
    signature: str,
    body: bytes,
    *,
    now_s: float | None = None,
    window_s: int = WINDOW_S,
) -> str:
    """What tells this message from all others that are signed with the secret. Raises
    ``BadSignature`` unless the body was signed with it within the window."""
    form = _FORM.fullmatch(signature.strip())
    if not secret or form is None:
        raise BadSignature(
            "The request isn't signed." if secret else "There is no secret to check it with.",
            hint=f"Send {HEADER}: t=SECONDS,v1=HEX with each request.",
        )
    at_s = int(form[1])
    # Before the time is looked at: a stranger need not learn what our clock says.
    if not hmac.compare_digest(_digest(secret, at_s, body), form[2]):
        raise BadSignature(
            "The signature doesn't fit this body.",
            hint="Sign the raw body, and check that both sides have the same secret.",
        )
    if abs((time.time() if now_s is None else now_s) - at_s) > window_s:
        raise BadSignature(
            f"The signature is from another time; it holds for {window_s} seconds.",
            hint="Check the clocks of both machines, and sign each attempt anew.",
        )
    return form[2]


def _digest(secret: str, at_s: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % at_s + body, hashlib.sha256).hexdigest()
