"""How work is dealt to the processes of a stage."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import distributed

from thicket import ranks
from thicket.config.run import Trainer
from thicket.ranks import Rank
from thicket.stages.several import started_elsewhere

HERE = ("LOCAL_WORLD_SIZE", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NODEID")
STARTED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID")


@pytest.fixture(autouse=True)
def nobody_has_started_us(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*STARTED, *HERE):
        monkeypatch.delenv(name, raising=False)


def as_rank(monkeypatch: pytest.MonkeyPatch, number: int, count: int, others: Sequence[Any] = ()) -> None:
    """This process is one of several, of which the others hand round what is given."""
    monkeypatch.setattr(ranks, "_own", Rank(number, count))
    monkeypatch.setattr(ranks, "_gathered", lambda value: [*others[:number], value, *others[number:]])


def test_one_process_does_all_of_it() -> None:
    assert ranks.own([3, 1, 2]) == [3, 1, 2]
    assert ranks.spread([3, 1, 2], lambda mine: [-one for one in mine]) == [-3, -1, -2]
    assert ranks.summed({"a": 1.0}) == {"a": 1.0}
    assert ranks.told(5) == 5
    assert ranks.any_of(True)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_shares_are_equal(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Of micro-batches in the order of their length: each has its share of the short and of the long ones."""
    lengths, shares = list(range(8 * count)), list[list[int]]()
    for number in range(count):
        as_rank(monkeypatch, number, count)
        shares.append(ranks.own(lengths))
    assert sorted(one for share in shares for one in share) == lengths
    assert len({sum(share) for share in shares}) == 1


@pytest.mark.parametrize(
    ("total", "most", "count", "size"),
    [(192, 64, 1, 64), (192, 64, 2, 48), (128, 64, 2, 64), (5, 64, 2, 3), (1, 4, 2, 1), (0, 4, 2, 1)],
)
def test_all_have_as_many_pieces(monkeypatch: pytest.MonkeyPatch, total: int, most: int, count: int, size: int) -> None:
    as_rank(monkeypatch, 0, count)
    assert ranks.even(total, most) == size <= most


def test_results_come_in_the_order_of_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    as_rank(monkeypatch, 0, 2, others=[[(1, "second"), (2, "third")]])
    made = ranks.spread(["a", "b", "c", "d"], lambda mine: [f"{one}{len(mine)}" for one in mine])
    assert made == ["a2", "second", "third", "d2"]


def test_work_within_a_share_is_not_dealt_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    as_rank(monkeypatch, 0, 2, others=[[]])
    inner = lambda mine: ranks.spread(mine, list)  # noqa: E731
    assert ranks.spread(["a"], lambda mine: [inner(["x", "y", "z"]) for _ in mine]) == [["x", "y", "z"]]
    with pytest.raises(ZeroDivisionError):
        ranks.spread([0], lambda mine: [1 // one for one in mine])
    assert ranks.own([1, 2]) == [1], "work is dealt out again after an error"


def test_figures_of_shares_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    as_rank(monkeypatch, 1, 2, others=[{"a": 1.0, "b": 2.0}])
    assert ranks.summed({"a": 0.5, "c": 4.0}) == {"a": 1.5, "b": 2.0, "c": 4.0}


@pytest.mark.parametrize("names", [STARTED[:3], STARTED[3:]], ids=["torchrun", "srun"])
def test_who_was_started_with_others(monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> None:
    for name, value in zip(names, ("3", "4", "1"), strict=True):
        monkeypatch.setenv(name, value)
    assert ranks.given() == Rank(3, 4, 1)
    stage: Any = SimpleNamespace(id="specialist-a", trainer=Trainer(strategy="ddp", devices=2))
    with pytest.raises(ValueError, match=r"4 processes were started for specialist-a, and its trainer\.devices = 2"):
        started_elsewhere(stage)
    monkeypatch.setenv(names[1], "1")
    assert ranks.given() is None


@pytest.mark.parametrize("there", [False, True], ids=["nobody comes", "others of before are there"])
def test_processes_that_do_not_meet(monkeypatch: pytest.MonkeyPatch, there: bool) -> None:
    """What they had set is as it was, and a group of before is neither joined nor left."""
    before = torch.get_num_threads()
    monkeypatch.setattr(distributed, "is_initialized", lambda: there)
    monkeypatch.setattr(distributed, "init_process_group", lambda *_, **__: 1 / 0)
    monkeypatch.setattr(distributed, "destroy_process_group", lambda: pytest.fail("it is not theirs"))
    torch.set_num_threads(6)
    try:
        with pytest.raises((RuntimeError, ZeroDivisionError)) as raised, ranks.joined(Rank(0, 2), False, "file://meet"):
            pytest.fail("they have not met")
        assert there == ("have not parted" in str(raised.value))
        assert torch.get_num_threads() == 6
        assert ranks.count() == 1
    finally:
        torch.set_num_threads(before)


def test_a_shared_folder_that_others_only_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read_only(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / ".seen-by-all-token").touch()
    monkeypatch.setattr(ranks, "_connect", lambda *_: None)
    monkeypatch.setattr(distributed, "broadcast_object_list", lambda told: told.__setitem__(0, "token"))
    monkeypatch.setattr(distributed, "all_gather_object", lambda answers, own: answers.__setitem__(1, own))
    for change in ("unlink", "touch", "mkdir"):
        monkeypatch.setattr(Path, change, read_only)
    ranks.check_shared(tmp_path, Rank(1, 4, here=2))


def test_buckets_of_gradients() -> None:
    """Of one type, and as many bytes as fit; what is larger goes alone."""
    sizes = [(3, torch.float32), (1, torch.float32), (1, torch.float32), (9, torch.float32), (2, torch.bfloat16)]
    gradients = [torch.zeros(size, dtype=kind) for size, kind in sizes]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ranks, "BUCKET", 16)
        assert [list(map(len, bucket)) for bucket in ranks._buckets(gradients)] == [[3, 1], [1], [9], [2]]


def test_several_devices_need_a_strategy() -> None:
    with pytest.raises(ValueError, match="need a `strategy`"):
        Trainer(devices=2)


@pytest.mark.parametrize("devices", [1, 2])
def test_processes_that_a_stage_has_no_use_for(monkeypatch: pytest.MonkeyPatch, devices: int) -> None:
    for name, value in zip(STARTED[:3], ("1", "4", "1"), strict=True):
        monkeypatch.setenv(name, value)
    strategy = "single" if devices == 1 else "fsdp"
    stage: Any = SimpleNamespace(id="specialist-a", trainer=Trainer(strategy=strategy, devices=devices))
    asked = "ddp" if devices == 1 else "fsdp"
    with pytest.raises(ValueError, match=rf"4 processes .* specialist-a.* say trainer={asked} trainer\.devices=4 "):
        started_elsewhere(stage)
    assert started_elsewhere(SimpleNamespace(id="data-a")) == Rank(1, 4, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("counts", "node", "here"), [("2(x3),1", "2", 2), ("2(x3),1", "3", 1), ("4", "0", 4), ("", "0", 0), ("4", "7", 0)]
)
def test_tasks_of_this_machine(monkeypatch: pytest.MonkeyPatch, counts: str, node: str, here: int) -> None:
    for name, value in zip(STARTED[3:], ("3", "7", "1"), strict=True):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SLURM_STEP_TASKS_PER_NODE", counts)
    monkeypatch.setenv("SLURM_NODEID", node)
    found = ranks.given()
    assert found is not None
    assert found == Rank(3, 7, 1, here=here)
    assert found.beside == (here or 7)


@pytest.mark.parametrize(
    ("here", "hosts", "address"),
    [(4, "a[01-02]", "127.0.0.1"), (2, "a[01-02],b7", "a01"), (2, "gpu-3,gpu-5", "gpu-3"), (2, "c[7]", "c7")],
)
def test_where_tasks_meet(monkeypatch: pytest.MonkeyPatch, here: int, hosts: str, address: str) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # put back after the test
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_STEP_NODELIST", hosts)
    monkeypatch.setenv("SLURM_JOB_ID", "1000")
    monkeypatch.delenv("SLURM_STEP_ID", raising=False)
    ranks._meeting_place(Rank(0, 4, here=here))
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == (address, str(20_000 + 31_000 % 10_000))
