"""Worker processes beside the training process: a function over many arguments, some of which may hang or crash it.

`run_isolated("package.module:function", [{"text": "1/2"}, …], seconds=5.0)` is all that a verifier needs. A worker that
takes too long, or crashes twice in one call, is replaced, and the call ends with a named reason; the others go on.
"""

import atexit
import os
import selectors
import time
from collections import deque
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from thicket.config.sandbox import Sandbox
from thicket.domains.worker import Outcome, Worker, worker_command

Arguments = Mapping[str, Any]
"""Keyword arguments of a call, as JSON can hold them."""


def run_isolated(
    function: str,
    arguments: Sequence[Arguments],
    seconds: float,
    workers: int | None = None,
    sandbox: Sandbox | None = None,
) -> list[Outcome]:
    """Calls a function once for each of the arguments, in worker processes, and returns the outcomes in their order.

    function: `package.module:name`; it returns what JSON can hold. Its import takes none of a call's time.
    seconds: wall time of a call; a longer one ends with the reason `time limit`, and its worker is replaced.
    workers: how many processes; null: one for each core that this process may use. They stay for the next call.
    sandbox: null: the function is trusted with its arguments, and only has to be survived. Else the workers run in
        it, every call in a process of its own: for functions that evaluate text (see `thicket.domains.sandbox`).

    An exception in the function is the reason `exception: TypeName`. A call in which its worker dies is made again in
    another; the death of that one too is the reason `crashed (SIGNAL)`.
    Raises: ValueError where the function can't be imported, the sandbox isn't to be had on this machine, or workers
    end before they can be asked anything: what nobody could judge is not wrong.
    """
    box = None if sandbox is None else sandbox.bare().model_dump_json()
    return _pool(function, workers or cores(), box).map(arguments, seconds)


def cores() -> int:
    """The cores that this process may use (fewer than the machine's in a container or under a scheduler)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Pool:
    """The workers of one function. `map` starts them as they are needed, and `close` ends them."""

    def __init__(self, function: str, workers: int, sandbox: Sandbox | None) -> None:
        self._function, self._size, self._sandbox = function, workers, sandbox
        self._idle: list[Worker] = []

    def map(self, arguments: Sequence[Arguments], seconds: float) -> list[Outcome]:
        """One outcome for each of the arguments, in their order; see `run_isolated`."""
        waiting = deque(range(len(arguments)))
        outcomes: dict[int, Outcome] = {}
        again: set[int] = set()
        running: dict[Worker, int] = {}
        with selectors.DefaultSelector() as selector:
            try:
                while waiting or running:
                    while waiting and len(running) < self._size:
                        worker, index = self._worker(), waiting.popleft()
                        running[worker] = index
                        selector.register(worker.output, selectors.EVENT_READ, worker)
                        worker.send(arguments[index], seconds)
                    pause = min(worker.deadline for worker in running) - time.monotonic()
                    for key, _ in selector.select(max(0.0, pause)):
                        key.data.read(seconds)
                    for worker in [worker for worker in running if worker.outcome() is not None]:
                        selector.unregister(worker.output)
                        index = running.pop(worker)
                        outcomes[index] = self._take(worker)
                        if worker.died and index not in again:  # Perhaps for want of memory, not by what it was asked.
                            again.add(index)
                            waiting.append(index)
                        elif worker.died and not worker.ready:
                            reason = outcomes[index].reason
                            raise ValueError(f"the workers of {self._function} end before they can be asked: {reason}")
            finally:
                for worker in running:  # Left where something above raised.
                    worker.close()
        return [outcomes[index] for index in range(len(arguments))]

    def close(self) -> None:
        """Ends the workers."""
        while self._idle:
            self._idle.pop().close()

    def _worker(self) -> Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive():
                return worker
            worker.close()
        return Worker(worker_command(self._function, self._sandbox), sandboxed=self._sandbox is not None)

    def _take(self, worker: Worker) -> Outcome:
        outcome = worker.outcome()
        assert outcome is not None
        if worker.rest():
            self._idle.append(worker)
        else:
            worker.close()
        return outcome


@cache
def _pool(function: str, workers: int, box: str | None) -> Pool:
    pool = Pool(function, workers, None if box is None else Sandbox.model_validate_json(box))
    atexit.register(pool.close)
    return pool
