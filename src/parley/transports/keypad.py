"""The keys of a telephone."""

from __future__ import annotations

from parley.core.errors import InvalidValue

DIGITS = "0123456789*#ABCD"


def check_digits(digits: str) -> str:
    """The digits in capitals. Raises ``InvalidValue``."""
    digits = digits.upper()
    wrong = sorted(set(digits) - set(DIGITS))
    if wrong or not digits:
        raise InvalidValue(
            f"{''.join(wrong) or 'Nothing'} is not on a telephone's keypad.",
            hint="Send 0-9, *, # and A-D.",
            param="digits",
        )
    return digits
