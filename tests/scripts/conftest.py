"""A checkout to prepare, the index it is prepared from, and what set-up said."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap.checkout import Checkout
from bootstrap.progress import Progress
from bootstrap.setup_steps import SetUp
from tests.scripts.fakes import (
    WHEEL,
    FakeIndex,
    Launcher,
    lock_text,
    small_wheel,
)


@pytest.fixture
def wheel() -> bytes:
    return small_wheel()


@pytest.fixture
def checkout(tmp_path: Path, wheel: bytes) -> Checkout:
    """A checkout with sources of a page, whose lock names a uv that the fake index offers."""
    root = tmp_path / "parley"
    (root / "web/src").mkdir(parents=True)
    (root / "web/src/page.ts").write_text("const page = 1;\n")
    build = "import pathlib\np = pathlib.Path('src/parley/console/web')\np.mkdir(parents=True)\n"
    (root / "web/build.py").write_text(build + "(p / 'index.html').write_text('built')\n")
    (root / "uv.lock").write_text(lock_text(hashlib.sha256(wheel).hexdigest()))
    (root / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[project.optional-dependencies]\nespeak = []\nmore = []\n'
        "[dependency-groups]\ndev = []\nweb = []\n"
    )
    return Checkout(root)


@pytest.fixture
def index(wheel: bytes) -> Iterator[FakeIndex]:
    with FakeIndex({"uv-9.9.9.tar.gz": b"source", WHEEL: wheel}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def set_up(checkout: Checkout, index: FakeIndex, said: io.StringIO, tmp_path: Path) -> SetUp:
    """A set-up of the checkout with the fake uv and a Python for the page."""
    environment = {"UV_DEFAULT_INDEX": index.url(), "PATH": os.environ["PATH"]}
    (checkout.venv / "bin").mkdir(parents=True)
    (checkout.venv / "bin/python").symlink_to(sys.executable)
    return SetUp(checkout, environment, tmp_path, Progress(said))


@pytest.fixture
def launcher(checkout: Checkout) -> Launcher:
    return Launcher(checkout.root)
