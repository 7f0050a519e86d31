"""What a response earns, by hand."""

import pytest

from thicket.config.domain import TrainedDomain, Window
from thicket.config.verifier import ExactVerifier
from thicket.training.rewards import overlong, reward


@pytest.mark.parametrize(
    ("tokens", "expected"), [(1, 0.0), (12, 0.0), (13, -0.125), (16, -0.5), (20, -1.0), (30, -1.0)]
)
def test_the_soft_punishment_falls_over_the_last_tokens(tokens: int, expected: float) -> None:
    """L_max = 20, L_cache = 8 (arXiv 2503.14476 eq. 13)."""
    assert overlong(tokens, longest=20, cache=8) == expected


def test_no_cache_no_punishment() -> None:
    assert overlong(20, longest=20, cache=0) == 0.0


def test_the_length_penalty_is_a_share_of_the_window() -> None:
    domain = TrainedDomain(
        name="sort", verifier=ExactVerifier(type="exact"), window=Window(prompt=9, response=20), length_penalty=0.4
    )
    assert reward(1.0, 5, domain) == pytest.approx(0.9)
    assert reward(0.25, 5, domain) == pytest.approx(0.15)
    assert reward(0.0, 20, domain, overlong_cache=8) == pytest.approx(-1.4)
