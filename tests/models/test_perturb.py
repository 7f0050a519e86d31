"""Perturbations: what moves and how far, that nothing stays behind, and that neighbours in one pass are neighbours."""

from collections.abc import Iterator

import pytest
import torch
from small_models import SIZES, random_llama
from torch import Tensor, nn
from transformers import MixtralConfig, MixtralForCausalLM, PreTrainedModel

from thicket.models import perturb
from thicket.models.perturb import Direction, Neighbourhood, Writer, move, shift
from thicket.models.stacked import not_stackable, stacked
from thicket.ops import noise

TWO_LAYERS = {**SIZES, "num_hidden_layers": 2}


@pytest.fixture
def llama() -> PreTrainedModel:
    """Its head is its embedding."""
    return random_llama(**TWO_LAYERS, tie_word_embeddings=True)


@pytest.fixture
def mixture() -> Iterator[PreTrainedModel]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield MixtralForCausalLM(MixtralConfig(**TWO_LAYERS, num_local_experts=4, num_experts_per_tok=2)).eval()


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def test_every_parameter_moves_by_its_own_noise_once(llama: PreTrainedModel) -> None:
    before, buffers = weights(llama), [buffer.clone() for buffer in llama.buffers()]
    move(llama, [Direction(11, 0.5)])
    for name, parameter in llama.named_parameters():
        expected = before[name] + 0.5 * noise.normal(noise.key_of(11, name), 0, parameter.numel()).view_as(parameter)
        assert parameter.equal(expected)
    head, embedding = llama.get_output_embeddings(), llama.get_input_embeddings()
    assert head is not None
    assert head.weight is embedding.weight
    assert all(buffer.equal(kept) for buffer, kept in zip(llama.buffers(), buffers, strict=True))


def test_a_mixture_moves_with_its_router_and_experts(mixture: PreTrainedModel) -> None:
    before = weights(mixture)
    move(mixture, [Direction(1, 0.01)])
    moved = {name for name, parameter in mixture.named_parameters() if not parameter.equal(before[name])}
    assert moved == set(before)
    assert any("gate" in name for name in moved)
    assert any("experts" in name for name in moved)


def test_restore_is_exact_after_a_thousand_perturbations_in_bfloat16(llama: PreTrainedModel) -> None:
    model = llama.to(torch.bfloat16)  # type: ignore[arg-type]
    before, around = weights(model), Neighbourhood(model)
    for seed in range(1_000):
        with around.at(Direction(seed, 1e-3 * (1 + seed % 3))):
            pass
    assert all(parameter.equal(before[name]) for name, parameter in model.named_parameters())


def test_restore_after_an_error(llama: PreTrainedModel) -> None:
    before = weights(llama)

    def fail() -> None:
        with Neighbourhood(llama).at(Direction(1, 1.0)):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert all(parameter.equal(before[name]) for name, parameter in llama.named_parameters())


def test_a_weight_of_zero_changes_no_bit() -> None:
    values = torch.tensor([-0.0, 0.0, 1.0, -1.0])
    shift(values, "weight", [Direction(1, 0.0)])
    assert values.view(torch.int32).equal(torch.tensor([-0.0, 0.0, 1.0, -1.0]).view(torch.int32))


def test_several_directions_are_summed_in_float32() -> None:
    """In bfloat16 each of these steps alone is lost: 1 + 2^-9 rounds to 1."""
    steps = [Direction(seed, 2.0**-9) for seed in range(64)]
    together, apart = torch.ones(256, dtype=torch.bfloat16), torch.ones(256, dtype=torch.bfloat16)
    shift(together, "weight", steps)
    noises = [noise.normal(noise.key_of(step.seed, "weight"), 0, 256) for step in steps]
    total = torch.zeros(256)
    for values in noises:
        total += values * 2.0**-9
    assert together.equal((torch.ones(256) + total).to(torch.bfloat16))
    for step in steps:
        shift(apart, "weight", [step])
    exact = 1 + torch.stack(noises).double().sum(dim=0) * 2.0**-9
    assert (together.double() - exact).abs().max() <= 2.0**-8
    assert (apart.double() - exact).abs().max() > 2.0**-8


def test_neighbours_are_written_beside_the_centre() -> None:
    centre = {"a": torch.ones(3, 5), "b": torch.full((7,), -0.0)}
    before = {name: values.clone() for name, values in centre.items()}
    rows = [[Direction(1, 0.1)], [Direction(2, 0.2), Direction(3, -0.5)], [Direction(4, 0.0)]]
    out = {name: torch.empty(len(rows), *values.shape) for name, values in centre.items()}
    Writer(out, centre, len(rows)).write(rows)
    for name, values in centre.items():
        assert values.equal(before[name])
        for found, steps in zip(out[name], rows, strict=True):
            expected = values.clone()
            shift(expected, name, steps)
            assert found.view(torch.int32).equal(expected.view(torch.int32))
    assert bool(out["b"][2].signbit().all())


def test_chunks_do_not_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, parts = torch.ones(10, 7), torch.ones(10, 7)
    shift(whole, "weight", [Direction(1, 0.1), Direction(2, 0.2)])
    monkeypatch.setattr(perturb, "CHUNK", 8)
    shift(parts, "weight", [Direction(1, 0.1), Direction(2, 0.2)])
    assert whole.equal(parts)


def test_walking_moves_the_centre(llama: PreTrainedModel) -> None:
    around = Neighbourhood(llama)
    around.walk(Direction(1, 0.1))
    centre = weights(llama)
    with around.at(Direction(2, 0.1)):
        pass
    assert all(parameter.equal(centre[name]) for name, parameter in llama.named_parameters())


def test_neighbours_in_one_pass_answer_as_they_do_alone(llama: PreTrainedModel) -> None:
    directions = [Direction(1, 0.1), Direction(2, 0.05), Direction(3, 0.0)]
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    before = weights(llama)
    alone = []
    for direction in directions:
        with torch.no_grad(), Neighbourhood(llama).at(direction):
            alone.append(llama(ids).logits)
    with torch.no_grad(), stacked(llama, directions):
        together = llama(ids.repeat(3, 1)).logits
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(alone[0], alone[1], atol=1e-2)
    with torch.no_grad():
        assert llama(ids).logits.equal(alone[2]), "after the block the model is itself again"
    assert all(parameter.equal(before[name]) for name, parameter in llama.named_parameters())


def test_a_stack_of_one_leaves_the_model_alone(llama: PreTrainedModel) -> None:
    before = weights(llama)
    with stacked(llama, [Direction(1, 0.1)]):
        pass
    assert all(parameter.equal(before[name]) for name, parameter in llama.named_parameters())


def test_what_can_be_stacked(llama: PreTrainedModel, mixture: PreTrainedModel) -> None:
    assert not_stackable(llama) == []
    assert any("mlp" in name for name in not_stackable(mixture))
