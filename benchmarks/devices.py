"""A GRPO step on one device and on several: decoding, the update, and what handing round takes of them.

    python benchmarks/devices.py --device cuda --devices 1 2 --strategy ddp fsdp
    python benchmarks/devices.py --device cpu --devices 1 2 --steps 3

The global batch is the same on any number of devices, and so are the draws: losses are to be equal but for the order
of sums (in bfloat16, its error). Every response is as long as the window allows, so that the work is the same in each
step. The sums of gradients and the responses that go round are measured by themselves, after the steps.
"""

import argparse
import os
import random
import statistics
import sys
import tempfile
import zlib
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from common import about, random_llama, save, timed

from thicket import ranks
from thicket.config.base import Optimizer
from thicket.config.domain import TrainedDomain, Window
from thicket.config.policy_gradient import Grpo as Config
from thicket.config.run import Trainer
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item
from thicket.domains.verdict import Verdict
from thicket.engine import Progress
from thicket.methods.grpo import Grpo
from thicket.sampling.environment import Environment
from thicket.sampling.sampler import TorchSampler
from thicket.stages.several import together
from thicket.training.asking import Arena
from thicket.training.curves import Row
from thicket.training.loop import fit
from thicket.training.optimizer import take_gradients
from thicket.training.policy import Budget, PolicyTraining

SHAPES: dict[str, dict[str, Any]] = {
    "cuda": {},
    "cpu": {"vocab_size": 512, "hidden_size": 144, "intermediate_size": 288, "num_hidden_layers": 4},
}
"""Of the model: SmolLM2-135M's, or so small that a CPU is done in seconds."""
EXTENTS = {"cuda": (64, 4, 128, 256, 64), "cpu": (16, 4, 16, 24, 8)}
"""Prompts, responses to each, tokens of a prompt and of a response, rows of a micro-batch."""
REPEATS = 5


class Words:
    """A tokenizer as far as sampling uses one: a number for each token, and no end."""

    eos_token_id = None

    def batch_decode(self, ids: Sequence[Sequence[int]], **_: Any) -> list[str]:
        return [" ".join(map(str, of_row)) for of_row in ids]


class Timed(PolicyTraining):
    """Keeps what each phase of each step took."""

    def take_step(self) -> Row:
        before, rows = dict(self.phases), list[Row]()
        seconds = timed(self.device.type, lambda: rows.append(PolicyTraining.take_step(self)))
        taken = {phase: total - before.get(phase, 0.0) for phase, total in self.phases.items()}
        self.taken = [*getattr(self, "taken", []), {**taken, "step": seconds}]
        return rows[0]

    def on_train_end(self) -> None:
        self.sums = [self._sum_of_gradients() for _ in range(REPEATS)]

    def _sum_of_gradients(self) -> float:
        optimizer: Any = self.optimizers()
        for parameter in self.model.parameters():
            parameter.grad = torch.ones_like(parameter)
        seconds = timed(self.device.type, lambda: take_gradients(optimizer.optimizer))
        optimizer.zero_grad()
        return seconds


def coin(answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
    """A reward that the text alone decides."""
    return [Verdict(zlib.crc32(text.encode()) % 2 == 1) for text, _ in answered]


def training(kind: str, steps: int) -> Timed:
    """GRPO on prompts of random tokens."""
    prompts, group, asked, written, micro = EXTENTS[kind]
    model, draw = random_llama("cpu", torch.float32, **SHAPES[kind]), random.Random(0)
    window, verifier = Window(prompt=asked, response=written), ExactVerifier(type="exact")
    domain = TrainedDomain(name="numbers", verifier=verifier, window=window, stop=None)
    items = [Item(f"{place:016x}", "", "", 1) for place in range(prompts * (steps + 1))]
    ids = [[draw.randrange(1, model.config.vocab_size) for _ in range(asked)] for _ in items]
    train = Environment(domain, items, ids, [], coin)
    few = Environment(domain, items[:1], ids[:1], [], coin)
    settings: dict[str, Any] = {"prompts": prompts, "group": group, "micro_batch": micro, "select_samples": 1}
    config = Config(type="grpo", steps=steps, optimizer=Optimizer(lr=1e-5), **settings)
    method, sampler = Grpo(config, lambda: model), TorchSampler(prompts * group)
    return Timed(model, Words(), [Arena(domain, train, few)], config, method, Budget(steps=steps), 0, sampler)


def work(kind: str, steps: int, trainer: Trainer, resume: Path, found: dict[str, Any] | None, _: Path) -> None:
    """What each process does; the first one says what it took."""
    module = training(kind, steps)
    fit(module, trainer, resume / "resume", Progress(f"{trainer.strategy} on {trainer.devices}"))
    prompts, group, _asked, written, _micro = EXTENTS[kind]
    row = list(range(written)), [-1.5] * written

    def hand_round() -> None:
        ranks.spread(range(prompts), lambda mine: [[row] * group for _ in mine])

    handed = [timed("cpu", hand_round) for _ in range(REPEATS)]
    if found is not None:
        kept = module.taken[1:]  # the first one warms up
        for phase in ("step", "rollouts", "updates"):
            found[phase] = statistics.median(one[phase] for one in kept)
        found["sum of gradients"] = statistics.median(module.sums)
        found["handing responses round"] = statistics.median(handed)
        found["tokens/s"] = prompts * group * written / found["rollouts"]
        found["losses"] = [row["loss"] for row in module.rows]
        found["gradient norms"] = [row["gradient_norm"] for row in module.rows]


# The other processes find `work` by its module's name, which is not that of the one that is run.
devices_module: Any = import_module(Path(__file__).stem) if __name__ == "__main__" else sys.modules[__name__]


def measure(kind: str, steps: int, strategy: str, devices: int) -> dict[str, Any]:
    """The figures of one number of devices, seconds a step."""
    precision = "bf16-mixed" if kind == "cuda" else "32-true"
    trainer = Trainer.model_validate(
        {
            "accelerator": "gpu" if kind == "cuda" else "cpu",
            "strategy": strategy if devices > 1 else "single",
            "devices": devices,
            "precision": precision,
            "checkpoint_every": steps + 1,
        }
    )
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        do = partial(devices_module.work, kind, steps, trainer, Path(folder))
        stage: Any = SimpleNamespace(trainer=trainer, method=None)
        with together(stage, partial(do, None)):
            do(found, Path(folder))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--strategy", choices=["ddp", "fsdp"], nargs="+", default=["ddp", "fsdp"])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--results", type=Path)
    arguments = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    found: dict[str, Any] = {**about("lightning"), "ways": {}}
    for devices in arguments.devices:
        for strategy in arguments.strategy if devices > 1 else arguments.strategy[:1]:
            name = f"{strategy} on {devices}" if devices > 1 else "one"
            figures = found["ways"][name] = measure(arguments.device, arguments.steps, strategy, devices)
            shown = ", ".join(f"{key} {value:.4g}" for key, value in figures.items() if isinstance(value, float))
            print(f"{name}: {shown}\n    losses {figures['losses']}", flush=True)
    save(arguments.results, found)


if __name__ == "__main__":
    main()
