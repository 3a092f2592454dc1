"""Extras: what each script installs, and what a user adds by name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bootstrap.checkout import Checkout
from bootstrap.progress import SetupFailed
from bootstrap.setup_steps import SetUp
from prepare import ROOT, VERBS, with_extras
from tests.scripts.fakes import SERVE


def extras_of(checkout: Checkout) -> set[str]:
    """What the set-up had uv install, as the next one knows it."""
    flags = checkout.read_stamp().flags
    return {flag.partition("=")[2] for flag in flags if flag.startswith("--extra=")}


@pytest.mark.parametrize("named", ["more", "more,espeak", " more "])
def test_a_named_extra_is_installed_and_kept_by_later_starts(
    checkout: Checkout, set_up: SetUp, named: str
) -> None:
    needs = with_extras(SERVE, named, checkout)
    before = checkout.is_prepared(needs)
    set_up.prepare(needs)
    checkout.lock.write_text(checkout.lock.read_text() + "\n")

    set_up.prepare(with_extras(SERVE, "", checkout))

    assert not before
    assert extras_of(checkout) == {"espeak", "more"}


def test_an_extra_that_is_not_named_is_not_installed(checkout: Checkout, set_up: SetUp) -> None:
    set_up.prepare(with_extras(SERVE, "", checkout))

    assert extras_of(checkout) == {"espeak"}


def test_none_goes_back_to_what_every_start_installs(checkout: Checkout, set_up: SetUp) -> None:
    set_up.prepare(with_extras(SERVE, "more", checkout))

    needs = with_extras(SERVE, "none", checkout)
    was_prepared = checkout.is_prepared(needs)
    set_up.prepare(needs)

    assert not was_prepared
    assert extras_of(checkout) == {"espeak"}


def test_an_unknown_extra_is_told_with_those_there_are(checkout: Checkout) -> None:
    with pytest.raises(SetupFailed, match=r"names mroe, .*: name some of espeak, more"):
        with_extras(SERVE, "mroe", checkout)


def test_the_scripts_install_only_extras_that_there_are() -> None:
    known = Checkout(ROOT).known_flags("extra")

    for verb in VERBS.values():
        assert {f"--extra={extra}" for extra in verb.needs.extras} <= known


def test_serving_installs_no_engine_that_nobody_asked_for() -> None:
    serve = VERBS["serve"].needs

    assert replace(serve, page=True, extras=SERVE.extras) == SERVE
    assert serve.extras == SERVE.extras | {"mcp"}
