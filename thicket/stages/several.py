"""A stage on several devices: the processes beside its own, how they start, and how all of them end together.

The stage's own process is the first and does what it does alone: it holds the lock, publishes, writes checkpoints and
says how far the work is. It starts the others, which run the same stage and write nothing that stays. Where torchrun or
srun has started all of them, they find each other.

They end together. A signal that asks to stop is agreed on between two steps. One that fails ends all, with its message.
The others hold a pipe from the first one: where that is gone, however it went, they are too.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from thicket import ranks
from thicket.config.base import PretrainedBase
from thicket.config.merging import Ensemble
from thicket.config.run import Trainer
from thicket.config.search import Member
from thicket.config.stages import BaseStage, Stage, StudentStage
from thicket.ranks import Rank

STOPPED = 143
"""Status of a process that SIGTERM has stopped between two steps."""
FAILED = 1
PATIENCE = 10.0
"""Seconds from the failure of one process to the end of the first one, which may wait for the other on its GPU."""
SHOWN = 2000
"""Characters of what a failed process said last."""

Follow = Callable[[Path], None]
"""Does the stage's work; what it writes goes to this folder, which nobody keeps."""


class Failed(ValueError):
    """Another process of the stage has failed."""


def devices(stage: Stage) -> int:
    """How many devices the stage runs on: one, where it only reads and writes files."""
    trainer = getattr(stage, "trainer", None)
    return 1 if not isinstance(trainer, Trainer) or _takes_one(stage) else trainer.devices


def _takes_one(stage: Stage) -> bool:
    """Whether a stage has nothing to share, trainer or not: a base that is there already, a list of models."""
    taken = isinstance(stage, BaseStage) and not isinstance(stage.base, PretrainedBase)
    return taken or isinstance(getattr(stage, "method", None), Member | Ensemble)


def started_elsewhere(stage: Stage) -> Rank | None:
    """This process's place, where torchrun or srun has started one for each device.

    Raises: ValueError where their number is not that of the config. A stage that only reads and writes files runs in
    the first of them, however many there are.
    """
    place, trainer = ranks.given(), getattr(stage, "trainer", None)
    if place is None or not isinstance(trainer, Trainer) or _takes_one(stage):
        return place
    if trainer.devices != place.count:
        strategy = "ddp" if trainer.strategy == "single" else trainer.strategy
        raise ValueError(
            f"{place.count} processes were started for {stage.id}, and its trainer.devices = {trainer.devices}: say "
            f"trainer={strategy} trainer.devices={place.count} (in params.yaml: `trainer: {strategy}` and `values: "
            f"{{trainer: {{{strategy}: {{devices: {place.count}}}}}}}`), or start {trainer.devices}"
        )
    return place


@contextmanager
def together(stage: Stage, follow: Follow) -> Iterator[None]:
    """Within the block the stage's own process is the first of as many as the stage has devices.

    `follow` is what the others do; it goes to them as a pickle. Raises: Failed where one of them does; ValueError where
    a GPU is asked for and there is none.
    """
    count = devices(stage)
    _look_for_gpu(stage)
    if count == 1:
        yield
        return
    shards = _shards(stage)
    if (place := ranks.given()) is not None:
        with ranks.joined(replace(place, shards=shards), _on_gpus(stage, place.beside)):
            yield
        return
    gpu = _on_gpus(stage, count)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="thicket-ranks-")))
        meet = f"file://{folder / 'meet'}"
        others = [_Other(Rank(number, count, number, shards), gpu, meet, follow) for number in range(1, count)]
        watch = _Watch(others)
        stack.callback(watch.end)
        try:
            with ranks.joined(Rank(0, count, shards=shards), gpu, meet):
                yield
                watch.wait()
        except RuntimeError as error:  # what torch says where the other end of a connection is gone
            if message := watch.failure():
                raise Failed(message) from error
            raise


def follow_elsewhere(stage: Stage, place: Rank, follow: Follow) -> None:
    """The work of a process that torchrun or srun has started and that is not the first."""
    if devices(stage) > 1:
        with ranks.joined(replace(place, shards=_shards(stage)), _on_gpus(stage, place.beside)):
            _followed(follow)


def _look_for_gpu(stage: Stage) -> None:
    """A note where a stage that is set up for a GPU may run without one. Raises: ValueError where it may not."""
    trainer = getattr(stage, "trainer", None)
    merged = isinstance(stage, StudentStage) and not stage.domains
    if not isinstance(trainer, Trainer) or _takes_one(stage) or merged:
        return
    from thicket.sampling.piecewise import device_of

    device = device_of(trainer.accelerator)
    if device == "cpu" and trainer.accelerator == "auto" and trainer.precision == "bf16-mixed":
        advice = "with trainer.accelerator = gpu in the place of auto that is an error"
        print(f"Note: {stage.id} runs on the CPU: torch sees no GPU ({advice}).", flush=True)


def _shards(stage: Any) -> bool:
    return stage.trainer.strategy == "fsdp"


def _on_gpus(stage: Any, count: int) -> bool:
    """Whether the stage's tensors live on GPUs, so many on this machine. Raises: ValueError where there are fewer."""
    import torch

    from thicket.sampling.piecewise import device_of

    gpu = device_of(stage.trainer.accelerator) == "cuda"
    if gpu and (there := torch.cuda.device_count()) < count:
        raise ValueError(
            f"trainer.devices = {stage.trainer.devices}, {count} of them on this machine, where torch sees {there} GPU"
            f"{'' if there == 1 else 's'}; torchrun or srun start a stage on several machines"
        )
    return gpu


class _Other:
    """A process beside the first one."""

    def __init__(self, rank: Rank, gpu: bool, meet: str, follow: Follow):
        self.rank = rank
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the object
        command = [sys.executable, "-P", "-m", "thicket.stages.several"]
        nothing = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nothing, stderr=self.said)
        assert self.process.stdin is not None
        self.held = self.process.stdin
        try:
            pickle.dump((rank, gpu, meet, follow), self.held)
            self.held.flush()
        except BrokenPipeError:
            pass  # its status says so

    @property
    def has_failed(self) -> bool:
        return self.process.poll() not in (None, 0, STOPPED)

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.held.close()
        self.said.close()

    def last_words(self) -> str:
        """What it said before it failed."""
        size = self.said.seek(0, os.SEEK_END)
        self.said.seek(max(0, size - SHOWN))
        text = self.said.read().decode(errors="replace").strip()
        status = self.process.returncode
        how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return f"process {self.rank.number} of {self.rank.count} {how}" + (f": {text}" if text else "")


class _Watch:
    """Sees to it that the first process does not wait for one that is gone."""

    def __init__(self, others: Sequence[_Other]):
        self.others, self.over = others, threading.Event()
        self.seen = threading.Thread(target=self._look, daemon=True)
        self.seen.start()

    def failure(self, wait: float = PATIENCE / 2) -> str:
        """Why one of the others has failed, which may show a moment after its connection is lost; empty: none has."""
        until = time.monotonic() + wait
        while True:
            for other in self.others:
                if other.has_failed:
                    return other.last_words()
            if time.monotonic() > until:
                return ""
            time.sleep(0.05)

    def wait(self) -> None:
        """Until the others are done. Raises: Failed."""
        while any(other.process.poll() is None for other in self.others) and not self.failure(0):
            time.sleep(0.02)
        if message := self.failure(0):
            raise Failed(message)

    def end(self) -> None:
        self.over.set()
        self.seen.join()
        for other in self.others:
            other.end()

    def _look(self) -> None:
        while not self.over.wait(0.2):
            if message := self.failure(0):
                if self.over.wait(PATIENCE):
                    return
                print(f"Error: {message}", file=sys.stderr, flush=True)  # The first one hangs within a kernel.
                for other in self.others:
                    other.process.kill()
                os._exit(FAILED)


# -- The others --------------------------------------------------------------------------------------------------------


def _followed(follow: Follow) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="thicket-rank-") as scratch,
        Path(os.devnull).open("w", encoding="utf-8") as nothing,
        redirect_stdout(nothing),
    ):
        follow(Path(scratch))


def main() -> int:
    """One of the others: does what the first one's pipe says."""
    from thicket.stages.launch import guarded

    # The first one is asked to stop, or a training of theirs, which notes it (`thicket.training.loop`).
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    held = sys.stdin.buffer
    rank, gpu, meet, follow = pickle.load(held)

    def end_with_first() -> None:
        held.read()
        os._exit(FAILED)

    threading.Thread(target=end_with_first, daemon=True).start()

    def work() -> None:
        with ranks.joined(rank, gpu, meet):
            _followed(follow)

    return guarded(work)


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # The thread that waits for the first one's end would be in the way of an orderly one.
