"""Items of reasoning-gym's tasks, made in a process of their own.

Some tasks depend on Python's hash seed (word_ladder, ransom_note, …), and pool_matrix seeds numpy's global generator.
The process has a fixed hash seed and nothing else to disturb; it is this file, run as a program that prints JSON lines.
"""

import contextlib
import itertools
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from thicket.config.source import ReasoningGymSource
from thicket.domains import gym
from thicket.domains.item import RawItem
from thicket.signals import die_with_parent

CHUNK = 500
"""Items of one data set of reasoning-gym, which makes a bounded number; 500 is its own default."""
SEED_BITS = 31
"""Bits of a data set's seed: numpy takes seeds below 2³², and reasoning-gym adds the item's index."""


def raw_items(source: ReasoningGymSource, seed: int) -> Iterator[RawItem]:
    """Endless items, the levels in turn; repeats are possible.

    Raises: ValueError where the package, the task or its parameters don't fit, or an item can't be kept as JSON.
    """
    command = [sys.executable, "-m", __name__, source.model_dump_json(), str(seed)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                record = json.loads(line)
                if "problem" in record:
                    raise ValueError(record["problem"])
                yield RawItem(**record)
        finally:
            process.kill()
    raise ChildProcessError("the process that makes reasoning-gym's items ended; its own messages stand above")


def _items(source: ReasoningGymSource, seed: int) -> Iterator[RawItem]:
    levels = [_level_items(source, level, seed) for level in range(1, len(source.levels) + 1)]
    for items in itertools.cycle(levels):
        yield next(items)


def _level_items(source: ReasoningGymSource, level: int, seed: int) -> Iterator[RawItem]:
    params = {**source.params, **source.levels[level - 1]}
    for chunk in itertools.count():
        chunk_seed = random.Random(f"{source.task}:{level}:{seed}:{chunk}").getrandbits(SEED_BITS)
        made = gym.dataset(source.task, params, chunk_seed, CHUNK)
        for index in range(len(made)):
            try:
                entry = made[index]
            except Exception as error:  # Parameters that pass a task's own check may still fail in its generator.
                raise ValueError(
                    f"domain.source.params = {params}: {source.task} can't make an item: {error}"
                ) from None
            kept = _as_json_keeps_it(source.task, made, entry)
            reference = {"task": source.task, "params": params, "entry": kept}
            yield RawItem(kept["question"], kept["answer"] or "", level, reference)


def _as_json_keeps_it(task: str, made: Any, entry: dict[str, Any]) -> dict[str, Any]:
    """The entry after a way through JSON; the task's scorer has to give its own answer full marks even so."""
    kept = json.loads(json.dumps(entry, default=str))
    if kept["answer"] is not None and made.score_answer(kept["answer"], kept) < 1:
        wrong = "its scorer doesn't know its own answer again once the item has been kept as JSON"
        raise ValueError(f"domain.source.task = {task}: {wrong}; choose another task")
    return kept


def _print_items(source: ReasoningGymSource, seed: int) -> None:
    """Prints a JSON line an item, without end, or what is wrong."""
    lines = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # Some tasks print.
        try:
            for item in _items(source, seed):
                print(json.dumps(asdict(item)), file=lines)
        except ValueError as error:
            print(json.dumps({"problem": str(error)}), file=lines, flush=True)


if __name__ == "__main__":
    die_with_parent()
    _print_items(ReasoningGymSource.model_validate_json(sys.argv[1]), int(sys.argv[2]))
