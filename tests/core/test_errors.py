"""Errors carry a code, a status and a cure, and leave as OpenAI's envelope."""

from parley.core.errors import CallLimitReached, ParleyError, envelope, error_types


def test_every_error_has_a_code_of_its_own():
    codes = [error_type.code for error_type in error_types()]

    assert len(codes) == len(set(codes))
    assert all(code.islower() for code in codes)


def test_the_envelope_has_the_cure_in_its_message():
    error = CallLimitReached("All 2 lines are busy.", retry_after_s=5)

    body = envelope(error)["error"]

    assert body["code"] == "call_limit_reached"
    assert body["type"] == "server_error"
    assert "All 2 lines are busy." in body["message"]
    assert "PARLEY_MAX_CALLS" in body["message"]


def test_a_message_without_a_hint_stands_alone():
    assert str(ParleyError("Broken.")) == "Broken."
