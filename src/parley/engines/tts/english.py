"""How a person would say in English what is only meant to be read: times, prices, addresses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from parley.engines.tts.english_dates import (
    day_of_month,
    full_hour,
    iso_date,
    month_and_day,
    opening_hours,
    slashed_date,
    time_of_day,
)
from parley.engines.tts.english_numbers import cardinal, digits, is_one, number, ordinal, year

Match = re.Match[str]

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_MONTH = (
    r"Jan(?:uary|\.)?|Feb(?:ruary|\.)?|Mar(?:ch|\.)?|Apr(?:il|\.)?|May|June?|July?|Aug(?:ust|\.)?"
    r"|Sept?(?:ember|\.)?|Oct(?:ober|\.)?|Nov(?:ember|\.)?|Dec(?:ember|\.)?"
)
_ENDS = r"(?![\w])"
_FREE = r"(?<![\w.,:/$€£¥+-])"
_HALF = r"\s?(?:[ap]\.m\.|[AaPp]\.?[Mm]\b\.?(?!\w))"
_TLD = r"com|org|net|io|edu|gov|info|biz|app|dev|ai|eu|uk|us|de|fr|ca|au|nl|ch|at|example"

_MONEY: Mapping[str, tuple[str, str, str, str]] = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
}
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹"}
_SCALES = {"k": "thousand", "m": "million", "bn": "billion", "b": "billion"}
_UNITS: Mapping[str, tuple[str, str]] = {
    "km/h": ("kilometer per hour", "kilometers per hour"),
    "mph": ("mile per hour", "miles per hour"),
    "kWh": ("kilowatt hour", "kilowatt hours"),
    "m²": ("square meter", "square meters"),
    "km": ("kilometer", "kilometers"),
    "cm": ("centimeter", "centimeters"),
    "mm": ("millimeter", "millimeters"),
    "kg": ("kilogram", "kilograms"),
    "mg": ("milligram", "milligrams"),
    "lbs": ("pound", "pounds"),
    "lb": ("pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet"),
    "°C": ("degree Celsius", "degrees Celsius"),
    "°F": ("degree Fahrenheit", "degrees Fahrenheit"),
    "°": ("degree", "degrees"),
    "GB": ("gigabyte", "gigabytes"),
    "MB": ("megabyte", "megabytes"),
    "TB": ("terabyte", "terabytes"),
    "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"),
    "Hz": ("hertz", "hertz"),
    "kW": ("kilowatt", "kilowatts"),
    "ml": ("milliliter", "milliliters"),
    "ms": ("millisecond", "milliseconds"),
    "min": ("minute", "minutes"),
    "hrs": ("hour", "hours"),
    "hr": ("hour", "hours"),
    "h": ("hour", "hours"),
    "m": ("meter", "meters"),
    "g": ("gram", "grams"),
    "l": ("liter", "liters"),
    "L": ("liter", "liters"),
}
_FRACTIONS = {
    "½": "a half", "¼": "a quarter", "¾": "three quarters", "⅓": "a third", "⅔": "two thirds",
    "1/2": "one half", "1/4": "one quarter", "3/4": "three quarters", "1/3": "one third",
    "2/3": "two thirds", "24/7": "twenty four seven",
}  # fmt: skip
_SHORT = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "approx.": "approximately",
    "vs.": "versus", "Dr.": "Doctor", "Prof.": "Professor",
}  # fmt: skip
_SIGNS = {
    "&": "and", "+": "plus", "=": "equals", "×": "times", "÷": "divided by", "≈": "about",
    "~": "about", "→": "to", "≤": "at most", "≥": "at least", "<": "less than",
    ">": "more than", "@": "at",
}  # fmt: skip
_ADDRESS_SIGNS = {".": "dot", "-": "dash", "_": "underscore", "+": "plus", "/": "slash", "@": "at"}


def _address(text: str) -> str:
    parts: list[str] = re.findall(r"[^\W\d_]+|\d+|[^\w]|_", text)
    return " ".join(
        digits(part) if part.isdigit() else _ADDRESS_SIGNS.get(part) or part for part in parts
    )


def _url(found: Match) -> str:
    address = re.sub(r"^(?:https?://)?(?:www\.)?", "", found[0], flags=re.IGNORECASE)
    address = re.split(r"[?#]", address)[0].rstrip("/")
    host, _, path = address.partition("/")
    is_short = path.count("/") < 2 and len(path) <= 24
    return _address(f"{host}/{path}" if path and is_short else host)


def _phone(found: Match) -> str:
    plus = "plus " if found[0].startswith("+") else ""
    return plus + ", ".join(digits(group) for group in re.findall(r"\d+", found[0]))


def _code(found: Match) -> str:
    text = found[0]
    if len(text) <= 4:
        return digits(text)
    sizes = range(0, len(text), 3)
    return ", ".join(digits(text[at : at + 3]) for at in sizes)


def _money(found: Match) -> str:
    sign = found["sign"] or found["after"]
    one, many, small, smalls = _MONEY[_CODES.get(sign, sign)]
    amount = found["n"] or found["n2"]
    scale = (found["scale"] or "").strip()
    if scale:
        return f"{number(amount)} {_SCALES.get(scale.lower(), scale.lower())} {many}"
    whole, _, cents = re.sub(r",(\d\d)$", r".\1", amount).partition(".")
    if len(cents) not in (0, 2):
        return f"{number(amount)} {many}"
    said = f"{cardinal(whole)} {one if is_one(whole) else many}"
    if not int(cents or 0):
        return said
    coins = f"{cardinal(str(int(cents)))} {small if int(cents) == 1 else smalls}"
    return coins if not int(whole.replace(",", "")) else f"{said} and {coins}"


def _percent(found: Match) -> str:
    return f"{number(found['n'])} percent"


def _measure(found: Match) -> str:
    one, many = _UNITS[found["unit"]]
    return f"{number(found['n'])} {one if is_one(found['n']) else many}"


def _range(found: Match) -> str:
    unit = found["unit"] or ""
    many = " percent" if unit == "%" else f" {_UNITS[unit][1]}" if unit else ""
    return f"{number(found['a'])} to {number(found['b'])}{many}"


def _version(found: Match) -> str:
    return " point ".join(cardinal(part) for part in found[0].split("."))


def _year_or_number(found: Match) -> str:
    before = found.string[: found.start()].rstrip().lower().rpartition(" ")[2]
    is_year = before in _BEFORE_YEARS and re.fullmatch(r"1[1-9]\d\d|20\d\d", found[0])
    return year(found[0]) if is_year else number(found[0])


_BEFORE_YEARS = frozenset(
    ["in", "since", "until", "by", "from", "year", "before", "after", "of", "summer", "winter"]
)


@dataclass(frozen=True, slots=True)
class Rule:
    """What a pattern finds and how it is said; None leaves it as it is."""

    pattern: re.Pattern[str]
    say: Callable[[Match], str | None]


def _rule(pattern: str, say: Callable[[Match], str | None]) -> Rule:
    return Rule(re.compile(pattern), say)


RULES: tuple[Rule, ...] = (
    _rule(r"(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+", lambda m: _address(m[0])),
    _rule(r"\b(?:https?://|www\.)[^\s<>\"')\]]*[^\s<>\"')\].,!?;:]", _url),
    _rule(rf"(?<![\w@.])(?:[A-Za-z0-9-]+\.)+(?:{_TLD})(?:/[^\s<>\"')\].,!?;:]+)*{_ENDS}", _url),
    _rule(
        rf"{_FREE}(?P<y>\d{{4}})-(?P<m>\d\d)-(?P<d>\d\d)"
        rf"(?:[T ](?P<H>[01]\d|2[0-3]):(?P<M>[0-5]\d)(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?{_ENDS}",
        iso_date,
    ),
    _rule(rf"{_FREE}(?P<a>\d{{1,2}})/(?P<b>\d{{1,2}})/(?P<y>\d{{4}}|\d\d){_ENDS}", slashed_date),
    _rule(
        rf"\b(?P<mon>{_MONTH})\s(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?![\d:.]\d)"
        rf"(?:,?\s(?P<y>[12]\d{{3}}))?{_ENDS}",
        month_and_day,
    ),
    _rule(
        rf"{_FREE}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s(?:of\s)?(?P<mon>{_MONTH})"
        rf"(?:,?\s(?P<y>[12]\d{{3}}))?{_ENDS}",
        day_of_month,
    ),
    _rule(
        rf"{_FREE}(?P<h>1?\d|2[0-3])(?::(?P<m>[0-5]\d))?(?P<half1>{_HALF})?\s?(?:[-–—]|to)\s?"
        rf"(?P<h2>1?\d|2[0-3])(?::(?P<m2>[0-5]\d))?(?P<half>{_HALF})?(?![\w:-])",
        opening_hours,
    ),
    _rule(
        rf"{_FREE}(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?::[0-5]\d)?(?P<half>{_HALF})?(?!\d)",
        time_of_day,
    ),
    _rule(rf"{_FREE}(?P<a>\d{{1,3}}):(?P<b>\d{{1,3}})(?P<unit>)(?![\w:])", _range),
    _rule(rf"{_FREE}(?P<h>\d{{1,2}})(?P<half>{_HALF})", full_hour),
    _rule(
        r"(?<![\w.,])(?:\+\d{1,3}[ .-]?(?:\(\d+\)[ .-]?)?\d+(?:[ .-]\d+)*"
        r"|\(\d{3,5}\) ?\d{3,}(?:[ -]\d+)*"
        r"|\d{3}[-.]\d{3}[-.]\d{4}|\d{3}-\d{4}|0\d{2,4}[ -]\d{3,4}(?:[ -]\d{3,4})*)(?![\w])",
        _phone,
    ),
    _rule(
        rf"(?:(?P<sign>[$€£¥₹])\s?(?P<n>\d+,\d\d(?!\d)|{_NUMBER})(?P<scale>\s?(?:thousand|million|billion|bn|[kKmMbB])\b)?"
        rf"|{_FREE}(?P<n2>\d+,\d\d(?=\s?€)|{_NUMBER})\s?(?P<after>[€£]|USD|EUR|GBP|JPY|INR)){_ENDS}",
        _money,
    ),
    _rule(
        rf"{_FREE}(?P<a>{_NUMBER})\s?[-–—]\s?(?P<b>{_NUMBER})"
        rf"(?:\s?(?P<unit>%|{'|'.join(map(re.escape, _UNITS))})|(?![\w-]))(?!\w)",
        _range,
    ),
    _rule(rf"{_FREE}(?P<n>[-−]?(?:{_NUMBER}))\s?%", _percent),
    _rule(
        rf"{_FREE}(?P<n>[-−]?(?:{_NUMBER}))\s?(?P<unit>{'|'.join(map(re.escape, _UNITS))}){_ENDS}",
        _measure,
    ),
    _rule(
        rf"(?<![\w/])(?:{'|'.join(map(re.escape, _FRACTIONS))})(?![\w/])",
        lambda m: _FRACTIONS[m[0]],
    ),
    _rule(r"(?<![\w.])(?P<n>\d{1,4})(?:st|nd|rd|th)\b", lambda m: ordinal(m["n"])),
    _rule(rf"(?:#|\bNo\.\s?)(?P<n>\d{{1,6}}){_ENDS}", lambda m: f"number {cardinal(m['n'])}"),
    _rule(r"(?<![\w.])\d+(?:\.\d+){2,}(?![\w])", _version),
    _rule(r"(?<![\w.,])(?:0\d{3,}|\d{9,})(?![\w,.]\d|\w)", _code),
    _rule(rf"(?<![\w.,])(?:(?<!\S)[-−])?(?:{_NUMBER})(?!\w)", _year_or_number),
    _rule(rf"(?<![\w.])(?:{'|'.join(map(re.escape, _SHORT))})(?=\s|,|$)", lambda m: _SHORT[m[0]]),
    _rule(r"(?<=\d)[-–](?=[$€£]\d)", lambda _: " to "),
    _rule(
        r"(?<=\s)[&+=×÷≈→≤≥<>@](?=\s)|[~≈≤≥](?=\d)|(?<=\w)&(?=\w)", lambda m: f" {_SIGNS[m[0]]} "
    ),
)
