"""What counts as prepared, what is done when it is not, and what stops it."""

from __future__ import annotations

import errno
import io
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bootstrap.checkout import Checkout, Stamp
from bootstrap.progress import Progress, SetupFailed, explain, explain_os_error
from bootstrap.setup_steps import SetUp, require_pocketsphinx
from tests.scripts.fakes import (
    FAKE_UV,
    SERVE,
    TEST,
    FakeIndex,
    WaitingProgress,
    calls,
)


def test_what_was_prepared_stays_so_until_the_project_or_the_page_changes(
    checkout: Checkout, set_up: SetUp
) -> None:
    before = checkout.is_prepared(SERVE)
    set_up.prepare(SERVE)
    after = checkout.is_prepared(SERVE)

    (checkout.root / "web/src/page.ts").write_text("const page = 2;\n")
    page_edited = (checkout.is_prepared(SERVE), checkout.is_prepared(replace(SERVE, page=False)))
    set_up_again = _rebuilt(checkout)
    checkout.lock.write_text(checkout.lock.read_text() + "\n")
    lock_edited = checkout.is_prepared(SERVE)

    assert (before, after) == (False, True)
    assert page_edited == (False, True)
    assert (set_up_again, lock_edited) == (True, False)


def _rebuilt(checkout: Checkout) -> bool:
    checkout.write_stamp(replace(checkout.read_stamp(), page=checkout.page_digest()))
    return checkout.is_prepared(SERVE)


def test_installed_node_modules_are_no_source_of_the_page(checkout: Checkout) -> None:
    before = checkout.page_digest()
    (checkout.root / "web/node_modules/x").mkdir(parents=True)
    (checkout.root / "web/node_modules/x/index.js").touch()

    assert checkout.page_digest() == before


def test_serve_keeps_what_test_has_installed_and_takes_it_as_prepared(
    checkout: Checkout, set_up: SetUp
) -> None:
    set_up.prepare(TEST)
    serve_was_prepared = checkout.is_prepared(SERVE)
    checkout.lock.write_text(checkout.lock.read_text() + "\n")
    set_up.prepare(SERVE)

    assert serve_was_prepared
    assert checkout.read_stamp().flags == {
        "--extra=espeak",
        "--extra=more",
        "--group=dev",
        "--group=web",
    }


def test_the_pages_tools_are_installed_only_while_the_page_is_not_built(
    checkout: Checkout, set_up: SetUp
) -> None:
    unbuilt = checkout.flags_for(SERVE)
    set_up.prepare(SERVE)

    assert unbuilt == {"--extra=espeak", "--group=web"}
    assert checkout.flags_for(SERVE) == {"--extra=espeak"}


def test_what_checks_the_page_is_fetched_again_when_it_was_deleted(
    checkout: Checkout, set_up: SetUp
) -> None:
    checks = replace(TEST, page_tools=True)
    (checkout.root / "web/build.py").write_text(
        "import pathlib, sys\n"
        "for made in ('web/node_modules', 'src/parley/console/web'):\n"
        "    pathlib.Path(made).mkdir(parents=True, exist_ok=True)\n"
        "pathlib.Path('src/parley/console/web/index.html').write_text(' '.join(sys.argv[1:]))\n"
    )

    set_up.prepare(checks)
    prepared = checkout.is_prepared(checks)
    (checkout.root / "web/node_modules").rmdir()
    after_deletion = (checkout.is_prepared(checks), checkout.is_prepared(SERVE))
    set_up.prepare(checks)

    assert prepared
    assert after_deletion == (False, True)
    assert (checkout.root / "src/parley/console/web/index.html").read_text() == "--force"


def test_a_venv_that_was_copied_from_another_folder_is_made_anew(
    checkout: Checkout, set_up: SetUp
) -> None:
    set_up.prepare(SERVE)
    (checkout.venv / "bin/parley").write_text("#!/elsewhere/.venv/bin/python\n")

    prepared = checkout.is_prepared(SERVE)
    set_up.prepare(SERVE)

    assert not prepared
    assert [c[:2] for c in calls(checkout)].count(["venv", "--clear"]) == 2


def test_from_a_mirror_the_locked_hashes_are_required(checkout: Checkout, set_up: SetUp) -> None:
    set_up.prepare(SERVE)

    _, export, sync, editable = calls(checkout)
    assert export[:3] == ["export", "--frozen", "--no-emit-project"]
    assert sync[:3] == ["pip", "sync", "--require-hashes"]
    assert editable[:2] == ["pip", "install"]
    assert "--no-deps" in editable


def test_from_pypi_the_lock_is_synced_as_it_stands(
    checkout: Checkout, said: io.StringIO, tmp_path: Path
) -> None:
    uv = checkout.cache / "uv-9.9.9/uv"
    uv.parent.mkdir(parents=True)
    uv.write_text(FAKE_UV)
    uv.chmod(0o755)

    SetUp(checkout, {"PATH": os.environ["PATH"]}, tmp_path, Progress(said)).prepare(
        replace(SERVE, page=False)
    )

    assert calls(checkout)[-1] == ["sync", "--frozen", "--extra=espeak"]


def test_an_interrupted_set_up_goes_on_where_it_stopped(
    checkout: Checkout, index: FakeIndex, said: io.StringIO, tmp_path: Path, set_up: SetUp
) -> None:
    environment = {
        "UV_DEFAULT_INDEX": index.url(),
        "FAKE_UV_SAYS": "error: No space left on device (os error 28)",
        "PATH": os.environ["PATH"],
    }
    failing = SetUp(checkout, environment, tmp_path, Progress(said))

    with pytest.raises(SetupFailed, match=r"the disk is full: free about .* GB"):
        failing.prepare(SERVE)
    after_failure = checkout.is_prepared(SERVE)
    set_up.prepare(SERVE)

    assert not after_failure
    assert checkout.is_prepared(SERVE)
    assert said.getvalue().count("fetching uv") == 1


def test_a_damaged_memory_is_taken_as_nothing_prepared(checkout: Checkout) -> None:
    checkout.cache.mkdir()
    (checkout.cache / "prepared.json").write_text("{half a file")

    assert checkout.read_stamp() == Stamp()
    assert not checkout.is_prepared(SERVE)


def test_a_second_set_up_waits_for_the_first_and_finds_it_done(
    checkout: Checkout, index: FakeIndex, tmp_path: Path, set_up: SetUp
) -> None:
    waiting = WaitingProgress()
    environment = {"UV_DEFAULT_INDEX": index.url(), "PATH": os.environ["PATH"]}
    second = SetUp(checkout, environment, tmp_path, waiting)
    with checkout.alone(Progress(io.StringIO())):
        thread = threading.Thread(target=second.prepare, args=(SERVE,))
        thread.start()
        assert waiting.is_waiting.wait(30)
    set_up.prepare(SERVE)
    thread.join()

    assert checkout.is_prepared(SERVE)
    assert [c[0] for c in calls(checkout)].count("export") == 1


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("failed to write: No space left on device (os error 28)", "the disk is full: free"),
        ("npm error code ENOTFOUND", "can't be reached: check the connection"),
        ("error: client error (Connect): dns error: failed to lookup", "can't be reached: check"),
        ("invalid peer certificate: UnknownIssuer", "can't be verified: point SSL_CERT_FILE"),
        ("failed to create file: Permission denied (os error 13)", "may not write where it must"),
        ("Read-only file system (os error 30)", "may not write where it must"),
        ("something new", "uv sync ended with status 2: its last lines are above"),
    ],
)
def test_what_stops_a_program_is_told_in_one_line_with_its_cure(output: str, line: str) -> None:
    failure = explain("uv sync", 2, output, Path("/log"))

    assert line in str(failure)
    assert "/log" in str(failure)
    assert "\n" not in str(failure)


@pytest.mark.parametrize(
    ("number", "line"),
    [
        (errno.ENOSPC, "the disk is full: free"),
        (errno.EROFS, "can't write /checkout/.cache: set-up writes .venv and .cache"),
        (errno.EACCES, "can't write /checkout/.cache: set-up writes .venv and .cache"),
    ],
)
def test_what_the_system_refuses_is_told_in_one_line_with_its_cure(number: int, line: str) -> None:
    failure = explain_os_error(OSError(number, os.strerror(number), "/checkout/.cache"))

    assert line in str(failure)


def test_a_python_without_pocketsphinx_wheels_needs_a_compiler_and_says_so(
    checkout: Checkout, said: io.StringIO
) -> None:
    progress = Progress(said)

    require_pocketsphinx(checkout.lock, progress, (3, 11), compilers=())
    require_pocketsphinx(checkout.lock, progress, (3, 13), compilers=())
    with pytest.raises(SetupFailed, match=r"no wheel for Python 3\.12 and can't be compiled"):
        require_pocketsphinx(checkout.lock, progress, (3, 12), compilers=())

    assert said.getvalue() == ""
