"""Only who holds the secret can sign, and only for a while."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from parley.core.errors import BadSignature
from parley.tools.webhook.signing import sign, verify

BODY = b'{"ok": true}'
NOW_S = 1_770_000_000


def test_a_signature_is_what_any_language_can_compute():
    expected = hmac.new(b"secret", b"1770000000." + BODY, hashlib.sha256).hexdigest()

    assert sign("secret", BODY, NOW_S) == f"t=1770000000,v1={expected}"


@pytest.mark.parametrize("age_s", [0, 299, 300, -300])
def test_a_good_signature_holds_within_its_window(age_s: int):
    signature = sign("secret", BODY, NOW_S)

    verify("secret", signature, BODY, now_s=NOW_S + age_s)

    assert signature.startswith("t=1770000000,")


@pytest.mark.parametrize("age_s", [301, 86_400, -301])
def test_a_message_can_be_replayed_for_a_while_only(age_s: int):
    with pytest.raises(BadSignature, match="another time"):
        verify("secret", sign("secret", BODY, NOW_S), BODY, now_s=NOW_S + age_s)


@pytest.mark.parametrize(
    ("secret", "body", "signature"),
    [
        ("other", BODY, sign("secret", BODY, NOW_S)),
        ("secret", BODY + b" ", sign("secret", BODY, NOW_S)),
        ("secret", BODY, sign("secret", BODY, NOW_S).replace("t=1770000000", "t=1770000001")),
        ("secret", BODY, ""),
        ("secret", BODY, "v1=abc"),
        ("secret", BODY, f"t=1770000000,v1={'0' * 64}"),
        ("secret", BODY, sign("secret", BODY, NOW_S).upper()),
        ("secret", BODY, sign("secret", BODY, NOW_S) + ",v1=x"),
        ("", BODY, sign("", BODY, NOW_S)),
    ],
)
def test_anything_else_is_refused(secret: str, body: bytes, signature: str):
    with pytest.raises(BadSignature) as refused:
        verify(secret, signature, body, now_s=NOW_S)

    assert (refused.value.status, refused.value.code) == (401, "bad_signature")


def test_a_wrong_signature_does_not_learn_whether_its_time_was_right():
    stale = sign("wrong", BODY, NOW_S - 10_000)

    with pytest.raises(BadSignature, match="doesn't fit"):
        verify("secret", stale, BODY, now_s=NOW_S)
