"""English numbers in words."""

from __future__ import annotations

from parley.core.spoken import SMALL_NUMBERS, spoken_number

_GROUPS = ("", " thousand", " million", " billion", " trillion")
_MOST_DIGITS = 15
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth",
    "nine": "ninth", "twelve": "twelfth",
}  # fmt: skip


def digits(text: str) -> str:
    """``007`` → ``zero zero seven``; what is no digit is left out."""
    return " ".join(SMALL_NUMBERS[int(digit)] for digit in text if digit in "0123456789")


def cardinal(text: str) -> str:
    """A whole number, thousands perhaps parted by commas; a code is read digit by digit."""
    plain = text.replace(",", "").replace(" ", "")
    if len(plain) > _MOST_DIGITS or (plain.startswith("0") and len(plain) > 1):
        return digits(plain)
    groups: list[str] = []
    number = int(plain)
    for name in _GROUPS:
        number, group = divmod(number, 1000)
        if group or (not number and not groups):
            groups.insert(0, spoken_number(group) + name)
        if not number:
            break
    return " ".join(groups)


def number(text: str) -> str:
    """A number with or without sign and decimals: ``-1,234.50``."""
    sign = "minus " if text[0] in "-−" else ""
    whole, point, decimals = text.lstrip("-−+").partition(".")
    words = cardinal(whole or "0")
    return f"{sign}{words} point {digits(decimals)}" if point and decimals else sign + words


def ordinal(text: str) -> str:
    words = cardinal(text)
    head, space, last = words.rpartition(" ")
    if last in _ORDINALS:
        last = _ORDINALS[last]
    else:
        last = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return head + space + last


def year(text: str) -> str:
    """``1999`` → ``nineteen ninety nine``, ``2005`` → ``two thousand five``."""
    century, rest = divmod(int(text), 100)
    if len(text) != 4 or (century % 10 == 0 and rest < 10):
        return cardinal(text)
    if rest == 0:
        return f"{cardinal(str(century))} hundred"
    return f"{cardinal(str(century))} {'oh ' if rest < 10 else ''}{cardinal(str(rest))}"


def is_one(text: str) -> bool:
    return text.replace(",", "") in ("1", "1.0", "1.00")
