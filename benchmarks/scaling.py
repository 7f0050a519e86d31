"""How time and memory of each stage grow: against tokens, rows, model size, teachers and members, one at a time.

    python benchmarks/scaling.py --device cpu|cuda [--only decode,update,… --seconds 85 --repeats 3 --results FILE]
    python benchmarks/scaling.py --write docs/scaling.md [RESULTS.json]

Random Llamas; on a GPU as `trainer: gpu` runs them, bfloat16 over float32 weights. Each point is run once to warm up
and then up to `--repeats` times, as often as its share of `--seconds` allows, taking turns with the others of its
model: seconds are medians, memory is the allocator's peak (on a CPU there is none). Through the points of an axis goes
the line of least squares, time = a + b·x. Model FLOPs utilisation (MFU, arXiv 2204.02311 appendix B) is FLOPs /
(seconds · rate): FLOPs are what the computation asks for (2 a weight and token forward, 4 backward, 4·L·H a token and
place that it attends to forward), the rate is that of a large matrix product in the same run. `--write` puts tables and
what follows from them into the document; without a results file, what follows from assumptions, which it names.
"""

import argparse
import gc
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from common import QWEN_1_5B, about, save, timed
from decode import bandwidth
from noise import SHAPES as KNOWN
from scaling_fits import NOTHING_YET, STEP, Measured, axes, scaled, table_of_lines, table_of_points, times, where, write
from scaling_plans import assumed, from_run, table_of_plans
from scaling_stages import KEPT, STAGES, Extent, Point, Shape

SECONDS = 85.0
"""Of a run's measuring. Loading libraries comes on top."""
GRAIN = 1.5
"""How much of the time that a pass took has to be left for another one."""
HALF, WIDE = 8192, 1024
"""Sides of the matrix product on a GPU, in bfloat16, and on a CPU, in float32."""
SIZES: dict[str, dict[str, Shape]] = {
    "cuda": {
        "135M": KNOWN["SmolLM2-135M"],
        "360M": {
            "hidden_size": 960,
            "intermediate_size": 2560,
            "num_hidden_layers": 32,
            "num_attention_heads": 15,
            "num_key_value_heads": 5,
        },
        "0.5B": KNOWN["Qwen2.5-0.5B"],
        "1.5B": QWEN_1_5B,
    },
    "cpu": {
        name: {
            "vocab_size": 512,
            "hidden_size": width,
            "intermediate_size": 3 * width,
            "num_hidden_layers": 4,
            "num_attention_heads": width // 32,
            "num_key_value_heads": width // 64,
        }
        for name, width in (("0.3M", 64), ("1M", 128), ("3M", 256))
    },
}
"""Shapes of SmolLM2 and Qwen2.5, and a few for a CPU."""
EVERY = ("135M", "360M", "0.5B", "1.5B")
FEW = ("0.3M", "1M", "3M")
EXTENTS: dict[str, dict[str, Extent]] = {
    "cuda": {
        "decode": Extent(128, 64, 16, (16, 64, 256, 512), (8, 16, 32, 64), sizes=EVERY, short=6),
        "update": Extent(128, 64, 256, (32, 64, 128, 256), (128, 256, 512, 1024), sizes=EVERY, micro=32),
        "divergence": Extent(0, 0, 16_384, along_tokens=(8192, 16_384, 32_768, 65_536), sizes=EVERY),
        "randopt": Extent(0, 64, 12, along_many=(1, 2, 4, 8), sizes=EVERY[:3]),
        "opd": Extent(64, 64, 128, (32, 64, 128), (64, 128, 256), (1, 2, 4, 8), EVERY[:3], micro=32),
    },
    "cpu": {
        "decode": Extent(16, 8, 8, (4, 8, 16), (4, 8, 16), sizes=FEW, short=4),
        "update": Extent(16, 16, 16, (8, 16, 32), (8, 16, 32), sizes=FEW),
        "divergence": Extent(0, 0, 1024, along_tokens=(512, 1024, 2048), sizes=FEW),
        "randopt": Extent(0, 8, 4, along_many=(1, 2, 4), sizes=FEW),
        "opd": Extent(8, 16, 8, (8, 16, 32), (4, 8, 16), (1, 2, 4), FEW),
    },
}
SHARES = {"decode": 0.25, "update": 0.15, "divergence": 0.1, "randopt": 0.17, "opd": 0.33}
"""Of the time. What a stage leaves goes to those after it."""


class Watch:
    """Measures points while there is time."""

    def __init__(self, kind: str, seconds: float, repeats: int):
        self.kind, self.repeats = kind, repeats
        self.started = time.perf_counter()
        self.end = self.started + seconds
        self.points: list[Measured] = []
        self.left_out: list[str] = []

    @property
    def took(self) -> float:
        return time.perf_counter() - self.started

    def stages(self, stages: Sequence[str]) -> None:
        for place, stage in enumerate(stages):
            # Of what is left, by the shares of the stages that are still to come.
            share = SHARES[stage] / sum(SHARES[later] for later in stages[place:])
            self.stage(stage, time.perf_counter() + share * (self.end - time.perf_counter()))

    def stage(self, stage: str, end: float) -> None:
        groups = list(STAGES[stage](self.kind, EXTENTS[self.kind][stage], SIZES[self.kind]))
        for place, group in enumerate(groups):
            now = time.perf_counter()
            if now >= end:
                self.left_out.append(group.name)
                continue
            group.made(Turn(self, stage, end, now + (end - now) / (len(groups) - place)))
            gc.collect()
            if self.kind == "cuda":
                torch.cuda.empty_cache()


@dataclass(frozen=True)
class Turn:
    """A group's share of the time."""

    watch: Watch
    stage: str
    end: float
    """After which nothing is begun."""
    until: float
    """After which nothing is repeated."""

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.end

    def __call__(self, points: Sequence[Point]) -> None:
        """Once to warm up, once that counts, and again as long as there is time."""
        kind, points = self.watch.kind, [point for point in points if self._fits(point)]
        found: list[list[float]] = [[] for _ in points]
        memory = [0] * len(points)
        for _ in range(self.watch.repeats):
            begun = time.perf_counter()
            for place, point in enumerate(points):
                if kind == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                found[place].append(timed(kind, point.work))
                if kind == "cuda":
                    memory[place] = max(memory[place], torch.cuda.max_memory_allocated())
            if time.perf_counter() + GRAIN * (time.perf_counter() - begun) > self.until:
                break
        for point, seconds, most in zip(points, found, memory, strict=True):
            one = Measured(self.stage, point.axis, point.unit, point.x, seconds, most or None, point.flops)
            self.watch.points.append(one)
            shown = f"{self.stage:10} {one.axis:44} {one.x:8.5g} {one.unit:20} {scaled(one.median):>9}"
            print(f"{shown} of {len(seconds)}" + f"  {most / 2**30:7.2f} GiB" * bool(most), flush=True)

    def _fits(self, point: Point) -> bool:
        """Runs a point once; False where the GPU's memory does not hold it."""
        try:
            point.work()
        except torch.cuda.OutOfMemoryError:
            self.watch.left_out.append(f"{self.stage}, {point.axis} {point.x:g}: out of memory")
            torch.cuda.empty_cache()
            return False
        return True


def steps(points: Sequence[Measured], extent: Extent) -> Iterator[Measured]:
    """A step of the decode loop by model size: what responses of more tokens take longer, prompts being the same."""
    of = axes(points)
    for kept in ("", KEPT):
        ends = [
            of.get(("decode", f"model size, {tokens} tokens{kept}"), []) for tokens in (extent.short, extent.tokens)
        ]
        short = {point.x: point.median for point in ends[0]}
        for long in (point for point in ends[1] if point.x in short):
            taken = (long.median - short[long.x]) / (extent.tokens - extent.short)
            yield Measured("decode", STEP + kept, long.unit, long.x, [taken], None, None)


def rates(kind: str) -> dict[str, float]:
    """FLOPs a second of a matrix product, and bytes a second of copies within the device's memory and to it."""
    side, dtype = (HALF, torch.bfloat16) if kind == "cuda" else (WIDE, torch.float32)
    one, other = (torch.randn(side, side, device=kind).to(dtype) for _ in range(2))
    product = min(timed(kind, lambda: one @ other) for _ in range(8))
    host = torch.zeros(2**27, dtype=torch.uint8)
    there = torch.empty_like(host, device=kind)
    loaded = min(timed(kind, lambda: there.copy_(host)) for _ in range(4))
    return {"product": 2 * side**3 / product, "copy": bandwidth(kind), "to device": host.nbytes / loaded}


def lines(found: Sequence[Measured], product: float) -> Iterator[str]:
    """Each axis and its line, in words."""
    for (stage, axis), of in axes(found).items():
        line = times(of)
        if line is None:
            continue
        error = "" if line.error is None else f" ± {scaled(line.error)}"
        last = of[-1]
        share = "" if last.flops is None else f", MFU at the end {100 * last.flops / last.median / product:.2f} %"
        yield (
            f"{stage}, {axis}: {scaled(line.a)} + {scaled(line.b)}{error} for each of {last.unit}, "
            f"points up to {100 * line.off:.0f} % off{share}"
        )


def parts(results: Path | None) -> dict[str, Callable[[], str]]:
    """What a document is given, by the name of its place."""
    if results is None:
        nothing = {name: lambda: NOTHING_YET for name in ("where", "lines", "points")}
        return {**nothing, "plans": lambda: table_of_plans(assumed())}
    found = json.loads(results.read_text(encoding="utf-8"))
    return {
        "where": lambda: where(found),
        "lines": lambda: table_of_lines(found),
        "points": lambda: table_of_points(found),
        "plans": lambda: table_of_plans(from_run(found)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=EXTENTS)
    parser.add_argument("--only", default=",".join(STAGES), help="stages, with commas between them")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="after which no more is begun")
    parser.add_argument("--repeats", type=int, default=3, help="of each point, at most")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    parser.add_argument("--write", type=Path, metavar="DOCUMENT", help="fill a document's places; measures nothing")
    parser.add_argument("filled_from", type=Path, nargs="?", metavar="RESULTS", help="with --write: a JSON file")
    options = parser.parse_args()
    if options.write is not None:
        write(options.write, parts(options.filled_from))
        return
    if options.device is None:
        parser.error("--device is needed")
    if unknown := [stage for stage in options.only.split(",") if stage not in STAGES]:
        parser.error(f"--only: there is no stage {', '.join(unknown)}; allowed: {', '.join(STAGES)}")
    transformers.logging.set_verbosity_error()
    found: dict[str, Any] = {**about("lightning"), "rates": rates(options.device)}
    product = found["rates"]["product"]
    print(f"matrix product {product / 1e12:.3g} TFLOP/s, copy {found['rates']['copy'] / 1e12:.3g} TB/s")
    watch = Watch(options.device, options.seconds, options.repeats)
    watch.stages([stage for stage in STAGES if stage in options.only.split(",")])
    watch.points += steps(watch.points, EXTENTS[options.device]["decode"])
    print("\n".join(lines(watch.points, product)))
    print(f"{watch.took:.0f} s" + "".join(f"; left out: {name}" for name in watch.left_out))
    found |= {"took": watch.took, "left_out": watch.left_out}
    save(options.results, {**found, "points": [asdict(point) for point in watch.points]})


if __name__ == "__main__":
    main()
