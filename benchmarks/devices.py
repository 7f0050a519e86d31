"""Trainings, a search and an evaluation on one device and on several: speed, what the steps are made of, and equality.

    python benchmarks/devices.py --device cuda [--size 135M|1.5B --devices 1 2 --strategy ddp fsdp --results FILE]
    python benchmarks/devices.py --device cpu --steps 3

GRPO, OPD of three teachers in turn, and SSD's update, with the same global batch on any number of devices. Every
response is as long as the window allows, so that the work is the same in each step. What processes tell each other is
measured by itself, after the steps: the sum of gradients, the move of the weights (with `fsdp` they are put together
again), the responses that go round. RandOpt's members and an evaluation are dealt out; their scores must be the same
bytes.

Losses are compared where the rows of a decoding are as many on each device: other matrix products round otherwise, in
bfloat16 so much that a token in some thousands is another one. There they differ by what gradients' sums round.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from common import about, save
from devices_work import EXTENTS, SCORINGS, TRAININGS, Case, Figures, train

from thicket.config.run import Trainer
from thicket.stages.several import together

CHECKED = 4
"""Steps whose losses are compared."""
COMPARED = ("losses", "gradient norms")


def work(case: Case, names: Sequence[str], resume: Path, teacher: Path, found: Figures | None, _: Path) -> None:
    """What each process does; the first one says what came of it."""
    for name in names:
        made = train(case, name, resume, teacher) if name in TRAININGS else SCORINGS[name](case, resume, teacher)
        if found is not None:
            found[name] = made
        if case.kind == "cuda":
            torch.cuda.empty_cache()


# The other processes find `work` by its module's name, which is not that of the one that is run.
devices_module: Any = import_module(Path(__file__).stem) if __name__ == "__main__" else sys.modules[__name__]


def measure(case: Case, names: Sequence[str], teacher: Path) -> Figures:
    """The figures of each piece of work; seconds a step, of trainings."""
    found: Figures = {}
    with tempfile.TemporaryDirectory() as folder:
        do = partial(devices_module.work, case, names, Path(folder), teacher)
        stage: Any = SimpleNamespace(trainer=case.trainer, method=None)
        with together(stage, partial(do, None)):
            do(found, Path(folder))
    return found


def trainer(kind: str, strategy: str, devices: int) -> Trainer:
    half = "bf16-mixed" if kind == "cuda" else "32-true"
    given = {"accelerator": "gpu" if kind == "cuda" else "cpu", "precision": half, "checkpoint_every": 1000}
    return Trainer.model_validate({**given, "strategy": strategy if devices > 1 else "single", "devices": devices})


def told(figures: Figures, one: Figures) -> str:
    """A line on some work, beside that on one device."""
    shown = [f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, float)]
    if "step" in one:
        shown.append(f"{one['step'] / figures['step']:.2f} times as fast")
    elif "scores" in one:
        same = "the same" if one["scores"] == figures["scores"] else "OTHER"
        shown.append(f"{figures['a second'] / one['a second']:.2f} times as fast, {same} scores")
    else:
        shown = [f"{name} differ by {apart(figures[name], one[name]):.2g}" for name in COMPARED]
    return ", ".join(shown)


def apart(values: Sequence[float], others: Sequence[float]) -> float:
    """The largest difference, as a share of the largest value."""
    largest = max(abs(value) for value in others)
    return max(abs(value - other) for value, other in zip(values, others, strict=True)) / largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", choices=EXTENTS, help="of the model; default: 135M on a GPU, tiny on a CPU")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2], help="begins with 1")
    parser.add_argument("--strategy", choices=["ddp", "fsdp"], nargs="+", default=["ddp", "fsdp"])
    parser.add_argument("--work", choices=[*TRAININGS, *SCORINGS], nargs="+", default=[*TRAININGS, *SCORINGS])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    kind, size = arguments.device, arguments.size or ("135M" if arguments.device == "cuda" else "tiny")
    found: Figures = {**about("lightning"), "size": size, "extent": asdict(EXTENTS[size]), "speed": {}, "equality": {}}
    trained = [name for name in arguments.work if name in TRAININGS]
    extent = EXTENTS[size]
    with tempfile.TemporaryDirectory() as teacher:
        if "opd" in trained:
            Case(extent, trainer(kind, "single", 1), 1, 1).model(seed=1).save_pretrained(teacher)
        for devices in arguments.devices:
            for strategy in arguments.strategy if devices > 1 else arguments.strategy[:1]:
                name, frame = f"{strategy} on {devices}" if devices > 1 else "one", trainer(kind, strategy, devices)
                # Scores are dealt out in one way, whatever happens to gradients.
                names = [one for one in arguments.work if one in trained or strategy == arguments.strategy[0]]
                case = Case(extent, frame, arguments.steps, extent.rows)
                checked = replace(extent, rows=extent.checked)
                few = Case(checked, frame, CHECKED, extent.checked // max(arguments.devices))
                parts = {"speed": (case, names), "equality": (few, trained)}
                for way, (what, named) in parts.items():
                    made = measure(what, named, Path(teacher)) if named else {}
                    found[way][name] = made if way == "speed" else curves(made)
                    save(arguments.results, found)
                    for one, figures in found[way][name].items():
                        print(f"{name}, {one}: {told(figures, found[way]['one'][one])}", flush=True)


def curves(found: Figures) -> Figures:
    """What is compared, of each training."""
    return {name: {key: figures[key] for key in COMPARED} for name, figures in found.items()}


if __name__ == "__main__":
    main()
