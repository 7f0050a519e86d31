"""Models by kernels against themselves, family by family: on a GPU, and in Triton's interpreter."""

import gc
import sys
import time
import warnings
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import ref

import pytest
import torch
from interpreter import DEVICE, INTERPRETED, TYPES, on_kernel, outside, passes_interpreted
from peft import LoraConfig, get_peft_model
from small_models import SIZES, random_llama
from torch import Tensor, nn
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Olmo2Config,
    Olmo2ForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from thicket.models import fused as fusing
from thicket.models.fused import fused
from thicket.models.perturb import Direction
from thicket.models.products import cast_once
from thicket.models.stacked import stacked
from thicket.sampling.reading import target_log_probs, trained_hidden
from thicket.sampling.rollouts import sequences

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")  # by the interpreter: infinities in exp
HALF = torch.float16 if INTERPRETED else torch.bfloat16
ALL = {"RMSNorm", "MLP", "rotary"}
FAMILIES: dict[str, tuple[Any, Any, set[str]]] = {
    "llama": (LlamaConfig, LlamaForCausalLM, ALL),
    "gemma3": (Gemma3TextConfig, Gemma3ForCausalLM, ALL),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, ALL),
    "phi3": (Phi3Config, Phi3ForCausalLM, {"RMSNorm", "rotary"}),
    "neox": (GPTNeoXConfig, GPTNeoXForCausalLM, set()),
}
"""Config, model, and what of it runs by kernels. Phi's gates are of one product; NeoX has other norms and
gates, and rotates a part of each head, which its function is asked for and the kernel is not."""


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


@pytest.fixture(autouse=True)
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    if INTERPRETED:
        monkeypatch.setattr(fusing, "_on_gpu", lambda model: True)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What has been computed by kernels, in their places' names, probes included."""
    from thicket.ops.kernels import elementwise_backward

    made: list[str] = []

    def counting(part: str, kernel: Any) -> Any:
        def call(*given: Any) -> Any:
            made.append(part)
            return kernel(*given)

        return call

    for part, name in (("RMSNorm", "rms_norm"), ("MLP", "gated"), ("rotary", "rotary")):
        kernel = getattr(elementwise_backward, name)
        monkeypatch.setattr(elementwise_backward, name, counting(part, kernel))
    return made


def of_family(config: Any, kind: Any, dtype: torch.dtype) -> Any:
    """With random weights in its norms too."""
    sizes = {**SIZES, "hidden_size": 48, "intermediate_size": 72, "num_hidden_layers": 2, "pad_token_id": 0}
    if config is not GPTNeoXConfig:
        sizes["head_dim"] = 24
    generator = torch.Generator().manual_seed(5)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = kind(config(**sizes)).eval()
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.weight.data += torch.randn(module.weight.shape, generator=generator) * 0.3
    return model.to(dtype).to(DEVICE)


def parts(model: Any) -> set[str]:
    """What is replaced at the moment."""
    names = [type(module).__name__ for module in model.modules() if "forward" in vars(module)]
    file = sys.modules[type(model.base_model).__module__]
    rotary = {"rotary"} if getattr(getattr(file, fusing.ROTATE, None), "fused", False) else set()
    return {kind for kind in ("RMSNorm", "MLP") if any(name.endswith(kind) for name in names)} | rotary


@torch.no_grad()
def logits(model: Any) -> Tensor:
    ids_BL = torch.arange(15, device=DEVICE).view(3, 5)
    return model(input_ids=ids_BL, use_cache=False).logits.float()


def casting(dtype: torch.dtype | None) -> AbstractContextManager[Any]:
    return torch.autocast(DEVICE, dtype, enabled=dtype is not None)


def assert_close(found: Tensor, expected: Tensor, dtype: torch.dtype) -> None:
    """Some roundings of the type apart, in all of the model."""
    off, size = (found - expected).abs().max(), expected.abs().max()
    assert size > 0.01
    assert off <= (2e-6 if dtype == torch.float32 else 4 * torch.finfo(dtype).eps) * max(float(size), 1.0)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "cast_to"), [*((one, None) for one in TYPES), (torch.float32, HALF)], ids=str)
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_computes_the_same(
    family: str, dtype: torch.dtype, cast_to: torch.dtype | None, calls: list[str]
) -> None:
    config, kind, replaced = FAMILIES[family]
    model = of_family(config, kind, dtype)
    with casting(cast_to), cast_once([model]):
        expected = logits(model)
        with fused(model):
            assert parts(model) >= replaced
            calls.clear()
            found = logits(model)
        assert {*calls} == replaced
        assert parts(model) == set()
        assert logits(model).equal(expected)
    assert_close(found, expected, cast_to or dtype)


@on_kernel
@pytest.mark.gpu
def test_a_norm_that_rounds_elsewhere_stays_as_it_is() -> None:
    """OLMo's multiplies by the weight before it rounds; in float32 that is the same."""
    whole, half = (of_family(Olmo2Config, Olmo2ForCausalLM, dtype) for dtype in (torch.float32, HALF))
    with fused(whole):
        assert "RMSNorm" in parts(whole)
    with fused(half):
        assert "RMSNorm" not in parts(half)


@on_kernel
@pytest.mark.gpu
def test_an_unknown_norm_stays_as_it_is() -> None:
    class OddRMSNorm(nn.Module):
        """One like Llama's but for a factor."""

        def __init__(self, width: int):
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.ones(width)), 1e-6

        def forward(self, x: Tensor) -> Tensor:
            return 1.00001 * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight

    class BrokenRMSNorm(nn.Module):
        def __init__(self, width: int):
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.ones(width)), 1e-6

        def forward(self, x: Tensor, gate: Tensor) -> Tensor:
            return x * gate

    model = random_llama().to(DEVICE)  # type: ignore[arg-type]
    model.model.norm = OddRMSNorm(16).to(DEVICE)  # type: ignore[assignment]
    model.model.layers[0].input_layernorm = BrokenRMSNorm(16).to(DEVICE)
    with fused(model):
        assert "forward" not in vars(model.model.norm)
        assert "forward" not in vars(model.model.layers[0].input_layernorm)
        assert "forward" in vars(model.model.layers[0].post_attention_layernorm)


@on_kernel
@pytest.mark.gpu
def test_adapted_hooked_and_stacked_modules_stay_as_they_are() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        adapted: Any = get_peft_model(random_llama(), LoraConfig(target_modules=["up_proj"])).to(DEVICE)
    expected = logits(adapted)
    with fused(adapted):
        assert parts(adapted.get_base_model()) == {"RMSNorm", "rotary"}
        assert_close(logits(adapted), expected, torch.float32)
    hooked = random_llama().to(DEVICE)  # type: ignore[arg-type]
    hooked.model.norm.register_forward_hook(lambda module, given, made: made)
    with fused(hooked):
        assert "forward" not in vars(hooked.model.norm)
        assert parts(hooked) == ALL
    model = random_llama(num_hidden_layers=1).to(DEVICE)  # type: ignore[arg-type]
    with stacked(model, [Direction(row, 0.1) for row in range(3)]):
        own, expected = model.model.norm.forward, logits(model)
        with fused(model):
            assert model.model.norm.forward is own
            assert "forward" not in vars(model.model.layers[0].mlp)
            assert_close(logits(model), expected, torch.float32)
        assert model.model.norm.forward is own


@on_kernel
@pytest.mark.gpu
def test_types_change_between_blocks_and_calls_that_were_not_probed_take_their_own_way(
    calls: list[str],
) -> None:
    model: Any = random_llama().to(DEVICE)  # type: ignore[arg-type]
    ids_BL = torch.arange(6, device=DEVICE).view(2, 3)
    with torch.no_grad(), fused(model), torch.enable_grad():
        calls.clear()
        model(input_ids=ids_BL, labels=ids_BL, use_cache=False).loss.backward()
        assert all(weight.grad is not None for weight in model.parameters())
        with casting(HALF):
            inside = logits(model)
        assert calls == []
    with casting(HALF):
        assert inside.equal(logits(model))
    model.to(HALF)
    expected = logits(model)
    with fused(model):
        calls.clear()
        assert_close(logits(model), expected, HALF)
    assert {*calls} == ALL


@on_kernel
@pytest.mark.gpu
def test_two_models_of_a_family() -> None:
    one, other = random_llama().to(DEVICE), random_llama(seed=1).to(DEVICE)  # type: ignore[arg-type]
    expected = logits(one), logits(other)
    with fused(one), fused(other):
        assert_close(logits(one), expected[0], torch.float32)
        assert_close(logits(other), expected[1], torch.float32)
    assert parts(one) == parts(other) == set()


@on_kernel
@pytest.mark.gpu
def test_an_error_leaves_the_model_as_it_was() -> None:
    model = random_llama().to(DEVICE)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="input_ids"), fused(model):
        model()
    assert parts(model) == set()


@pytest.mark.skipif(INTERPRETED, reason="takes the CPU for a GPU")
def test_on_a_cpu_nothing_happens() -> None:
    model = random_llama()
    with fused(model):
        assert parts(model) == set()


# -- gradients ---------------------------------------------------------------------------------------------------------


def slopes(model: Any, within: AbstractContextManager[Any] | None = None) -> dict[str, Tensor]:
    """Gradients of a mean over logits that is no symmetric one; the backward pass runs after the block."""
    model.zero_grad()
    ids_BL = torch.arange(1, 16, device=DEVICE).view(3, 5)  # 0 pads, and a norm is steepest at its zeros
    with within or nullcontext():
        made_BLV = model(input_ids=ids_BL, use_cache=False).logits.float()
    weight_V = torch.arange(made_BLV.shape[-1], device=DEVICE).cos()
    (made_BLV.log_softmax(-1) * weight_V).mean().backward()
    return {name: one.grad for name, one in model.named_parameters() if one.grad is not None}


def assert_same_slopes(found: dict[str, Tensor], expected: dict[str, Tensor], dtype: torch.dtype) -> None:
    """Some roundings of a gradient's largest number apart, each."""
    assert found.keys() == expected.keys()
    assert found
    for name, one in found.items():
        assert one.dtype == expected[name].dtype
        off, size = (one - expected[name]).float().abs().max(), expected[name].float().abs().max()
        assert size > 0, name
        assert off <= (1e-5 if dtype == torch.float32 else 8 * torch.finfo(dtype).eps) * float(size), name


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "cast_to"), [*((one, None) for one in TYPES), (torch.float32, HALF)], ids=str)
@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_family_has_the_same_gradients(
    family: str, dtype: torch.dtype, cast_to: torch.dtype | None, calls: list[str]
) -> None:
    config, kind, replaced = FAMILIES[family]
    model = of_family(config, kind, dtype)
    with casting(cast_to):
        expected = slopes(model)
        with fused(model):
            assert parts(model) >= replaced
        calls.clear()
        found = slopes(model, fused(model))
        assert {*calls} == replaced
        assert_same_slopes(found, expected, cast_to or dtype)
        again = slopes(model, fused(model))
        assert all(again[name].equal(one) for name, one in found.items())


@on_kernel
@pytest.mark.gpu
def test_adapters_are_trained_over_frozen_norms(monkeypatch: pytest.MonkeyPatch, calls: list[str]) -> None:
    from thicket.ops.kernels import elementwise_backward

    asked: list[bool] = []
    make = elementwise_backward.rms_norm_gradients

    def watched(*given: Any, of_weight: bool) -> Any:
        asked.append(of_weight)
        return make(*given, of_weight=of_weight)

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        adapted: Any = get_peft_model(random_llama(), LoraConfig(target_modules=["q_proj", "v_proj"])).to(DEVICE)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(generator=torch.Generator(DEVICE).manual_seed(1))
    expected = slopes(adapted)
    with fused(adapted):
        pass
    monkeypatch.setattr(elementwise_backward, "rms_norm_gradients", watched)
    calls.clear()
    assert_same_slopes(slopes(adapted, fused(adapted)), expected, torch.float32)
    assert {*calls} == ALL
    assert asked
    assert not any(asked)


@on_kernel
@pytest.mark.gpu
def test_a_norm_with_other_gradients_stays_as_it_is() -> None:
    class StraightRMSNorm(nn.Module):
        """Llama's, but its size counts for a constant."""

        def __init__(self, width: int):
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.ones(width)), 1e-6

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * (x * torch.rsqrt(x.detach().pow(2).mean(-1, keepdim=True) + self.eps))

    model = random_llama().to(DEVICE)  # type: ignore[arg-type]
    model.model.norm = StraightRMSNorm(16).to(DEVICE)  # type: ignore[assignment]
    with fused(model):
        assert "forward" not in vars(model.model.norm)
        assert parts(model) == ALL
    with torch.no_grad(), fused(model):
        assert "forward" in vars(model.model.norm)


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("prompts", [[[3, 4, 5, 6, 7]] * 4, [[3], [4, 5, 6], [7], [8]]], ids=["shared", "apart"])
@pytest.mark.parametrize("cast_to", [None, HALF], ids=str)
@pytest.mark.parametrize("family", ["llama", "gemma3", "qwen3"])
def test_training_reads_by_kernels(
    family: str,
    cast_to: torch.dtype | None,
    prompts: list[list[int]],
    calls: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Prompts that are read once and whole rows; the backward pass needs no block."""
    config, kind, replaced = FAMILIES[family]
    model = of_family(config, kind, torch.float32)
    batch = sequences(prompts, [[11, 12, 13], [14], [15, 16, 17, 18], [11, 12]], DEVICE)

    def read() -> tuple[Tensor, dict[str, Tensor]]:
        model.zero_grad()
        with casting(cast_to):
            hidden_BKH = trained_hidden(model, batch)
            log_probs_BK, _ = target_log_probs(model, hidden_BKH, batch, 0.7)
        ((log_probs_BK * batch.mask_BK).sum() / batch.mask_BK.sum()).backward()
        return log_probs_BK.detach(), {name: one.grad for name, one in model.named_parameters() if one.grad is not None}

    found, found_slopes = read()
    assert {*calls} == replaced
    with torch.no_grad(), casting(cast_to):
        calls.clear()
        hidden_BKH = trained_hidden(model, batch)
        assert {*calls} == replaced
        torch.testing.assert_close(target_log_probs(model, hidden_BKH, batch, 0.7)[0], found, rtol=1e-5, atol=1e-5)
    monkeypatch.setattr(fusing, "_on_gpu", lambda model: False)
    calls.clear()
    expected, expected_slopes = read()
    assert calls == []
    assert_close(found, expected, cast_to or torch.float32)
    assert_same_slopes(found_slopes, expected_slopes, cast_to or torch.float32)


# -- entering ----------------------------------------------------------------------------------------------------------


@on_kernel
@pytest.mark.gpu
def test_what_is_replaced_is_found_once_and_again_after_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    planned = fusing._planned

    def counted(model: Any) -> Any:
        made.append(model)
        return planned(model)

    monkeypatch.setattr(fusing, "_planned", counted)
    model: Any = random_llama(num_hidden_layers=2).to(DEVICE)  # type: ignore[arg-type]

    def found() -> int:
        with fused(model):
            assert "forward" in vars(model.model.layers[0].input_layernorm)
            return sum("forward" in vars(module) for module in model.modules())

    assert [found(), found()] == [7, 7]
    assert len(made) == 1
    with torch.no_grad():
        assert [found(), found()] == [7, 7]
    assert len(made) == 2
    hook = model.model.layers[1].mlp.act_fn.register_forward_hook(lambda module, given, made: made)
    assert found() == 6
    hook.remove()
    assert found() == 7
    with stacked(model, [Direction(0, 0.1)]), fused(model):
        pass
    assert found() == 7
    made.clear()
    model.to(HALF)
    assert [found(), found()] == [7, 7]
    assert len(made) == 1


@on_kernel
@pytest.mark.gpu
def test_what_is_kept_keeps_no_model_alive() -> None:
    model = random_llama().to(DEVICE)  # type: ignore[arg-type]
    with fused(model):
        pass
    kept, model = ref(model), None
    gc.collect()
    assert kept() is None


@on_kernel
@pytest.mark.gpu
def test_entering_again_is_quick() -> None:
    model = random_llama(num_hidden_layers=30).to(DEVICE)  # type: ignore[arg-type]
    seconds = []
    for _ in range(20):
        started = time.perf_counter()
        with fused(model):
            pass
        seconds.append(time.perf_counter() - started)
    assert min(seconds) < 1e-3
