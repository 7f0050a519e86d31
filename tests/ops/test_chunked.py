"""The loss in chunks: equal to the whole in float64, whatever the chunks, groups, heads and masks."""

import weakref
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from thicket.ops import distillation
from thicket.ops.chunked import _Work, chunked_loss
from thicket.ops.chunks import Given, Setting, Student, Teaching
from thicket.ops.head import Head

N, H, V, WORDS = 23, 6, 37, 33
LOSSES = {
    "reverse KL": distillation.reverse_kl,
    "forward KL": distillation.forward_kl,
    "JSD": distillation.jsd(0.4),
    "top k": distillation.top_k_with_tail(5),
    "measures": distillation.top_k_unnormalised(5),
    "sampled token": distillation.sampled_token(1.0),
    "top 1": distillation.top1,
}


class Case:
    """Students' hidden states and head, and two groups of tokens with one and three teachers, of other widths."""

    def __init__(self, dtype: torch.dtype, bias: bool = True, cap: float | None = 2.0):
        generator = torch.Generator().manual_seed(0)

        def random(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

        self.hidden, self.weight = random(N, H).requires_grad_(), random(V, H).requires_grad_()
        self.bias = random(V).requires_grad_() if bias else None
        self.head = Head(self.weight, self.bias, scale=0.8, cap=cap)
        self.groups = []
        for tokens, teachers in ((slice(0, 9), 1), (slice(9, 9), 2), (slice(9, N), 3)):
            widths = [4 + place for place in range(teachers)]
            heads = [Head(random(V + 2 * place, width), None, 1.1) for place, width in enumerate(widths)]
            hidden = [random(tokens.stop - tokens.start, width) for width in widths]
            self.groups.append(Teaching(tokens, heads, hidden, torch.arange(1.0, teachers + 1, dtype=torch.float64)))
        self.weights = random(N).abs()
        self.weights[4] = 0.0
        self.tokens = torch.randint(WORDS, (N,), generator=generator)

    def leaves(self) -> list[Tensor]:
        return [leaf for leaf in (self.hidden, self.weight, self.bias) if leaf is not None]


def whole(case: Case, loss: distillation.Loss) -> list[Tensor]:
    """Loss, divergences and gradients with all logits in memory."""
    logits_NV = case.head.logits(case.hidden @ case.weight.t() + (0 if case.bias is None else case.bias))
    log_p_NV = logits_NV[:, :WORDS].log_softmax(dim=-1)
    parts = []
    for group in case.groups:
        given = zip(group.heads, group.hidden_NH, strict=True)
        log_q_KNV = torch.stack(
            [head.logits(hidden @ head.weight_VH.t())[:, :WORDS].log_softmax(dim=-1) for head, hidden in given]
        )
        total = group.weights_K.sum()
        shares_K = (group.weights_K / total).to(log_q_KNV.dtype)
        parts.append(float(total) * loss(log_p_NV[group.tokens], log_q_KNV, shares_K, case.tokens[group.tokens]))
    divergence_N = torch.cat(parts)
    value = (divergence_N * case.weights).sum()
    return [value.detach(), divergence_N.detach(), *torch.autograd.grad(value, case.leaves())]


def chunked(case: Case, loss: distillation.Loss, chunk_bytes: int) -> list[Tensor]:
    setting = Setting(loss, None, WORDS, chunk_bytes)
    value, divergence_N, _ = chunked_loss(case.hidden, case.head, case.groups, case.tokens, case.weights, setting)
    return [value.detach(), divergence_N, *torch.autograd.grad(value, case.leaves())]


def errors(found: list[Tensor], expected: list[Tensor]) -> list[float]:
    return [float((one - other).norm() / other.norm()) for one, other in zip(found, expected, strict=True)]


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("chunk_bytes", [1, 3000, 10**9], ids=["a token", "a few", "all"])
def test_chunks_are_the_whole(loss: distillation.Loss, chunk_bytes: int) -> None:
    exact = Case(torch.float64)
    assert max(errors(chunked(exact, loss, chunk_bytes), whole(exact, loss))) < 1e-12
    single = chunked(Case(torch.float32), loss, chunk_bytes)
    assert max(errors([value.double() for value in single], whole(exact, loss))) < 1e-5


@pytest.mark.parametrize(("bias", "cap"), [(False, None), (True, None), (False, 1.0)])
def test_heads_with_and_without(bias: bool, cap: float | None) -> None:
    case = Case(torch.float64, bias, cap)
    assert max(errors(chunked(case, distillation.reverse_kl, 2000), whole(case, distillation.reverse_kl))) < 1e-12


def test_the_entropy_comes_along() -> None:
    case = Case(torch.float64)
    setting = Setting(distillation.reverse_kl, None, WORDS, 2000)
    _, _, entropy_N = chunked_loss(case.hidden, case.head, case.groups, case.tokens, case.weights, setting)
    raw_NV = case.hidden @ case.weight.t() + (0 if case.bias is None else case.bias)
    log_p_NV = case.head.logits(raw_NV)[:, :WORDS].log_softmax(dim=-1)
    torch.testing.assert_close(entropy_N, -(log_p_NV.exp() * log_p_NV).sum(dim=-1).detach())


def test_padding_takes_no_probability_and_no_gradient() -> None:
    case = Case(torch.float64)
    gradient = chunked(case, distillation.reverse_kl, 2000)[3]
    assert float(gradient[WORDS:].abs().max()) == 0
    with torch.no_grad():
        case.weight[WORDS:] += 5
    assert (
        max(errors(chunked(case, distillation.reverse_kl, 2000)[:3], whole(case, distillation.reverse_kl)[:3])) < 1e-12
    )


def test_a_frozen_head_gets_no_gradient() -> None:
    case = Case(torch.float64)
    frozen = Head(case.weight.detach())
    setting = Setting(distillation.reverse_kl, None, WORDS, 2000)
    value, _, _ = chunked_loss(case.hidden, frozen, case.groups, case.tokens, case.weights, setting)
    (gradient,) = torch.autograd.grad(value, [case.hidden])
    assert float(gradient.abs().max()) > 0


def test_a_tied_head_gets_the_sum_of_both_gradients() -> None:
    """The head's weight embeds the tokens too."""
    case = Case(torch.float64, bias=False)
    ids = case.tokens
    setting = Setting(distillation.reverse_kl, None, WORDS, 2000)

    def run(loss_of: Any) -> Tensor:
        (gradient,) = torch.autograd.grad(loss_of(case.weight[ids].sin()), [case.weight])
        return gradient

    found = run(lambda hidden: chunked_loss(hidden, case.head, case.groups, ids, case.weights, setting)[0])
    case_whole = Case(torch.float64, bias=False)

    def full(hidden: Tensor) -> Tensor:
        log_p_NV = case.head.logits(hidden @ case.weight.t())[:, :WORDS].log_softmax(dim=-1)
        parts = []
        for group in case_whole.groups:
            logs = [
                head.logits(states @ head.weight_VH.t())[:, :WORDS].log_softmax(dim=-1)
                for head, states in zip(group.heads, group.hidden_NH, strict=True)
            ]
            total = group.weights_K.sum()
            given = (log_p_NV[group.tokens], torch.stack(logs), group.weights_K / total, ids[group.tokens])
            parts.append(total * distillation.reverse_kl(*given))
        return (torch.cat(parts) * case.weights).sum()

    torch.testing.assert_close(found, run(full))


def test_parts_of_a_batch_add_up_to_the_batch() -> None:
    """As micro-batches do, or processes: each has the weights that it has in the whole."""
    case = Case(torch.float64)
    expected = chunked(case, distillation.reverse_kl, 2000)
    value, gradients = 0.0, [torch.zeros_like(leaf) for leaf in case.leaves()]
    for group in case.groups:
        if group.tokens.stop == group.tokens.start:
            continue
        part = group.tokens
        alone = Teaching(slice(0, part.stop - part.start), group.heads, group.hidden_NH, group.weights_K)
        setting = Setting(distillation.reverse_kl, None, WORDS, 2000)
        loss, _, _ = chunked_loss(case.hidden[part], case.head, [alone], case.tokens[part], case.weights[part], setting)
        value += float(loss.detach())
        for total, more in zip(gradients, torch.autograd.grad(loss, case.leaves()), strict=True):
            total += more
    assert value == pytest.approx(float(expected[0]), rel=1e-12)
    assert max(errors(gradients, expected[2:])) < 1e-12


def test_logits_are_gone_before_other_teachers_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else memory holds those of two groups of tokens."""
    held, alive, take = list[weakref.ref[Given]](), list[bool](), _Work.take

    def noted(self: _Work, given: Given, student: Student) -> None:
        held.append(weakref.ref(given))
        take(self, given, student)

    def taught() -> Iterator[Teaching]:
        for start in (0, 3):
            alive.extend(one() is not None for one in held)
            heads, hidden = [Head(torch.ones(8, 4))], [torch.ones(3, 4)]
            yield Teaching(slice(start, start + 3), heads, hidden, torch.ones(1, dtype=torch.float64))

    monkeypatch.setattr(_Work, "take", noted)
    setting = Setting(distillation.reverse_kl, None, 8, 2**20)
    chunked_loss(torch.ones(6, 4), Head(torch.ones(8, 4)), taught(), torch.zeros(6).long(), torch.ones(6), setting)
    assert alive == [False]
