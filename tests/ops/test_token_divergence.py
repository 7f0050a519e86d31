"""Divergence between next-token distributions against naive float64 sums and values worked out by hand.

Legend: N positions, V vocabulary.
"""

import math

import pytest
import torch
from torch import Tensor

from thicket.ops.divergence import jensen_shannon
from thicket.ops.token_divergence import kl, of_logits, token_divergence

HALF_TO_ONE = 0.2157615543388357
"""JS of (½, ½) and (1, 0): ½ (½ log(½/¾) + ½ log(½/¼)) + ½ log(1/¾) = ¾ log(4/3)."""


def logs(*rows: list[float]) -> Tensor:
    return torch.tensor(rows).log()


def log_probs(seed: int, spread: float = 3.0, shape: tuple[int, ...] = (6, 50)) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(shape, generator=generator)).log_softmax(dim=-1)


def naive_kl(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    """In float64, of distributions that sum to 1 in float64."""
    log_p_NV, log_q_NV = (one.double().log_softmax(dim=-1) for one in (log_p_NV, log_q_NV))
    return (log_p_NV.exp() * (log_p_NV - log_q_NV)).sum(dim=-1)


def naive_js(log_p_NV: Tensor, log_q_NV: Tensor) -> Tensor:
    log_m_NV = ((log_p_NV.double().softmax(dim=-1) + log_q_NV.double().softmax(dim=-1)) / 2).log()
    return (naive_kl(log_p_NV, log_m_NV) + naive_kl(log_q_NV, log_m_NV)) / 2


@pytest.mark.parametrize(("dtype", "rel"), [(torch.float32, 1e-6), (torch.float64, 1e-14)], ids=str)
def test_js_by_hand(dtype: torch.dtype, rel: float) -> None:
    assert pytest.approx(0.75 * math.log(4 / 3), rel=1e-15) == HALF_TO_ONE
    p_NV, q_NV = [[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]
    found_N = jensen_shannon(*(torch.tensor(one, dtype=dtype).log() for one in (p_NV, q_NV)))
    assert found_N.tolist() == pytest.approx([math.log(2), HALF_TO_ONE, 0.0], rel=rel, abs=0.0)


@pytest.mark.parametrize("spread", [0.1, 3.0, 30.0])
def test_divergences_equal_the_naive_sums(spread: float) -> None:
    log_p_NV, log_q_NV = log_probs(0, spread), log_probs(1, spread)
    torch.testing.assert_close(
        jensen_shannon(log_p_NV, log_q_NV).double(), naive_js(log_p_NV, log_q_NV), rtol=3e-6, atol=0.0
    )
    torch.testing.assert_close(kl(log_p_NV, log_q_NV).double(), naive_kl(log_p_NV, log_q_NV), rtol=1e-5, atol=2e-7)


@pytest.mark.parametrize("step", [1e-2, 1e-3, 1e-4])
def test_js_of_nearly_equal_distributions_keeps_its_digits(step: float) -> None:
    """Values down to 1e-9, the rounding of a sum in float32; what is left is the rounding of the log-probabilities."""
    log_p_NV = log_probs(0, shape=(6, 500))
    log_q_NV = (log_p_NV + step * log_probs(1, shape=(6, 500))).log_softmax(dim=-1)
    expected_N = naive_js(log_p_NV, log_q_NV)
    assert float(expected_N.max()) < 100 * step**2
    torch.testing.assert_close(
        jensen_shannon(log_p_NV, log_q_NV).double(), expected_N, rtol=max(1e-4, 1e-6 / step), atol=0.0
    )


def test_js_is_never_below_zero_and_exactly_zero_where_nothing_differs() -> None:
    log_p_NV = log_probs(2, shape=(64, 200))
    assert jensen_shannon(log_p_NV, log_p_NV.clone()).tolist() == [0.0] * 64
    generator = torch.Generator().manual_seed(3)
    for step in (1e-7, 1e-6, 1e-5):
        log_q_NV = log_p_NV + step * torch.randn(log_p_NV.shape, generator=generator)
        js_N = jensen_shannon(log_p_NV, log_q_NV)
        assert (js_N >= 0).all()
        assert (js_N < 1e-9).all()
        assert js_N.equal(jensen_shannon(log_q_NV, log_p_NV)), "it has no direction"


def test_kl_by_hand() -> None:
    # ½ log(½ / ¼) + ½ log(½ / ¾) = ½ log(4/3); log 2 where p is sure; infinite where q lacks a token of p.
    log_p_NV, log_q_NV = logs([0.5, 0.5], [1, 0], [0.5, 0.5], [1, 0]), logs([0.25, 0.75], [0.5, 0.5], [1, 0], [1, 0])
    assert kl(log_p_NV, log_q_NV).tolist() == pytest.approx([0.5 * math.log(4 / 3), math.log(2), math.inf, 0], abs=1e-7)


def test_what_is_not_a_number_stays_so() -> None:
    log_p_NV = logs([0.5, 0.5], [0.5, math.nan])
    for divergence in (jensen_shannon, kl):
        assert divergence(log_p_NV, logs([0.5, 0.5], [0.5, 0.5])).isnan().tolist() == [False, True]


def test_ranks_and_candidates_by_hand() -> None:
    base_NV = logs([0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4], [0.25, 0.25, 0.25, 0.25])
    other_NV = logs([0.1, 0.2, 0.6, 0.1], [0.0, 0.1, 0.3, 0.6], [0.1, 0.2, 0.4, 0.3])
    found = token_divergence(base_NV, other_NV, candidates=2)
    assert found.rank_N.tolist() == [3, 1, 3], "of equal ones the first is the likelier"
    assert found.base_probability_N.tolist() == pytest.approx([0.2, 0.4, 0.25])
    assert found.same_N.tolist() == [False, True, False]
    assert found.overlap_N[:2].tolist() == [0.5, 1.0]
    assert found.entropy_base_N[2].item() == pytest.approx(math.log(4))
    assert found.entropy_other_N[1].item() == pytest.approx(
        -0.1 * math.log(0.1) - 0.3 * math.log(0.3) - 0.6 * math.log(0.6)
    )
    assert found.kl_other_base_N[1].item() == pytest.approx(float(kl(other_NV, base_NV)[1]))
    assert found.kl_base_other_N[1].item() == math.inf
    assert found.js_N.equal(jensen_shannon(base_NV, other_NV))


def test_ranks_and_overlap_equal_sorted_lists() -> None:
    base_NV, other_NV = log_probs(4, shape=(40, 30)), log_probs(5, shape=(40, 30))
    found = token_divergence(base_NV, other_NV, candidates=5)
    for n in range(40):
        of_base, of_other = (sorted(range(30), key=lambda v, of=of: -float(of[n, v])) for of in (base_NV, other_NV))
        assert int(found.rank_N[n]) == 1 + of_base.index(of_other[0])
        assert float(found.overlap_N[n]) == pytest.approx(len(set(of_base[:5]) & set(of_other[:5])) / 5)
        assert bool(found.same_N[n]) == (of_base[0] == of_other[0])
    assert 0 < int(found.same_N.sum()) < 40
    assert token_divergence(base_NV, other_NV, candidates=99).overlap_N.tolist() == [1.0] * 40, "at most all"


def test_of_logits_the_padding_takes_no_probability() -> None:
    logits_NV = (torch.randn(5, 40, generator=torch.Generator().manual_seed(6)) * 4).bfloat16()
    base_NV, other_NV = logits_NV, logits_NV.flip(0)[:, :37]
    found = of_logits(base_NV, other_NV, 33, candidates=3)
    log_base_NV, log_other_NV = (one[:, :33].float().log_softmax(dim=-1) for one in (base_NV, other_NV))
    plain = token_divergence(log_base_NV, log_other_NV, 3)
    assert all(getattr(found, name).equal(value_N) for name, value_N in vars(plain).items())
