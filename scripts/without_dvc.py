"""Runs the stages of dvc.yaml where there is no DVC, several side by side: on a GPU machine without a network, say.

    python scripts/without_dvc.py [--jobs 4] [--gpus 1] [--limit SECONDS] [--skip REGEX] [--first REGEX] [--apart REGEX]
                                  [--tries 1]

`thicket compose` has to have written the resolved configs. Stages run in the order of the DAG, those with the longest
way to its end first; a failed one may have further tries, each beside one stage less (it found no room on a GPU beside
the others, say), and stops what needs it and nothing else. Each process keeps its libraries loaded and runs one stage
after another; they are dealt to the GPUs. At the limit stages get SIGTERM and keep what they have; the next call goes
on with what run/state.json does not name, or names with another config of the stage or of what it rests on. What is
left out by --skip counts as done where its outputs are there. What else was made before, DVC's work say, is not known
here and is made anew. Logs are in run/logs.
"""

import argparse
import gc
import hashlib
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from thicket.plan.dag import Node, Schedule, read_dag

GRACE = 15.0
"""Seconds that stages have to end after SIGTERM."""
TICK = 0.25
"""Seconds between two looks at the clock."""
RUN = Path("run")


def worker() -> None:
    """Runs the stage of each line `config<TAB>log` that comes in; answers `status<TAB>peak GPU memory in bytes`."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    import lightning.pytorch  # noqa: F401
    import torch
    import transformers  # noqa: F401

    from thicket.stages.launch import run_config
    from thicket.stages.machine import forget_peak_memory

    for line in sys.stdin:
        config, log = line.rstrip("\n").split("\t")
        with open(log, "a", encoding="utf-8") as out:
            os.dup2(out.fileno(), 1)
            os.dup2(out.fileno(), 2)
        forget_peak_memory()
        status = run_config(Path.cwd(), Path(config))
        peak = torch.cuda.max_memory_allocated() if torch.cuda.is_initialized() else 0
        sys.stdout.flush()
        gc.collect()
        torch.cuda.empty_cache()  # what this process keeps is not there for those beside it
        answers.write(f"{status}\t{peak}\n")


def origins(dag: dict[str, Node]) -> dict[str, str]:
    """Stage → a hash of its config and of all that it rests on."""
    found: dict[str, str] = {}

    def origin(name: str) -> str:
        if name not in found:
            config = Path(dag[name].config)
            digest = hashlib.sha256(config.read_bytes() if config.is_file() else b"")
            for parent in sorted(dag[name].needs):
                digest.update(origin(parent).encode())
            found[name] = digest.hexdigest()
        return found[name]

    return {name: origin(name) for name in dag}


class Run:
    """Which stages are done, and which run where."""

    def __init__(self, options: argparse.Namespace):
        self.options, self.began = options, time.monotonic()
        self.state = RUN / "state.json"
        (RUN / "logs").mkdir(parents=True, exist_ok=True)
        dag = read_dag(Path())
        self.origins = origins(dag)
        before: dict[str, Any] = json.loads(self.state.read_text()) if self.state.is_file() else {}
        self.done = {name: one for name, one in before.items() if self.origins.get(name) == one["origin"]}
        there = {name for name, node in dag.items() if node.outs and all(Path(out).exists() for out in node.outs)}
        left_out = {name for name in there if re.search(options.skip, name)}
        self.schedule = Schedule(dag, done={*self.done, *left_out})
        self.selector = selectors.DefaultSelector()
        self.gpu: dict[int, int] = {}  # of each process
        self.idle: list[Any] = [self._process(number % options.gpus) for number in range(options.jobs)]
        self.busy: dict[int, tuple[Any, str, float]] = {}
        self.tries: Counter[str] = Counter()  # that failed, of stages that shall have another

    def _process(self, gpu: int) -> Any:
        command = [sys.executable, __file__, "--worker"]
        sees = {"CUDA_VISIBLE_DEVICES": str(gpu)} if self.options.gpus > 1 else {}
        with open(RUN / "logs" / "processes.log", "a", encoding="utf-8") as log:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            one = subprocess.Popen(command, text=True, bufsize=1, env={**os.environ, **sees}, **pipes)
        assert one.stdout is not None
        self.gpu[one.pid] = gpu
        self.selector.register(one.stdout, selectors.EVENT_READ, one)
        return one

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def chosen(self) -> list[str]:
        return [name for name in self.schedule.dag if not re.search(self.options.skip, name)]

    def ready(self) -> list[str]:
        """Stages that can begin, the most urgent first."""
        if self.busy and len(self.busy) >= self.options.jobs - self.tries.total():
            return []
        chosen, taken = set(self.chosen), {self._shares(name) for name in self.schedule.running} - {None}
        found = [name for name in self.schedule.ready() if name in chosen and self._shares(name) not in taken]
        return sorted(found, key=lambda name: (name not in self.tries, not re.search(self.options.first, name)))

    def _shares(self, name: str) -> tuple[str, ...] | None:
        """What a stage shares with those that it may not run beside: the groups of the expression."""
        match = re.search(self.options.apart, name)
        return match.groups() if match else None

    def go(self) -> bool:
        """Whether every chosen stage is done at the end."""
        stopped_at: float | None = None
        while self.busy or (stopped_at is None and self.ready()):
            while stopped_at is None and self.idle and (names := self.ready()):
                self._begin(names[0])
            if stopped_at is None and self.seconds > self.options.limit:
                stopped_at = self.seconds
                self._tell(f"time is up: SIGTERM to {', '.join(name for _, name, _ in self.busy.values()) or 'nobody'}")
                for one, _, _ in self.busy.values():
                    one.send_signal(signal.SIGTERM)
            if stopped_at is not None and self.seconds > stopped_at + GRACE:
                break
            for key, _ in self.selector.select(TICK):
                self._ended(key.data)
        for one in (*self.idle, *(one for one, _, _ in self.busy.values())):
            one.kill()
        missing = [name for name in self.chosen if name not in self.done]
        self._tell(f"{len(self.chosen) - len(missing)} of {len(self.chosen)} stages are done")
        if missing:
            print(f"failed: {', '.join(sorted(self.schedule.failed)) or 'none'}; not done: {', '.join(missing)}")
        return not missing

    def _begin(self, name: str) -> None:
        taken = Counter(self.gpu[pid] for pid in self.busy)
        one = min(self.idle, key=lambda idle: taken[self.gpu[idle.pid]])
        self.idle.remove(one)
        self.busy[one.pid] = one, name, self.seconds
        self.schedule.running.add(name)
        one.stdin.write(f"{self.schedule.dag[name].config}\t{RUN / 'logs' / name}.log\n")

    def _ended(self, one: Any) -> None:
        answer, _, peak = one.stdout.readline().strip().partition("\t")
        _, name, began = self.busy.pop(one.pid, (one, "", 0.0))
        if answer:
            self.idle.append(one)
        else:  # the process is gone
            self.selector.unregister(one.stdout)
            if not name:
                sys.exit(f"A process ended before it ran a stage: {RUN / 'logs' / 'processes.log'} says why.")
            self.idle.append(self._process(self.gpu[one.pid]))
        self.schedule.running.discard(name)
        if answer == "0":
            self.schedule.done.add(name)
            del self.tries[name]
            facts = {"seconds": round(self.seconds - began, 1), "peak_gpu_bytes": int(peak)}
            self.done[name] = {**facts, "origin": self.origins[name]}
            partial = self.state.with_suffix(".partial")
            partial.write_text(json.dumps(self.done, indent=1) + "\n", encoding="utf-8")
            os.replace(partial, self.state)
        elif self.seconds <= self.options.limit:
            self.tries[name] += 1
            if self.tries[name] >= self.options.tries:
                self.schedule.failed.add(name)
                del self.tries[name]
        held = f"  {int(peak) / 2**30:.1f} GiB" if int(peak or 0) else ""
        failed = "" if answer == "0" else f"  status {answer or 'none'}"
        self._tell(f"{name}  {self.seconds - began:.1f} s{held}{failed}")

    def _tell(self, text: str) -> None:
        print(f"{self.seconds:8.1f}  {text}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=4, help="stages side by side")
    parser.add_argument("--gpus", type=int, default=1, help="that the stages are dealt to, one each")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--skip", default="^$", help="stages that are left out")
    parser.add_argument("--first", default="", help="stages that go before all others")
    parser.add_argument("--apart", default="^$", help="stages, of which those with like groups take turns")
    parser.add_argument("--tries", type=int, default=1, help="of a stage that fails")
    sys.exit(0 if Run(parser.parse_args()).go() else 1)


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["--worker"] else main()
