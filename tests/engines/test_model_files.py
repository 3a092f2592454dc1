"""Models on disk: fetched from a hub, gone on with, checked, listed, removed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace

import pytest

from parley.core.errors import BadRequest, EngineFailed, EngineUnavailable, NotFound
from parley.engines.keeper import Model, PullProgress
from parley.engines.model_files import ModelFiles
from parley.engines.remote import file_download
from parley.engines.remote.hub import Hub, HubModel
from tests.engines.servers.hub import HubServer

REPO = "acme/tiny-model"
BIG = bytes(range(256)) * 12_000
FILES = {"config.json": b"{}", "model.bin": BIG, "README.md": b"words"}
WANTED = ("config.json", "model.bin")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_download.FileDownload.__init__, "__defaults__", (0.0,))


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer({REPO: FILES}, large={"model.bin"}) as server:
        yield server


def files_in(folder: Path, hub: HubServer, token: str = "", is_offline: bool = False) -> ModelFiles:
    access = Hub(hub.url, token, is_offline)
    return ModelFiles(
        "acme",
        folder / "models/acme",
        {"tiny": HubModel(REPO, WANTED, len(BIG), hub=access)},
        ("config.json", "model.bin"),
        lambda repo: HubModel(repo, WANTED, hub=access),
    )


async def pulled(files: ModelFiles, model: str = "tiny") -> list[PullProgress]:
    return [step async for step in files.pull(model)]


# ── fetching ─────────────────────────────────────────────────────────────────────────────────


async def test_a_model_is_fetched_with_progress_in_bytes(tmp_path: Path, hub: HubServer) -> None:
    files = files_in(tmp_path, hub)
    before = files.has("tiny")

    steps = await pulled(files)

    counts = [step.done_bytes for step in steps]
    assert (before, files.has("tiny")) == (False, True)
    assert counts == sorted(counts)
    assert counts[-1] == steps[-1].total_bytes == len(BIG) + 2
    assert len(counts) > 3
    assert {file.name for file in files.path("tiny").iterdir()} == set(WANTED)
    assert (files.path("tiny") / "model.bin").read_bytes() == BIG


async def test_a_model_that_is_here_is_not_fetched_again(tmp_path: Path, hub: HubServer) -> None:
    files = files_in(tmp_path, hub)
    await pulled(files)
    asked = len(hub.asked)

    steps = await pulled(files)

    assert [step.says for step in steps] == ["already here"]
    assert len(hub.asked) == asked


async def test_a_broken_connection_is_gone_on_with_from_where_it_broke(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.breaks_after = [100_000, 200_000]

    await pulled(files_in(tmp_path, hub))

    ranges = [each.range for each in hub.asked if each.path.startswith("/cdn/")]
    assert ranges == ["", "bytes=100000-", "bytes=300000-"]
    assert (tmp_path / "models/acme/tiny/model.bin").read_bytes() == BIG


async def test_a_download_that_was_closed_stops_and_the_next_one_goes_on(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.holds = threading.Event()
    files = files_in(tmp_path, hub)
    async with aclosing(files.pull("tiny")) as steps:
        async for step in steps:
            if step.done_bytes > 1_000_000:
                break
    is_here_half_way = files.has("tiny")

    hub.holds.set()
    hub.holds = None
    await pulled(files)

    assert not is_here_half_way
    assert [each.range for each in hub.asked if each.path.startswith("/cdn/")][-1] != ""
    assert (files.path("tiny") / "model.bin").read_bytes() == BIG


async def test_a_server_without_ranges_is_asked_for_everything_again(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.breaks_after = [100_000]
    hub.knows_ranges = False

    await pulled(files_in(tmp_path, hub))

    assert (tmp_path / "models/acme/tiny/model.bin").read_bytes() == BIG


async def test_the_token_goes_to_the_hub_and_not_to_the_host_that_it_points_to(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.token = "hf_secret"

    await pulled(files_in(tmp_path, hub, token="hf_secret"))

    assert {each.authorization for each in hub.asked if each.host == "127.0.0.1"} == {
        "Bearer hf_secret"
    }
    assert {each.authorization for each in hub.asked if each.host == "127.0.0.2"} == {""}


async def test_any_repository_can_be_named_if_it_holds_what_the_engine_needs(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.repositories["acme/other"] = FILES
    hub.repositories["acme/words"] = {"config.json": b"{}"}
    files = files_in(tmp_path, hub)

    await pulled(files, "acme/other")

    assert files.has("acme/other")
    with pytest.raises(EngineUnavailable, match=r"no model for acme: it has no model\.bin"):
        await pulled(files, "acme/words")


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────


async def test_a_damaged_file_is_not_kept(tmp_path: Path, hub: HubServer) -> None:
    hub.damages = True
    files = files_in(tmp_path, hub)

    with pytest.raises(EngineFailed, match="came damaged"):
        await pulled(files)
    hub.damages = False
    await pulled(files)

    assert (files.path("tiny") / "model.bin").read_bytes() == BIG


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (401, EngineUnavailable, "HF_TOKEN"),
        (403, EngineUnavailable, "licence"),
        (404, NotFound, "There is no model acme/tiny-model"),
        (503, EngineUnavailable, "answered 503"),
    ],
)
async def test_a_refusal_of_the_hub_says_what_to_do(
    tmp_path: Path, hub: HubServer, status: int, error: type[Exception], says: str
) -> None:
    hub.status = status

    with pytest.raises(error, match=says):
        await pulled(files_in(tmp_path, hub))


async def test_without_a_network_one_is_told_so(tmp_path: Path) -> None:
    with HubServer() as gone:
        files = files_in(tmp_path, gone)

    with pytest.raises(EngineUnavailable, match=r"can't be reached.*what has come is kept"):
        await pulled(files)


async def test_a_connection_that_breaks_again_and_again_is_given_up(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.breaks_after = [1000, *[0] * 20]

    with pytest.raises(EngineUnavailable, match="can't be reached"):
        await pulled(files_in(tmp_path, hub))


async def test_offline_nothing_is_asked(tmp_path: Path, hub: HubServer) -> None:
    with pytest.raises(EngineUnavailable, match="HF_HUB_OFFLINE"):
        await pulled(files_in(tmp_path, hub, is_offline=True))

    assert hub.asked == []


async def test_a_full_disk_is_told_before_anything_is_fetched(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))

    with pytest.raises(EngineUnavailable, match=r"3 MB are needed, 3 MB are free.*PARLEY_DATA_DIR"):
        await pulled(files_in(tmp_path, hub))

    assert not [each for each in hub.asked if each.path.startswith("/cdn/")]


async def test_a_disk_that_fills_up_on_the_way_is_told(tmp_path: Path, hub: HubServer) -> None:
    files = files_in(tmp_path, hub)
    part = files.folder / ".tiny.part"
    part.mkdir(parents=True)
    size = len(BIG)
    download = file_download.FileDownload(
        file_download.RemoteFile("model.bin", "", size, _sha256(BIG)), part / "model.bin"
    )
    # A device that takes no byte, where the download would lie.
    download._partial.symlink_to("/dev/full")

    with pytest.raises(EngineUnavailable, match="is full"):
        await pulled(files)


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, hub: HubServer) -> None:
    (tmp_path / "models").write_text("a file in the way")

    with pytest.raises(EngineUnavailable, match=r"can be written.*PARLEY_DATA_DIR"):
        await pulled(files_in(tmp_path, hub))


async def test_a_second_fetch_of_the_same_model_is_refused(tmp_path: Path, hub: HubServer) -> None:
    hub.holds = threading.Event()
    files = files_in(tmp_path, hub)
    async with aclosing(files.pull("tiny")) as steps:
        await anext(steps)

        with pytest.raises(EngineUnavailable, match="being fetched already"):
            await pulled(files)


async def test_a_repository_cannot_write_outside_its_folder(tmp_path: Path, hub: HubServer) -> None:
    hub.repositories[REPO] = {**FILES, "../../evil.bin": b"x"}
    files = ModelFiles(
        "acme",
        tmp_path,
        {"tiny": HubModel(REPO, ("*",), hub=Hub(hub.url))},
        ("config.json",),
    )

    with pytest.raises(EngineFailed, match="may not be called"):
        await pulled(files)


# ── listing and removing ─────────────────────────────────────────────────────────────────────


async def test_models_are_listed_whether_they_are_here_or_not(
    tmp_path: Path, hub: HubServer
) -> None:
    hub.repositories["acme/other"] = FILES
    files = files_in(tmp_path, hub)
    await pulled(files, "acme/other")
    (files.folder / "not a model").mkdir()

    assert files.models() == [
        Model("tiny", len(BIG), is_present=False),
        Model("acme/other", len(BIG) + 2),
    ]


async def test_a_removed_model_is_gone_with_what_was_half_fetched(
    tmp_path: Path, hub: HubServer
) -> None:
    files = files_in(tmp_path, hub)
    await pulled(files)
    (files.folder / ".tiny.part").mkdir()

    await files.remove("tiny")

    assert list(files.folder.iterdir()) == []
    with pytest.raises(NotFound, match="to remove"):
        await files.remove("tiny")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b/c", "a/../..", ".hidden", "a b"])
async def test_a_name_that_is_none_touches_nothing(
    tmp_path: Path, hub: HubServer, name: str
) -> None:
    files = files_in(tmp_path, hub)
    await pulled(files)

    with pytest.raises((BadRequest, NotFound)):
        await files.remove(name)

    assert files.has("tiny")


async def test_a_folder_of_ones_own_is_a_model_that_is_never_fetched_or_removed(
    tmp_path: Path, hub: HubServer
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    for name in WANTED:
        (own / name).touch()
    files = files_in(tmp_path, hub)

    with pytest.raises(NotFound, match="yourself"):
        await files.remove(str(own))
    with pytest.raises(NotFound, match="put the model there"):
        await pulled(files, str(tmp_path / "none"))

    assert files.has(str(own))


def test_the_hubs_address_token_and_offline_mode_are_those_of_its_package() -> None:
    environment = {
        "HF_ENDPOINT": "http://hub.invalid/",
        "HF_TOKEN": "hf_secret",
        "HF_HUB_OFFLINE": "1",
    }
    program = (
        "import dataclasses, json; from parley.engines.remote.hub import Hub\n"
        "print(json.dumps(dataclasses.asdict(Hub.from_package())))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True
    )

    assert json.loads(done.stdout) == {
        "endpoint": "http://hub.invalid",
        "token": "hf_secret",
        "is_offline": True,
    }


def _sha256(content: bytes) -> str:
    import hashlib

    return f"sha256:{hashlib.sha256(content).hexdigest()}"
