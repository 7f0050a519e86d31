"""Divergence of next-token distributions and its gradient on the logits, in one pass over them.

A row of logits (one token's) is split among P programs, each of which keeps its part in registers. They exchange what
the whole row decides (maxima, sums) through memory, wait for each other, and then write the gradient over the student's
logits: each logit is read once and written once. Programs take tickets, so that those of a row start before any of a
later row, and waiting can't block what is waited for.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

BLOCK = 8192
"""Logits that a program keeps."""
WARPS = 8
FIGURES = tl.constexpr(6)
"""What programs exchange: of the student the maximum, the sum of exp(logit − maximum), and two sums weighted by it (one
of them by the teacher's, for the forward KL); of the teacher the maximum and the sum."""
MODES = {"reverse_kl": 0, "forward_kl": 1, "jsd": 2}


@triton.jit
def _add_2(a, b, c, d):
    return a + c, b + d


@triton.jit
def _add_3(a, b, c, d, e, f):
    return a + d, b + e, c + f


@triton.jit
def _capped(raw, scale, cap, HAS_CAP: tl.constexpr):
    """Logits as the model gives them: scaled, and capped softly where a model does that."""
    scaled = raw * scale
    if HAS_CAP:
        scaled = cap * (2 * tl.sigmoid(2 * scaled / cap) - 1)
    return scaled


@triton.jit
def _wait(flags, row, count):
    """Says that this program has written its figures, and waits until all `count` of the row have."""
    tl.debug_barrier()  # all threads' figures are written before the flag says so
    seen = tl.atomic_add(flags + row, 1, sem="release") + 1
    while seen < count:
        seen = tl.load(flags + row, volatile=True)
    tl.atomic_add(flags + row, 0, sem="acquire")
    tl.debug_barrier()


@triton.jit
def _figure(figures, at, P: tl.constexpr, PP: tl.constexpr, WIDE: tl.constexpr, other):
    """A figure of each of a row's programs."""
    p = tl.arange(0, PP)
    return tl.load(figures + at + p * WIDE, mask=p < P, other=other, cache_modifier=".cg")


@triton.jit
def _divergence(
    student, student_stride, teacher, teacher_stride, weights, gradient, gradient_stride,
    values, entropies, figures, again, flags, ticket, words, width, scale, cap, teacher_scale, teacher_cap, beta,
    MODE: tl.constexpr, HAS_CAP: tl.constexpr, TEACHER_HAS_CAP: tl.constexpr,
    P: tl.constexpr, PP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    taken = tl.atomic_add(ticket, 1)
    row, part = (taken // P).to(tl.int64), taken % P
    v = part * BLOCK + tl.arange(0, BLOCK)
    inside = v < words
    raw = tl.load(student + row * student_stride + v, mask=inside, other=0.0).to(tl.float32)
    s = _capped(raw, scale, cap, HAS_CAP)
    row_at = row * P * FIGURES
    mine = figures + row_at + part * FIGURES
    given = tl.load(teacher + row * teacher_stride + v, mask=inside, other=0.0).to(tl.float32)
    t = _capped(given, teacher_scale, teacher_cap, TEACHER_HAS_CAP)
    top = tl.max(tl.where(inside, t, float("-inf")), axis=0)
    weight = tl.where(inside, tl.exp(t - top), 0.0)
    total, gap = tl.reduce((weight, weight * (t - s)), 0, _add_2)
    tl.store(mine + 4, top)
    tl.store(mine + 5, total)
    if MODE == 1:  # E_q[log q − log p], unnormalised
        tl.store(mine + 2, gap)
    top = tl.max(tl.where(inside, s, float("-inf")), axis=0)
    weight = tl.where(inside, tl.exp(s - top), 0.0)
    total, gap, mean = tl.reduce((weight, weight * (s - t), weight * s), 0, _add_3)
    tl.store(mine, top)
    tl.store(mine + 1, total)
    if MODE == 0:
        tl.store(mine + 2, gap)
    tl.store(mine + 3, mean)
    _wait(flags, row, P)

    top_P = _figure(figures, row_at, P, PP, FIGURES, float("-inf"))
    top = tl.max(top_P, axis=0)
    in_units_P = tl.exp(top_P - top)
    sum_P = _figure(figures, row_at + 1, P, PP, FIGURES, 0.0)
    gap_P = _figure(figures, row_at + 2, P, PP, FIGURES, 0.0)
    mean_P = _figure(figures, row_at + 3, P, PP, FIGURES, 0.0)
    total, gap, mean = tl.reduce((sum_P * in_units_P, gap_P * in_units_P, mean_P * in_units_P), 0, _add_3)
    log_z = top + tl.log(total)
    entropy = log_z - mean / total
    top_P = _figure(figures, row_at + 4, P, PP, FIGURES, float("-inf"))
    top = tl.max(top_P, axis=0)
    in_units_P = tl.exp(top_P - top)
    sum_P = _figure(figures, row_at + 5, P, PP, FIGURES, 0.0)
    of_teacher, gap_of_teacher = tl.reduce((sum_P * in_units_P, gap_P * in_units_P), 0, _add_2)
    teacher_log_z = top + tl.log(of_teacher)
    log_p = s - log_z
    log_q = t - teacher_log_z
    p = tl.where(inside, tl.exp(log_p), 0.0)
    if MODE == 0:
        value = gap / total - log_z + teacher_log_z
        slope = p * (log_p - log_q - value)
    elif MODE == 1:
        value = gap_of_teacher / of_teacher - teacher_log_z + log_z
        slope = p - tl.where(inside, tl.exp(log_q), 0.0)
    else:
        q = tl.where(inside, tl.exp(log_q), 0.0)
        log_m = tl.log((1 - beta) * p + beta * q)
        of_p = tl.where(p > 0, p * (log_p - log_m), 0.0)
        of_q = tl.where(q > 0, q * (log_q - log_m), 0.0)
        from_p, from_q = tl.reduce((of_p, of_q), 0, _add_2)
        tl.store(again + (row * P + part) * 2, from_p)
        tl.store(again + (row * P + part) * 2 + 1, from_q)
        _wait(flags, row, 2 * P)
        from_p_P = _figure(again, row * P * 2, P, PP, 2, 0.0)
        from_q_P = _figure(again, row * P * 2 + 1, P, PP, 2, 0.0)
        from_p, from_q = tl.reduce((from_p_P, from_q_P), 0, _add_2)
        value = (1 - beta) * from_p + beta * from_q
        slope = tl.where(p > 0, (1 - beta) * p * (log_p - log_m - from_p), 0.0)
    if part == 0:
        tl.store(values + row, value)
        tl.store(entropies + row, entropy)
    slope *= tl.load(weights + row) * scale
    if HAS_CAP:
        slope *= 1 - (s / cap) * (s / cap)
    out = gradient + row * gradient_stride + v
    tl.store(out, tl.where(inside, slope, 0.0).to(gradient.dtype.element_ty), mask=v < width)


def divergence_gradient(
    student_NV: Tensor,
    teacher_NV: Tensor,
    weights_N: Tensor,
    gradient_NV: Tensor,
    mode: str,
    beta: float,
    words: int,
    cap: tuple[float | None, float | None],
    scale: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Writes d(Σ_n weight_n · D_n)/d(logits) to `gradient_NV`, and returns D and the student's entropy, each _N.

    D: `reverse_kl`, `forward_kl` or `jsd`. `cap` and `scale` are those of student and teacher; columns from `words` on
    are padding and get no gradient. `gradient_NV` may lie in the memory of `student_NV`, each row within its own.
    """
    rows, width = student_NV.shape
    parts, device = triton.cdiv(width, BLOCK), student_NV.device
    values_N, entropies_N = (torch.empty(rows, device=device) for _ in range(2))
    figures = torch.empty(rows * parts * FIGURES.value, device=device)
    again = torch.empty(rows * parts * 2, device=device)
    flags = torch.zeros(rows + 1, dtype=torch.int32, device=device)
    kernel: Any = _divergence
    kernel[(rows * parts,)](
        student_NV, student_NV.stride(0), teacher_NV, teacher_NV.stride(0), weights_N, gradient_NV,
        gradient_NV.stride(0), values_N, entropies_N, figures, again, flags, flags[rows:],
        words, width, scale[0], cap[0] or 1.0, scale[1], cap[1] or 1.0, beta,
        MODE=MODES[mode], HAS_CAP=cap[0] is not None, TEACHER_HAS_CAP=cap[1] is not None,
        P=parts, PP=triton.next_power_of_2(parts), BLOCK=BLOCK, num_warps=WARPS,
    )  # fmt: skip
    return values_N, entropies_N
