"""The exact full-vocabulary reverse KL, forward and backward, beside its four bare matrix products and two peers.

    python benchmarks/full_vocab_kl.py --device cpu|cuda [--widths 896 2048 4096 --teachers 1 2 3 --results FILE]

The peers are liger-kernel and trl, where they are installed. For each hidden width: milliseconds (median, range) and
the ratio to the products, on a GPU memory beyond inputs and the head's gradient, and the relative error of the
divergences and of both gradients to float64; of several teachers what each further one takes of its product. In
bfloat16 on a GPU, on a CPU in float32, as trainings are there.
"""

import argparse
import statistics
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import torch
from common import about, save, timed
from torch import Tensor

from thicket.ops.chunked import chunked_loss
from thicket.ops.chunks import Fused, Setting, Teaching
from thicket.ops.distillation import reverse_kl
from thicket.ops.head import Head

SHAPES: dict[str, tuple[int, int, list[int]]] = {
    "cpu": (512, 49_152, [576]),
    "cuda": (8192, 151_936, [896, 2048, 4096]),
}
"""Tokens, vocabulary and hidden widths where nothing else is asked for: SmolLM2-135M's, and those of Qwen's models."""
GIB = 2**30
Found = tuple[Tensor | None, ...]
"""Divergence of each token (None: it is not told), and the gradients on hidden states and head."""
Run = Callable[[], Found]
Figures = dict[str, Any]
PRODUCTS, OURS = "bare products", "thicket, kernel"
WARM = 2
"""Calls before the first that counts."""


class Case:
    """Random hidden states and heads whose logits have the spread of a language model's."""

    def __init__(self, kind: str, tokens: int, vocabulary: int, width: int, teachers: int):
        generator = torch.Generator(kind).manual_seed(0)
        self.kind, self.dtype = kind, torch.bfloat16 if kind == "cuda" else torch.float32

        def random(*shape: int, scale: float = 1.0) -> Tensor:
            return (torch.randn(shape, generator=generator, device=kind) * scale).to(self.dtype)

        self.hidden = random(tokens, width).requires_grad_()
        self.weight = random(vocabulary, width, scale=3.0 / width**0.5).requires_grad_()
        near = self.hidden.detach().float()
        self.teachers = [(near + 0.3 * random(tokens, width).float()).to(self.dtype) for _ in range(teachers)]
        self.heads = [self.weight.detach() + random(vocabulary, width, scale=0.3 / width**0.5) for _ in range(teachers)]
        self.tokens, self.vocabulary = tokens, vocabulary

    def of(self, teachers: int) -> "Case":
        """With the first ones of its teachers."""
        fewer = copy(self)
        fewer.teachers, fewer.heads = self.teachers[:teachers], self.heads[:teachers]
        return fewer

    def sums(self) -> int:
        """Bytes that the gradients take beside the head's: that on the hidden states, and the head's lower bits."""
        return self.hidden.numel() * 2 + self.weight.numel()


def thicket(case: Case, fused: bool, chunk_bytes: int) -> Run:
    taught = [
        Teaching(
            slice(0, case.tokens), [Head(weight) for weight in case.heads], case.teachers, torch.ones(len(case.heads))
        )
    ]
    setting = Setting(reverse_kl, Fused("reverse_kl") if fused else None, case.vocabulary, chunk_bytes)
    tokens = torch.zeros(case.tokens, dtype=torch.long, device=case.kind)
    weights = torch.full((case.tokens,), 1 / case.tokens, device=case.kind)

    def run() -> Found:
        loss, divergence, _ = chunked_loss(case.hidden, Head(case.weight), taught, tokens, weights, setting)
        return (divergence, *torch.autograd.grad(loss, (case.hidden, case.weight)))

    return run


def products(case: Case) -> Run:
    logits = torch.empty((case.tokens, case.vocabulary), dtype=case.dtype, device=case.kind)
    hidden, weight = case.hidden.detach(), case.weight.detach()

    def run() -> Found:
        for other, head in zip(case.teachers, case.heads, strict=True):
            torch.mm(other, head.t(), out=logits)
        torch.mm(hidden, weight.t(), out=logits)
        return None, logits @ weight, logits.t() @ hidden

    return run


def product(case: Case) -> Run:
    """Of one teacher."""
    logits = torch.empty((case.tokens, case.vocabulary), dtype=case.dtype, device=case.kind)

    def run() -> Found:
        torch.mm(case.teachers[0], case.heads[0].t(), out=logits)
        return ()

    return run


def liger(case: Case) -> Run:
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss  # pyright: ignore[reportMissingImports]

    loss_of = LigerFusedLinearJSDLoss(weight_hard_loss=0.0, weight_soft_loss=1.0, beta=1.0)
    labels = torch.zeros(case.tokens, dtype=torch.long, device=case.kind)

    def run() -> Found:
        loss = loss_of(case.hidden, case.weight, case.teachers[0], case.heads[0], labels)
        return (None, *torch.autograd.grad(loss, (case.hidden, case.weight)))

    return run


def trl(case: Case) -> Run:
    from trl.kernels.chunked_divergence import ChunkedDivergenceFunction as Function  # pyright: ignore[reportMissingImports]

    def run() -> Found:
        divergence, _ = Function.apply(case.hidden, case.weight, None, case.teachers[0], case.heads[0], None, 1.0)
        return (divergence, *torch.autograd.grad(divergence.mean(), (case.hidden, case.weight)))

    return run


def exact(case: Case, rows: int = 512) -> tuple[Tensor, Tensor, Tensor]:
    """In float64, some rows at a time."""
    hidden, weight = case.hidden.detach().double(), case.weight.detach().double()
    divergences, hidden_gradient, weight_gradient = [], torch.empty_like(hidden), torch.zeros_like(weight)
    for start in range(0, case.tokens, rows):
        part = slice(start, start + rows)
        log_p = (hidden[part] @ weight.t()).log_softmax(-1)
        log_q = sum(
            (other[part].double() @ head.double().t()).log_softmax(-1)
            for other, head in zip(case.teachers, case.heads, strict=True)
        )
        gap = len(case.heads) * log_p - log_q
        p = log_p.exp_()
        divergence = (p * gap).sum(-1)
        gradient = p.mul_(gap.sub_(divergence.unsqueeze(-1))) / case.tokens
        divergences.append(divergence)
        hidden_gradient[part] = gradient @ weight
        weight_gradient += gradient.t() @ hidden[part]
        del log_p, log_q, gap, p, gradient
    return torch.cat(divergences), hidden_gradient, weight_gradient


def milliseconds(kind: str, run: Run) -> float:
    """Of one call; a GPU's by its own clock, without the time that Python takes ahead of it."""
    if kind == "cpu":
        return 1e3 * timed(kind, run)
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def extra_bytes(case: Case, run: Run) -> int:
    """What a call holds of a GPU's memory at the most, beyond its inputs and the head's gradient."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before - case.weight.numel() * case.weight.element_size()


def measure(name: str, run: Run, case: Case, floor: float, truth: tuple[Tensor, ...] | None, repeats: int) -> Figures:
    """Times, memory and errors, which are printed too."""
    for _ in range(WARM):
        run()
    times = [milliseconds(case.kind, run) for _ in range(repeats)]
    median = statistics.median(times)
    figures: Figures = {"way": name, "ms": times, "ratio": median / (floor or median)}
    line = f"  {name:24} {median:7.1f} ms ({min(times):.1f}–{max(times):.1f})  {figures['ratio']:5.2f} ×"
    if case.kind == "cuda":
        figures["GiB"] = extra_bytes(case, run) / GIB
        line += f"  {figures['GiB']:6.2f} GiB"
    found = run()
    if truth:
        errors = [
            None if one is None else float((one.detach().double() - other).norm() / other.norm())
            for one, other in zip(found, truth, strict=True)
        ]
        figures["errors"] = errors
        line += "  error " + " ".join("   —    " if one is None else f"{one:.2e}" for one in errors)
    print(line, flush=True)
    return figures


def further(case: Case, counts: list[int], memory: int, rounds: int) -> list[Figures]:
    """What teachers beyond the first number take, each as a share of its one product; they and the product in turns."""
    runs: list[Run] = [product(case)] + [
        thicket(case.of(count), case.kind == "cuda", memory - case.sums()) for count in counts
    ]
    for run in runs * WARM:
        run()
    one, first, *more = zip(*([milliseconds(case.kind, run) for run in runs] for _ in range(rounds)), strict=True)
    made: list[Figures] = []
    for count, times in zip(counts[1:], more, strict=True):
        shares = [
            (time - start) / (count - counts[0]) / product
            for time, start, product in zip(times, first, one, strict=True)
        ]
        low, high = interval_of_median(shares)
        print(
            f"  {count} teachers for {counts[0]}: each takes {statistics.median(shares):.3f} [{low:.3f}, {high:.3f}]"
            f" of its product of {statistics.median(one):.2f} ms",
            flush=True,
        )
        made.append({"teachers": count, "shares": shares, "product ms": one})
    return made


def interval_of_median(values: list[float]) -> tuple[float, float]:
    """95 %, by the ranks that a fair coin leaves, as their normal approximation gives them."""
    ordered, count = sorted(values), len(values)
    below = max(0, int((count - 1.96 * count**0.5) / 2))
    return ordered[below], ordered[count - 1 - below]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=SHAPES, required=True)
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--vocabulary", type=int)
    parser.add_argument("--widths", type=int, nargs="+")
    parser.add_argument("--teachers", type=int, nargs="+", default=[1], help="how many, the fewest first")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=60, help="for what a further teacher takes")
    parser.add_argument("--memory-mib", type=int, default=1544, help="beyond the head's gradient, at most")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    arguments = parser.parse_args()
    kind, memory = arguments.device, arguments.memory_mib * 2**20
    tokens, vocabulary, widths = SHAPES[kind]
    tokens, vocabulary = arguments.tokens or tokens, arguments.vocabulary or vocabulary
    ways: dict[str, Callable[[Case], Run]] = {
        **({OURS: lambda case: thicket(case, True, memory - case.sums())} if kind == "cuda" else {}),
        "thicket, plain torch": lambda case: thicket(case, False, memory // 4),
        "liger-kernel": liger,
        "trl": trl,
    }
    made: list[Figures] = []
    found = {**about(), "tokens": tokens, "vocabulary": vocabulary, "cases": made}
    held = "memory beyond the head's gradient; " if kind == "cuda" else ""
    print(f"median, range; ratio to the products; {held}error of D, of dh, of dW to float64")
    for width in arguments.widths or widths:
        for teachers in arguments.teachers:
            case = Case(kind, tokens, vocabulary, width, teachers)
            truth = exact(case)
            print(f"width {width}, teachers {teachers}")
            measured = [measure(PRODUCTS, products(case), case, 0.0, None, arguments.repeats)]
            floor = statistics.median(measured[0]["ms"])
            for name, way in ways.items():
                if teachers > 1 and not name.startswith("thicket"):
                    continue
                try:
                    run: Any = way(case)
                    measured.append(measure(name, run, case, floor, truth, arguments.repeats))
                except (ImportError, RuntimeError) as error:
                    print(f"  {name:24} {type(error).__name__}: {str(error)[:200]}")
            made.append({"width": width, "teachers": teachers, "ways": measured})
            save(arguments.results, found)
            del case, truth
        if len(arguments.teachers) > 1:
            case = Case(kind, tokens, vocabulary, width, max(arguments.teachers))
            made.append({"width": width, "further": further(case, arguments.teachers, memory, arguments.rounds)})
            save(arguments.results, found)
            del case


if __name__ == "__main__":
    main()
