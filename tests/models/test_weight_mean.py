"""Means in weight space."""

import pytest
import torch

from thicket.models.soup import mean_of


def test_weighted_mean_by_hand():
    states = [{"a": torch.tensor([1.0, 2.0])}, {"a": torch.tensor([5.0, -2.0])}, {"a": torch.tensor([9.0, 9.0])}]
    assert mean_of(states, [3.0, 1.0, 0.0])["a"].tolist() == [2.0, 1.0]
    assert mean_of(states[:2], [1.0, 1.0])["a"].tolist() == [3.0, 0.0]


def test_one_state_is_its_own_mean():
    state = {"a": torch.rand(5, generator=torch.Generator().manual_seed(0)), "b": torch.tensor([0.1])}
    mean = mean_of([state, {"a": torch.zeros(5), "b": torch.zeros(1)}], [0.7, 0.0])
    assert all(torch.equal(mean[key], state[key]) for key in state)


def test_sum_is_in_float64_and_the_result_in_the_first_state_type():
    # In float32, 2^22 + 1/4 rounds to 2^22, and the mean would be 2^22 + 1/2.
    states = [{"a": torch.tensor([value])} for value in (2.0**24, 1.0, 1.0, 2.0)]
    assert mean_of(states, [1.0] * 4)["a"].item() == 2.0**22 + 1
    halves = [{"a": torch.tensor([1.0], dtype=torch.bfloat16)}, {"a": torch.tensor([2.0])}]
    mean = mean_of(halves, [1.0, 1.0])["a"]
    assert mean.dtype == torch.bfloat16
    assert mean.item() == 1.5


def test_states_stay_as_they_are():
    states = [{"a": torch.tensor([1.0])}, {"a": torch.tensor([3.0])}]
    mean_of(states, [1.0, 1.0])
    assert [state["a"].item() for state in states] == [1.0, 3.0]


@pytest.mark.parametrize(
    "other", [{"b": torch.zeros(2)}, {"a": torch.zeros(3)}, {"a": torch.zeros(2), "b": torch.zeros(1)}]
)
def test_other_architectures(other: dict[str, torch.Tensor]):
    with pytest.raises(ValueError, match="only models of one architecture can be averaged"):
        mean_of([{"a": torch.zeros(2)}, other], [1.0, 1.0])
