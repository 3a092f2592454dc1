"""Cores and GPU memory: counted as they may be used, handed out once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parley.engines.machine import Machine, counted_cores, gpu_memory, memory_of
from parley.engines.resources import Budget, Demand, LocalOptions, MachineShares, Share
from parley.settings import visible_gpus


def demand(name: str = "engine", weight: int = 2, gpu_mb: int = 0, **options: object) -> Demand:
    return Demand(name, weight, LocalOptions(**options), gpu_mb)  # type: ignore[arg-type]


def threads(shares: list[Share]) -> int:
    return sum(share.threads * share.workers for share in shares if share.device == "cpu")


# ── counting ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("quota", "most"), [("150000 100000", 2), ("50000 100000", 1), ("100000 100000", 1)]
)
def test_a_containers_quota_bounds_the_cores(tmp_path: Path, quota: str, most: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")

    assert 1 <= counted_cores(tmp_path) <= most


@pytest.mark.parametrize("text", ["max 100000", "", "nonsense"])
def test_without_a_quota_all_cores_of_the_process_count(tmp_path: Path, text: str) -> None:
    (tmp_path / "cpu.max").write_text(text)

    assert counted_cores(tmp_path) == counted_cores(tmp_path / "none")


def test_the_older_cgroups_quota_counts_too(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")

    assert counted_cores(tmp_path) == 1


def test_a_machine_without_a_gpu_has_no_gpu_memory() -> None:
    assert gpu_memory("no-such-program") == ()


@pytest.mark.parametrize(
    ("visible", "free_mb"),
    [
        (None, (1000, 2000, 3000)),
        (["2", "0"], (3000, 1000)),
        (["GPU-bb"], (2000,)),
        (["1", "-1", "0"], (2000,)),
        (["MIG-1"], ()),
        ([""], ()),
    ],
)
def test_only_the_gpus_that_cuda_shows_count_and_in_its_order(
    visible: list[str] | None, free_mb: tuple[int, ...]
) -> None:
    listing = "0, GPU-aa11, 1000\n1, GPU-bb22, 2000\n2, GPU-cc33, 3000\n"

    assert memory_of(listing, visible) == free_mb


def test_the_gpus_that_the_environment_lists_can_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1, GPU-bb")
    listed = visible_gpus()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")

    assert listed == ("1", "GPU-bb")
    assert visible_gpus() is None


# ── handing out ──────────────────────────────────────────────────────────────────────────────


@given(
    cores=st.integers(1, 128),
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    later=st.lists(st.integers(1, 5), max_size=3),
)
def test_engines_never_have_more_threads_than_cores_but_for_one_each(
    cores: int, weights: list[int], later: list[int]
) -> None:
    budget = Budget(Machine(cores))

    shares = budget.share_out([demand(weight=weight) for weight in weights])
    shares += budget.share_out([demand(weight=weight) for weight in later])

    assert threads(shares) <= max(cores, len(weights)) + len(later)
    assert threads(shares[: len(weights)]) <= max(cores, len(weights))
    assert all(share.threads >= 1 and share.workers >= 1 for share in shares)


def test_cores_are_divided_by_weight_and_one_is_left_for_the_calls() -> None:
    shares = Budget(Machine(9)).share_out([demand(weight=3), demand(weight=1)])

    assert [share.threads * share.workers for share in shares] == [6, 2]


def test_many_cores_make_more_workers_rather_than_ever_more_threads() -> None:
    [share] = Budget(Machine(17)).share_out([demand()])

    assert (share.workers, share.threads, share.max_concurrent) == (4, 4, 4)


def test_what_is_set_is_taken_as_it_is() -> None:
    wish = {"threads": 3, "workers": 2, "max_concurrent": 9, "compute_type": "float32"}

    [share, other] = Budget(Machine(8)).share_out([demand(**wish), demand()])

    assert share == Share("cpu", 0, "float32", threads=3, workers=2, max_concurrent=9)
    assert other.threads * other.workers == 1


def test_a_gpu_is_taken_by_those_that_fit_and_can_use_it() -> None:
    budget = Budget(Machine(4, (6000, 10_000)))

    shares = budget.share_out(
        [demand(gpu_mb=8000), demand(gpu_mb=5000), demand(gpu_mb=5000), demand()]
    )

    assert [(share.device, share.device_index) for share in shares] == [
        ("cuda", 1),
        ("cuda", 0),
        ("cpu", 0),
        ("cpu", 0),
    ]


def test_an_engine_that_is_to_run_on_the_cpu_leaves_the_gpu_to_others() -> None:
    budget = Budget(Machine(4, (6000,)))

    shares = budget.share_out([demand(gpu_mb=5000, device="cpu"), demand(gpu_mb=5000)])

    assert [share.device for share in shares] == ["cpu", "cuda"]


class Worker:
    """An engine that computes here."""

    def __init__(self) -> None:
        self._share: Share | None = None

    def demand(self) -> Demand:
        return demand()

    def take(self, share: Share) -> None:
        self._share = share

    @property
    def share(self) -> Share | None:
        return self._share


async def test_engines_that_come_later_change_nothing_for_those_at_work() -> None:
    shares = MachineShares(Budget(Machine(8)))
    first, second = Worker(), Worker()
    await shares.among([first, object()])
    before = first.share

    await shares.among([first, object(), second])

    assert first.share is before
    assert second.share is not None


def test_a_share_is_told_in_a_few_words() -> None:
    assert str(Share("cpu", 0, "int8", 4, 2, 2)) == "CPU int8, 2 × 4 threads, 2 at once"
    assert str(Share("cuda", 1, "float16")) == "GPU 1 float16, 1 thread, 1 at once"
