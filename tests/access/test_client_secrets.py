"""Client secrets: how long they live, how many there may be, who may make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from parley.access import client_secrets
from parley.access.caller import Caller
from parley.access.client_secrets import ClientSecrets
from parley.core.errors import BadRequest, Forbidden, RateLimited

START = datetime(2026, 11, 21, tzinfo=UTC)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


def test_a_secret_is_good_until_it_expires() -> None:
    clock = Clock()
    secrets = ClientSecrets(now=clock)
    secret = secrets.issue(Caller(), {}, lifetime_s=10)

    clock.now = START + timedelta(seconds=9.9)
    before = secrets.find(secret.value)
    clock.now = START + timedelta(seconds=10)

    assert before is secret
    assert secrets.find(secret.value) is None


@pytest.mark.parametrize("lifetime_s", [9, 7201, 0, -1])
def test_a_lifetime_is_ten_seconds_to_two_hours(lifetime_s: int) -> None:
    with pytest.raises(BadRequest, match="10 to 7200"):
        ClientSecrets().issue(Caller(), {}, lifetime_s=lifetime_s)


def test_a_secret_makes_no_secrets() -> None:
    secrets = ClientSecrets()
    secret = secrets.issue(Caller(), {})

    with pytest.raises(Forbidden):
        secrets.issue(secret.caller, {})


def test_what_a_secret_began_is_no_other_secrets_and_not_the_keys() -> None:
    key, secrets = Caller(key_id="key_1"), ClientSecrets()
    first, second = secrets.issue(key, {}), secrets.issue(key, {})

    assert len({key.owner, first.caller.owner, second.caller.owner}) == 3
    assert first.value not in str(first.caller)


def test_secrets_of_one_key_are_bounded_and_others_are_not_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_secrets, "MOST_PER_BUDGET", 3)
    clock = Clock()
    secrets = ClientSecrets(now=clock)
    for _ in range(3):
        secrets.issue(Caller(key_id="key_1"), {}, lifetime_s=10)

    with pytest.raises(RateLimited) as refused:
        secrets.issue(Caller(key_id="key_1"), {})
    secrets.issue(Caller(key_id="key_2"), {})
    clock.now = START + timedelta(seconds=10)
    secrets.issue(Caller(key_id="key_1"), {})

    assert refused.value.retry_after_s == 10
