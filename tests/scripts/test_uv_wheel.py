"""Which uv fits, and that only the right one is taken."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from bootstrap.checkout import Checkout
from bootstrap.package_index import (
    IndexFile,
    IndexSettings,
    Network,
    offered_files,
)
from bootstrap.progress import SetupFailed
from bootstrap.uv_wheel import Machine, fitting_wheels, locked_package
from tests.scripts.fakes import (
    ROOT,
    WHEEL,
    FakeIndex,
    bring,
)


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine("linux", "x86_64", (2, 36)), "manylinux_2_17_x86_64"),
        (Machine("linux", "x86_64", None), "musllinux_1_1_x86_64"),
        (Machine("linux", "x86_64", (2, 12)), "musllinux_1_1_x86_64"),
        (Machine("linux", "aarch64", (2, 31)), "manylinux_2_17_aarch64"),
        (Machine("linux", "aarch64", None), "musllinux_1_1_aarch64"),
        (Machine("linux", "riscv64", (2, 39)), "manylinux_2_31_riscv64"),
        (Machine("darwin", "arm64"), "macosx_11_0_arm64"),
        (Machine("darwin", "x86_64"), "macosx_10_12_x86_64"),
    ],
)
def test_the_lock_holds_a_uv_for_every_machine_we_serve(machine: Machine, expected: str) -> None:
    wheels = locked_package(ROOT / "uv.lock", "uv").wheels

    chosen = fitting_wheels(wheels, machine)[0]

    assert expected in chosen.name
    assert len(chosen.sha256) == 64


@pytest.mark.parametrize("machine", [Machine("windows", "amd64"), Machine("linux", "vax", (2, 36))])
def test_no_wheel_is_taken_for_a_machine_that_has_none(machine: Machine) -> None:
    wheels = locked_package(ROOT / "uv.lock", "uv").wheels

    assert fitting_wheels(wheels, machine) == []


@pytest.mark.parametrize("as_json", [False, True], ids=["PEP 503 HTML", "PEP 691 JSON"])
def test_uv_is_fetched_from_a_simple_index_and_can_be_run(
    checkout: Checkout, index: FakeIndex, said: io.StringIO, as_json: bool
) -> None:
    index.as_json = as_json

    uv = bring(checkout, index.url(), said)
    subprocess.run([uv, "hello"], cwd=checkout.root, check=True)

    assert uv == checkout.cache / "uv-9.9.9/uv"
    assert (checkout.root / "calls").read_text() == "hello\n"
    assert "fetching uv 9.9.9 ..." in said.getvalue()


def test_an_indexs_user_and_password_open_its_pages_and_its_files(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    index.authorization = "Basic bWU6cEBzcw=="

    uv = bring(checkout, index.url("me:p%40ss@"), said)

    assert uv.exists()


def test_a_refused_password_is_one_line_that_does_not_show_it(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    index.authorization = "Basic something else"

    with pytest.raises(SetupFailed) as failure:
        bring(checkout, index.url("me:secret@"), said)

    assert "answers 401" in str(failure.value)
    assert "secret" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_uv_that_is_there_is_not_fetched_again(checkout: Checkout, said: io.StringIO) -> None:
    there = checkout.cache / "uv-9.9.9/uv"
    there.parent.mkdir(parents=True)
    there.touch()

    assert bring(checkout, "http://127.0.0.1:1/simple", said) == there
    assert said.getvalue() == ""


def test_a_wheel_that_is_not_what_the_lock_names_is_refused_and_not_kept(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    index.files[WHEEL] = b"something else"

    with pytest.raises(SetupFailed, match=r"but uv\.lock says"):
        bring(checkout, index.url(), said)

    assert not list(checkout.cache.rglob("*"))


def test_a_wheel_that_the_index_itself_states_otherwise_is_refused(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    index.stated_sha256 = "0" * 64

    with pytest.raises(SetupFailed, match="but the package index says 0000"):
        bring(checkout, index.url(), said)


def test_an_index_without_our_uv_is_named_in_one_line(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    del index.files[WHEEL]

    with pytest.raises(SetupFailed, match=f"has no {WHEEL}: let it mirror"):
        bring(checkout, index.url(), said)


def test_an_index_that_cannot_be_reached_is_named_in_one_line(
    checkout: Checkout, index: FakeIndex, said: io.StringIO
) -> None:
    gone = index.url().replace(str(index.server_port), "1")

    with pytest.raises(SetupFailed, match=r"can't reach 127\.0\.0\.1:1 .*HTTPS_PROXY"):
        bring(checkout, gone, said)


def test_an_index_may_be_a_folder(tmp_path: Path, wheel: bytes) -> None:
    page = tmp_path / "simple/uv/index.html"
    page.parent.mkdir(parents=True)
    page.write_text(f'<a href="../../{WHEEL}">uv</a>')
    network = Network(IndexSettings())

    files = offered_files(network, (tmp_path / "simple").as_uri(), "uv")

    assert files == [IndexFile(WHEEL, (tmp_path / WHEEL).as_uri(), "")]
