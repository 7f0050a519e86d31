"""The time of one whole GRPO step, rollouts to update, against TRL's GRPOTrainer at equal work in the same run.

    python benchmarks/grpo_step.py --device cpu [--steps 10 --repeats 5 --results FILE]

`cpu`: the step of specialist `sort-grpo` of the project's own experiment, float32. `cuda`: a Llama of SmolLM2-135M's
shape, 64 prompts of 128 tokens with 4 responses of 256 each, bfloat16 over float32 weights. Both start from the same
random weights, read the same prompts, and no response ends before its window. Wants trl; runs take turns. First the two
losses and their gradients are compared on the same rollouts, under a policy that has moved since.
"""

import argparse
import gc
import statistics
import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from common import about, save
from grpo_case import Case, Coin, cpu_case, cuda_case, losses, peer, training
from transformers import TrainerCallback

from thicket.config.run import Trainer
from thicket.engine import Progress
from thicket.training.loop import fit

GOALS = {"cpu": 1 / 3, "cuda": 1 / 5}
"""thicket's time as a share of TRL's, at most."""
WARM = 3
"""Steps of a run that aren't counted, beside its last one: there thicket scores the selection items."""
PHASES = ("rollouts", "verify", "updates")


class Clock:
    """Seconds of each step but the first, by phase, out of totals that grow."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.last: dict[str, float] = {}

    def tick(self, *phases: float) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = {"step": time.perf_counter(), **dict(zip(PHASES, phases, strict=True))}
        if self.last:
            self.steps.append({name: value - self.last[name] for name, value in now.items()})
        self.last = now


@dataclass(frozen=True)
class Ran:
    """One run: its steps that count, and the tokens that each generated."""

    steps: list[dict[str, float]]
    tokens: float


def thicket(case: Case, steps: int) -> Ran:
    coin, clock = Coin(case.tokenizer), Clock()

    class Watch(Progress):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            pass

        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            clock.tick(pl_module.phases["rollouts"], coin.seconds, pl_module.phases["updates"])

    module = training(case, deepcopy(case.model), coin, steps)
    half = case.device == "cuda"
    frame = Trainer(
        accelerator="gpu" if half else "cpu", precision="bf16-mixed" if half else "32-true", checkpoint_every=steps
    )
    with TemporaryDirectory() as folder:
        fit(module, frame, Path(folder), Watch(""))
    return Ran(clock.steps[WARM - 1 : -1], module.ledger.tokens_generated / steps)


def trl(case: Case, steps: int, cache: str | None = None) -> Ran:
    coin, clock, spent = Coin(case.tokenizer), Clock(), {"rollouts": 0.0}

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            # All but the rollouts counts as the update here.
            clock.tick(spent["rollouts"], coin.seconds, time.perf_counter() - spent["rollouts"])

    with TemporaryDirectory() as folder:
        trainer = peer(case, deepcopy(case.model), coin, steps, cache, folder)
        made = trainer._generate_and_score_completions

        def rollouts(inputs: Any) -> Any:
            started = time.perf_counter()
            found = made(inputs)
            spent["rollouts"] += time.perf_counter() - started
            return found

        trainer._generate_and_score_completions = rollouts
        trainer.add_callback(Watch())
        trainer.train()
    return Ran(clock.steps[WARM - 1 : -1], coin.tokens / steps)


def measure(case: Case, steps: int, repeats: int) -> dict[str, list[Ran]]:
    """The runs of each way, which take turns."""
    ways: dict[str, Callable[[Case, int], Ran]] = {
        "thicket": thicket,
        "trl": trl,
        "trl, static cache": lambda case, steps: trl(case, steps, "static"),
    }
    runs: dict[str, list[Ran]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            runs[name].append(way(case, WARM + steps + 1))
            gc.collect()
            torch.cuda.empty_cache()
    return runs


def summary(runs: list[Ran]) -> dict[str, Any]:
    steps = [step for run in runs for step in run.steps]
    taken = [step["step"] for step in steps]
    phases = {name: statistics.median(step[name] for step in steps) for name in PHASES}
    rest = statistics.median(step["step"] - step["rollouts"] - step["updates"] for step in steps)
    tokens = statistics.mean(run.tokens for run in runs)
    return {
        "seconds": statistics.median(taken),
        "range": [min(taken), max(taken)],
        **phases,
        "rest": rest,
        "tokens": tokens,
    }


def ratios(ours: list[Ran], theirs: list[Ran]) -> list[float]:
    """Time over time, of the medians of each pair of runs."""

    def middle(run: Ran) -> float:
        return statistics.median(step["step"] for step in run.steps)

    return [middle(mine) / middle(other) for mine, other in zip(ours, theirs, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=GOALS, required=True)
    parser.add_argument("--steps", type=int, default=10, help="steps of a run that count")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    case = cpu_case() if options.device == "cpu" else cuda_case()
    where = about("lightning", "trl")
    loss = losses(case)
    gap = abs(loss["thicket"] - loss["trl"])
    print(f"loss: {', '.join(f'{name} {value:.7f}' for name, value in loss.items() if name != 'gradients')}")
    print(f"losses differ by {gap:.1e}, gradients by {loss['gradients']:.1e} of their norm")
    runs = measure(case, options.steps, options.repeats)
    found = {name: summary(of) for name, of in runs.items()}
    columns = "range            rollouts  verify  updates    rest  tokens a step  µs a token"
    print(f"{'way':19}  s a step  {columns}")
    for name, of in found.items():
        times = f"{of['seconds']:8.4f}  {of['range'][0]:.4f}–{of['range'][1]:.4f}"
        phases = f"{of['rollouts']:8.4f}  {of['verify']:6.4f}  {of['updates']:7.4f}  {of['rest']:6.4f}"
        print(f"{name:19} {times}  {phases}  {of['tokens']:13.0f}  {1e6 * of['seconds'] / of['tokens']:10.1f}")
    against = {name: ratios(runs["thicket"], of) for name, of in runs.items() if name != "thicket"}
    for name, shares in against.items():
        least = found["thicket"]["range"][0] / found[name]["range"][0]
        print(
            f"thicket / {name}: {statistics.median(shares):.3f} [{min(shares):.3f}, {max(shares):.3f}], of the fastest "
            f"steps {least:.3f}; at most {GOALS[options.device]:.3f} is wanted"
        )
    steps = {name: [run.steps for run in of] for name, of in runs.items()}
    save(options.results, {**where, "loss": loss, "ways": found, "ratios": against, "steps": steps})


if __name__ == "__main__":
    main()
