"""The exact full-vocabulary reverse KL, forward and backward, beside its four bare matrix products and two peers.

    python benchmarks/full_vocab_kl.py [--widths 896 2048 4096 --teachers 1 2 3 --results FILE]

Wants a GPU; the peers are liger-kernel and trl, where they are installed. For each hidden width: milliseconds (median,
range) and the ratio to the products, memory beyond inputs and the head's gradient, and the relative error of the
divergences and of both gradients to float64; of several teachers what each further one takes of its product.
"""

import argparse
import statistics
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

import torch
from common import about, save
from torch import Tensor

from thicket.ops.chunked import chunked_loss
from thicket.ops.chunks import Fused, Setting, Teaching
from thicket.ops.distillation import reverse_kl
from thicket.ops.head import Head

GIB = 2**30
Found = tuple[Tensor | None, ...]
"""Divergence of each token (None: it is not told), and the gradients on hidden states and head."""
Run = Callable[[], Found]
Figures = dict[str, Any]
PRODUCTS, OURS = "bare products", "thicket, kernel"


class Case:
    """Random hidden states and heads whose logits have the spread of a language model's."""

    def __init__(self, tokens: int, vocabulary: int, width: int, teachers: int):
        generator = torch.Generator("cuda").manual_seed(0)

        def random(*shape: int, scale: float = 1.0) -> Tensor:
            return (torch.randn(shape, generator=generator, device="cuda") * scale).bfloat16()

        self.hidden = random(tokens, width).requires_grad_()
        self.weight = random(vocabulary, width, scale=3.0 / width**0.5).requires_grad_()
        near = self.hidden.detach().float()
        self.teachers = [(near + 0.3 * random(tokens, width).float()).bfloat16() for _ in range(teachers)]
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
    tokens = torch.zeros(case.tokens, dtype=torch.long, device="cuda")
    weights = torch.full((case.tokens,), 1 / case.tokens, device="cuda")

    def run() -> Found:
        loss, divergence, _ = chunked_loss(case.hidden, Head(case.weight), taught, tokens, weights, setting)
        return (divergence, *torch.autograd.grad(loss, (case.hidden, case.weight)))

    return run


def products(case: Case) -> Run:
    logits = torch.empty((case.tokens, case.vocabulary), dtype=torch.bfloat16, device="cuda")
    hidden, weight = case.hidden.detach(), case.weight.detach()

    def run() -> Found:
        for other, head in zip(case.teachers, case.heads, strict=True):
            torch.mm(other, head.t(), out=logits)
        torch.mm(hidden, weight.t(), out=logits)
        return None, logits @ weight, logits.t() @ hidden

    return run


def product(case: Case) -> Run:
    """Of one teacher."""
    logits = torch.empty((case.tokens, case.vocabulary), dtype=torch.bfloat16, device="cuda")

    def run() -> Found:
        torch.mm(case.teachers[0], case.heads[0].t(), out=logits)
        return ()

    return run


def liger(case: Case) -> Run:
    from liger_kernel.chunked_loss.jsd_loss import LigerFusedLinearJSDLoss  # pyright: ignore[reportMissingImports]

    loss_of = LigerFusedLinearJSDLoss(weight_hard_loss=0.0, weight_soft_loss=1.0, beta=1.0)
    labels = torch.zeros(case.tokens, dtype=torch.long, device="cuda")

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


def timed(run: Run, repeats: int, warm: int = 2) -> list[float]:
    """Milliseconds of each call."""
    for _ in range(warm):
        run()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return times


def measure(name: str, run: Run, case: Case, floor: float, truth: tuple[Tensor, ...] | None, repeats: int) -> Figures:
    """Times, memory and errors, which are printed too."""
    times = timed(run, repeats)
    median = statistics.median(times)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = run()
    extra = torch.cuda.max_memory_allocated() - before - case.weight.numel() * case.weight.element_size()
    figures: Figures = {"way": name, "ms": times, "ratio": median / (floor or median), "GiB": extra / GIB}
    line = f"  {name:24} {median:7.1f} ms ({min(times):.1f}–{max(times):.1f})  {figures['ratio']:5.2f} ×"
    line += f"  {extra / GIB:6.2f} GiB"
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
    runs: list[Run] = [product(case)] + [thicket(case.of(count), True, memory - case.sums()) for count in counts]
    for run in runs * 2:
        run()
    one, first, *more = zip(*([timed(run, 1, warm=0)[0] for run in runs] for _ in range(rounds)), strict=True)
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
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--vocabulary", type=int, default=151_936)
    parser.add_argument("--widths", type=int, nargs="+", default=[896, 2048, 4096])
    parser.add_argument("--teachers", type=int, nargs="+", default=[1], help="how many, the fewest first")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=60, help="for what a further teacher takes")
    parser.add_argument("--memory-mib", type=int, default=1544, help="beyond the head's gradient, at most")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    arguments = parser.parse_args()
    memory = arguments.memory_mib * 2**20
    ways: dict[str, Callable[[Case], Run]] = {
        OURS: lambda case: thicket(case, True, memory - case.sums()),
        "thicket, plain torch": lambda case: thicket(case, False, memory // 4),
        "liger-kernel": liger,
        "trl": trl,
    }
    made: list[Figures] = []
    found = {**about(), "tokens": arguments.tokens, "vocabulary": arguments.vocabulary, "cases": made}
    print(
        "median, range; ratio to the products; memory beyond the head's gradient; error of D, of dh, of dW to float64"
    )
    for width in arguments.widths:
        for teachers in arguments.teachers:
            case = Case(arguments.tokens, arguments.vocabulary, width, teachers)
            truth = exact(case)
            torch.cuda.empty_cache()
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
            case = Case(arguments.tokens, arguments.vocabulary, width, max(arguments.teachers))
            made.append({"width": width, "further": further(case, arguments.teachers, memory, arguments.rounds)})
            save(arguments.results, found)
            del case


if __name__ == "__main__":
    main()
