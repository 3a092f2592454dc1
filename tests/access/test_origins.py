"""Whose pages may open a WebSocket: a browser asks nobody but the server."""

from __future__ import annotations

import pytest

from parley.access.origins import Origins

NAMED = Origins(("https://shop.example", "http://localhost:3000"))


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("", "parley.example"),
        ("https://shop.example", "parley.example"),
        ("http://localhost:3000", "localhost:7860"),
        ("http://localhost:7860", "localhost:7860"),
        ("https://parley.example", "parley.example"),
        ("https://parley.example", "parley.example:443"),
        ("http://parley.example:80", "parley.example"),
        ("https://PARLEY.example", "Parley.Example"),
        ("http://[::1]:7860", "[::1]:7860"),
    ],
)
def test_programs_our_own_pages_and_named_sites_may(origin: str, host: str) -> None:
    assert NAMED.is_allowed(origin, host)


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", "parley.example"),
        ("https://shop.example.evil.example", "parley.example"),
        ("https://sub.shop.example", "parley.example"),
        ("http://shop.example", "parley.example"),
        ("https://shop.example:8443", "parley.example"),
        ("http://localhost:5173", "localhost:7860"),
        ("https://parley.example:8443", "parley.example"),
        ("https://parley.example@evil.example", "parley.example"),
        ("null", "parley.example"),
        ("null", ""),
        ("http://", ""),
        ("http://[", "["),
        ("http://a:99999", "a:99999"),
    ],
)
def test_pages_of_other_sites_may_not(origin: str, host: str) -> None:
    assert not NAMED.is_allowed(origin, host)


def test_every_site_may_where_the_settings_say_so_but_none_is_trusted_without_a_key() -> None:
    every = Origins(("*",))

    assert every.is_allowed("https://evil.example", "parley.example")
    assert every.trusted == ()
    assert NAMED.trusted == ("https://shop.example", "http://localhost:3000")
