"""Moving a model's weights along seeded noise, beside a copy of them and the generators of the papers' code.

    python benchmarks/noise.py [--device cuda --shapes SmolLM2-135M Qwen2.5-0.5B --types bfloat16 float32]

For each model and type: milliseconds (median, range) of a move along 1 direction, of an update along 30 (ES's), and of
what puts the kept weights back, and how many times as long each takes as the floor, which is a copy of all weights on
the same device. The peer is `torch.randn` with a generator seeded for each parameter, times σ, and `add_`; it restores
by a copy of each parameter. On a GPU calls are queued without waiting, as many at once as `--queued` says, so that what
Python does for one of them hides behind the others; where it takes longer than the GPU, which the last column shows, it
is what is measured.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from common import about, random_llama, save
from torch import Tensor, nn

from thicket.models.perturb import Direction, Neighbourhood, Writer

SHAPES: dict[str, dict[str, Any]] = {
    "SmolLM2-135M": {},
    "Qwen2.5-0.5B": {
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
}
SIGMA = 1e-3
UPDATE = 30
"""Directions of ES's update: its population."""
Run = Callable[[], Any]


def flat_copy(model: nn.Module) -> Run:
    """The floor: one copy of as many weights, read once and written once."""
    first = next(model.parameters())
    weights_N = torch.zeros(sum(map(Tensor.numel, model.parameters())), dtype=first.dtype, device=first.device)
    other_N = torch.empty_like(weights_N)
    return lambda: other_N.copy_(weights_N)


@torch.no_grad()
def peer_move(model: nn.Module, directions: int) -> None:
    generator = torch.Generator(next(model.parameters()).device)
    for parameter in model.parameters():
        for seed in range(directions):
            generator.manual_seed(seed)
            noise = torch.randn(parameter.shape, generator=generator, device=parameter.device, dtype=parameter.dtype)
            parameter.add_(noise.mul_(SIGMA))


@torch.no_grad()
def peer_restore(around: Neighbourhood) -> None:
    for name, parameter in around.weights.items():
        parameter.copy_(around.centre[name])


def timed(run: Run, device: str, repeats: int, queued: int) -> tuple[list[float], list[float]]:
    """Milliseconds of a call, and those until Python went on, for each repeat."""
    times, issued = [], []
    for _ in range(2):
        run()
    for _ in range(repeats):
        if device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            run()  # untimed: the GPU is busy with it while Python prepares the first of those that count
            begun = perf_counter()
            start.record()
            for _ in range(queued):
                run()
            end.record()
            issued.append(1000 * (perf_counter() - begun) / queued)
            torch.cuda.synchronize()
            times.append(start.elapsed_time(end) / queued)
        else:
            begun = perf_counter()
            run()
            issued.append(1000 * (perf_counter() - begun))
            times.append(issued[-1])
    return times, issued


def ways(model: nn.Module) -> dict[str, Run]:
    around = Neighbourhood(model)
    writer = Writer(around.weights, around.centre)
    update = [Direction(seed, SIGMA / UPDATE) for seed in range(UPDATE)]
    return {
        "copy": flat_copy(model),
        "move, 1": lambda: writer.write([[Direction(1, SIGMA)]]),
        f"update, {UPDATE}": lambda: writer.write([update]),
        "restore": around.restore,
        "peer: move, 1": lambda: peer_move(model, 1),
        f"peer: update, {UPDATE}": lambda: peer_move(model, UPDATE),
        "peer: restore": lambda: peer_restore(around),
    }


def measured(name: str, dtype: torch.dtype, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    model = random_llama(arguments.device, dtype, **SHAPES[name])
    print(f"{name}, {dtype}, {sum(map(Tensor.numel, model.parameters())) / 1e6:.1f} M weights")
    found, floor = [], 0.0
    for way, run in ways(model).items():
        times, issued = timed(run, arguments.device, arguments.repeats, arguments.queued)
        median = statistics.median(times)
        floor = floor or median
        line = f"  {way:18} {median:9.3f} ms ({min(times):.3f}–{max(times):.3f})  {median / floor:7.2f} ×"
        print(f"{line}  Python {statistics.median(issued):.3f} ms", flush=True)
        found.append({"model": name, "type": str(dtype), "way": way, "ms": times, "python_ms": issued})
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=list(SHAPES))
    parser.add_argument("--types", nargs="+", choices=["bfloat16", "float32"], default=["bfloat16", "float32"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--queued", type=int, default=10)
    parser.add_argument("--results", type=Path, help="a JSON file for all times")
    arguments = parser.parse_args()
    found, where = [], about()
    for name in arguments.shapes:
        for dtype in arguments.types:
            found += measured(name, getattr(torch, dtype), arguments)
    save(arguments.results, {**where, "times": found})


if __name__ == "__main__":
    main()
