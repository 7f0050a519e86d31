"""The processes of a stage, one for each device, on one machine or several: which of them this one is, and what they
do together.

All of them run the whole stage and hold the same weights; what is costly is dealt to them, and what they make of it is
handed round, so that each goes on with all of it. Draws are keyed by what is drawn and never by who draws, so a result
does not depend on how many processes there are, beyond the rounding of sums that are taken in another order.

One process alone is the first of one: everything here is then what it would be without this module.
"""

import atexit
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")
Made = TypeVar("Made")

LONGEST_WAIT = timedelta(days=1)
"""For the others, who may have longer responses to write. A process that is gone is noticed otherwise."""
LONGEST_PARTING = 5.0
"""Seconds, from the others."""
LONGEST_SHOWING = 10.0
"""Seconds until another machine sees a new file."""
PORTS = range(20_000, 30_000)
"""Of processes that srun has started."""
BUCKET = 2**26
"""Bytes of gradients that are summed at once: a copy of so many is in memory."""


@dataclass(frozen=True)
class Rank:
    """One of the processes."""

    number: int = 0
    count: int = 1
    local: int = 0
    """Its number on its machine, which is that of its GPU."""
    shards: bool = False
    """Whether each holds a part of the optimizer's state alone."""
    here: int = 0
    """Processes on its machine; 0: all of them."""

    @property
    def beside(self) -> int:
        """Processes on its machine, itself among them."""
        return self.here or self.count


_own = Rank()
_within_share = False


def number() -> int:
    """Of this process, from 0."""
    return _own.number


def local() -> int:
    """The number of this process's GPU on its machine."""
    return _own.local


def count() -> int:
    """Processes that there are."""
    return _own.count


def beside() -> int:
    """Processes on this machine, itself among them."""
    return _own.beside


def first() -> bool:
    """Whether this is the process that writes and says how far the work is."""
    return _own.number == 0


def shards() -> bool:
    """Whether the optimizer's state is dealt out."""
    return _own.shards


@contextmanager
def joined(rank: Rank, gpu: bool, meet: str | None = None) -> Iterator[None]:
    """Within the block this process is one of several.

    `meet`: where they find each other, as torch takes it; None: as what started them says, for all blocks to come.
    Raises: ValueError where the machine has fewer GPUs than processes.
    """
    global _own
    import torch

    if gpu:
        if rank.local >= torch.cuda.device_count():
            raise ValueError(
                f"{rank.beside} processes on {socket.gethostname()}: torch sees {torch.cuda.device_count()} GPUs"
            )
        torch.cuda.set_device(rank.local)
    threads, hook, met = torch.get_num_threads(), sys.excepthook, False
    torch.set_num_threads(max(1, threads // rank.beside))
    try:
        _connect(rank, meet)
        _own, met = rank, True
        yield
    finally:
        _own = Rank()
        torch.set_num_threads(threads)
        sys.excepthook = hook  # torch's names the process before each line
        if meet is not None and met:
            leaving = threading.Thread(target=_leave, args=(rank, gpu), daemon=True)
            leaving.start()
            # NCCL may wait here for processes that have not got as far.
            leaving.join(LONGEST_PARTING)


def _leave(rank: Rank, gpu: bool) -> None:
    import torch
    from torch import distributed

    if gpu:
        torch.cuda.set_device(rank.local)  # a thread begins on the first GPU, where NCCL would wait for ever
    distributed.destroy_process_group()


def _connect(rank: Rank, meet: str | None) -> None:
    import torch
    from torch import distributed

    if distributed.is_initialized():
        if meet is None:
            return
        # To go on with them would be to wait for processes that are gone.
        raise RuntimeError("the processes of an earlier stage have not parted yet")
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if meet is None:
        _meeting_place(rank)
        atexit.register(lambda: distributed.is_initialized() and distributed.destroy_process_group())
    place = {"rank": rank.number, "world_size": rank.count, "timeout": LONGEST_WAIT}
    distributed.init_process_group(backend, init_method=meet or "env://", **place)


def agreed(rank: Rank, value: Made) -> Made:
    """What the first of the processes that torchrun or srun has started says, once all of them have got here."""
    from torch import distributed

    _connect(rank, None)
    values: list[Any] = [None] * rank.count
    distributed.all_gather_object(values, value)
    return values[0]


def wait_for_all(rank: Rank) -> None:
    """Until all processes that torchrun or srun has started have got here."""
    agreed(rank, None)


def given() -> Rank | None:
    """This process's place among those that torchrun or Slurm's srun has started, if one of them has."""
    for names, here in (
        (("RANK", "WORLD_SIZE", "LOCAL_RANK"), lambda: os.environ.get("LOCAL_WORLD_SIZE", "")),
        (("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"), _tasks_here),
    ):
        place = [os.environ.get(name, "") for name in names]
        if all(map(str.isdecimal, place)) and int(place[1]) > 1:
            beside = here()
            return Rank(int(place[0]), int(place[1]), int(place[2]), here=int(beside) if beside.isdecimal() else 0)
    return None


def speaks() -> bool:
    """Whether this process tells people of a command: the first one, or one that nobody has started beside others."""
    place = given()
    return place is None or place.number == 0


def _tasks_here() -> str:
    """Of a step of srun's, the processes on this machine: `2(x3),1` says so of each of four. Empty: nobody says."""
    counts: list[str] = []
    for part in filter(None, os.environ.get("SLURM_STEP_TASKS_PER_NODE", "").split(",")):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        counts += [found[1]] * int(found[2] or 1) if found else []
    place = os.environ.get("SLURM_NODEID", "")
    return counts[int(place)] if place.isdecimal() and int(place) < len(counts) else ""


def _meeting_place(rank: Rank) -> None:
    """Where processes that srun has started meet: on the first one's machine, a port for each of its steps."""
    job, step = (int(os.environ.get(name, 0)) for name in ("SLURM_JOB_ID", "SLURM_STEP_ID"))
    os.environ.setdefault("MASTER_ADDR", _first_host() if rank.beside < rank.count else "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(PORTS.start + (job * 31 + step) % len(PORTS)))


def _first_host() -> str:
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    names = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
    return SLURMEnvironment.resolve_root_node_address(
        next((os.environ[name] for name in names if name in os.environ), "")
    )


def check_shared(folder: Path, rank: Rank) -> None:
    """All machines have to see one folder: the first process writes, and the others read.

    Raises: ValueError, in every process, with the machines on which what the first one has written does not show.
    """
    if rank.beside == rank.count:
        return
    from torch import distributed

    _connect(rank, None)
    told, answers = [uuid4().hex], list[Any]([None] * rank.count)
    own = folder / f".seen-by-all-{told[0]}"
    try:
        if rank.number == 0:
            folder.mkdir(parents=True, exist_ok=True)
            own.touch()
        distributed.broadcast_object_list(told)
        shows = _shows(folder / f".seen-by-all-{told[0]}")
        distributed.all_gather_object(answers, None if shows else socket.gethostname())
    finally:
        if rank.number == 0:  # To the others the folder may be there to be read alone.
            own.unlink(missing_ok=True)
    if blind := sorted({host for host in answers if host}):
        raise ValueError(
            f"{folder} on {', '.join(blind)} is not the folder that the first process writes to: the project has to be "
            "on a file system that all machines share, at one path"
        )


def _shows(path: Path) -> bool:
    """Whether a file comes to be there; nobody looked for its name before it was, which NFS would remember."""
    until = time.monotonic() + LONGEST_SHOWING
    while not path.exists():
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


# -- Work that is dealt out --------------------------------------------------------------------------------------------


def own(items: Sequence[Item]) -> list[Item]:
    """This process's share. It goes back and forth (0 1 1 0 0 1 …): of what is sorted by length, all get as much."""
    turns = [*range(_own.count), *reversed(range(_own.count))]
    return [item for place, item in enumerate(items) if _alone() or turns[place % len(turns)] == _own.number]


def even(total: int, most: int) -> int:
    """How many of `total` things a piece has, `most` at most, so that all processes have as many pieces."""
    if _alone():
        return most
    pieces = max(1, -(-total // most))
    pieces += -pieces % _own.count
    return max(1, -(-total // pieces))


def spread(items: Sequence[Item], work: Callable[[Sequence[Item]], Sequence[Made]]) -> list[Made]:
    """`work(items)`, each process doing its share; what is made of all of them, in order, in every process.

    Work within a share is a process's own: what would be dealt out there is not.
    """
    global _within_share
    if _alone():
        return list(work(items))
    mine = own(range(len(items)))
    _within_share = True
    try:
        made = work([items[place] for place in mine]) if mine else []
    finally:
        _within_share = False
    of_place = {place: one for share in _gathered(list(zip(mine, made, strict=True))) for place, one in share}
    return [of_place[place] for place in range(len(items))]


def sent(tensor: "Tensor") -> "Tensor":
    """A tensor as it can be handed round: from a GPU's memory it is fetched."""
    return tensor if _own.count == 1 else tensor.cpu()


def _alone() -> bool:
    return _own.count == 1 or _within_share


def _gathered(value: Any) -> list[Any]:
    """Every process's value, in their order."""
    from torch import distributed

    values: list[Any] = [None] * _own.count
    distributed.all_gather_object(values, value)
    return values


def told(value: Made) -> Made:
    """The first process's value, in all of them: of what they might see differently, as the files that are there."""
    return value if _alone() else _gathered(value if first() else None)[0]


def any_of(flag: bool) -> bool:
    """Whether it is so in one of the processes at least."""
    return flag if _alone() else any(_gathered(flag))


def summed(figures: Mapping[str, float]) -> dict[str, float]:
    """Figures that each process has of its share, added up."""
    if _alone():
        return dict(figures)
    total: dict[str, float] = {}
    for share in _gathered(dict(figures)):
        for name, value in share.items():
            total[name] = total.get(name, 0.0) + value
    return total


def sum_gradients(parameters: Sequence["Tensor"]) -> None:
    """Adds up the gradients of all processes in each of them; a parameter that has one in none keeps none.

    Once an update, not at each backward pass: processes may have unequal numbers of micro-batches.
    """
    if _alone():
        return
    import torch
    from torch import distributed

    gradients: list[Tensor] = []
    has = somewhere([parameter.grad is not None for parameter in parameters])
    for parameter, there in zip(parameters, has, strict=True):
        if there:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for bucket in _buckets(gradients):
        flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
        distributed.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def somewhere(flags: Sequence[bool]) -> list[bool]:
    """Which of them are set in one of the processes at least."""
    import torch
    from torch import distributed

    found = torch.tensor(flags, dtype=torch.int32)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return [bool(flag) for flag in found.tolist()]


def _buckets(gradients: Sequence["Tensor"]) -> Iterator[list["Tensor"]]:
    """Runs of gradients of one type."""
    bucket: list[Tensor] = []
    held = 0
    for gradient in gradients:
        size = gradient.numel() * gradient.element_size()
        if bucket and (held + size > BUCKET or gradient.dtype != bucket[0].dtype):
            yield bucket
            bucket, held = [], 0
        bucket.append(gradient)
        held += size
    if bucket:
        yield bucket
