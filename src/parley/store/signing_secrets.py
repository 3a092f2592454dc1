"""Makes what tenants and webhooks sign with."""

from __future__ import annotations

import secrets

SECRET_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """256 bits, in letters and digits."""
    return SECRET_PREFIX + secrets.token_hex(_SECRET_BYTES)
