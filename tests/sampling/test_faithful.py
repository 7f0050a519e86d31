"""Models from elsewhere whose head or cache is not what thicket takes them for are refused, and do no silent damage."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from test_decode import FAMILIES, PROMPTS, VOCABULARY, keys, rows_of
from transformers import AutoModelForCausalLM, LlamaConfig, MambaConfig, ModernBertDecoderConfig, PreTrainedModel

from thicket.config.base import FolderBase
from thicket.config.run import Trainer
from thicket.config.stages import BaseStage
from thicket.models.characters import character_tokenizer
from thicket.models.folder import save_model
from thicket.sampling import slots
from thicket.sampling.decode import Decoding, decode
from thicket.sampling.faithful import check_faithful
from thicket.stages.base import make_base
from thicket.stages.outcome import Places

TOKENIZER = character_tokenizer()
SHAPE: dict[str, Any] = {"vocab_size": VOCABULARY, "hidden_size": 32, "num_hidden_layers": 2}


def from_config(config: Any) -> PreTrainedModel:
    """Random weights; logits are spread out, so that another model's are another's."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(8)
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_what_thicket_runs_as_it_is_passes(family: str, capsys: pytest.CaptureFixture[str]) -> None:
    check_faithful(from_config(FAMILIES[family]), TOKENIZER, "base x")
    assert not capsys.readouterr().out


def test_a_head_that_is_more_than_its_last_layer_is_refused() -> None:
    config = ModernBertDecoderConfig(**SHAPE, num_attention_heads=4, intermediate_size=48, pad_token_id=0)
    wrong = r"base x: ModernBertDecoderForCausalLM: its logits are not those of its last layer alone"
    with pytest.raises(ValueError, match=wrong):
        check_faithful(from_config(config), TOKENIZER, "base x")


def test_a_cache_that_is_read_otherwise_than_the_model_does_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a window is that thicket would take from a config, and the family's layers don't have."""
    monkeypatch.setattr(slots, "window_of", lambda model: 3)
    with pytest.raises(ValueError, match="base x: LlamaForCausalLM: token by token it is not the model that it is for"):
        check_faithful(from_config(FAMILIES["llama"]), TOKENIZER, "base x")


def test_what_fails_token_by_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any, **__: Any) -> None:
        raise RuntimeError("16 is not 8")

    monkeypatch.setattr(slots.Reader, "read", failing)
    with pytest.raises(ValueError, match="base x: LlamaForCausalLM: token by token it can't be read: RuntimeError: 16"):
        check_faithful(from_config(FAMILIES["llama"]), TOKENIZER, "base x")


def test_what_can_not_be_decoded_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    """Another engine may write with it, and soups need no writing."""
    check_faithful(from_config(MambaConfig(**SHAPE, state_size=4, time_step_rank=4)), TOKENIZER, "base x")
    assert re.search(r"Note: base x: MambaForCausalLM: .* can't be decoded", capsys.readouterr().out)


def test_a_window_that_the_family_does_not_have_is_none() -> None:
    """A file's config may hold fields of another family, which mean nothing to the layers."""
    stray = LlamaConfig.from_dict({**FAMILIES["llama"].to_dict(), "sliding_window": 3})
    assert stray.sliding_window == 3  # type: ignore[attr-defined]
    written = [
        decode(model, rows_of(PROMPTS), keys(len(PROMPTS)), Decoding(1.0, most=12), stop_ids=[2])
        for model in (from_config(FAMILIES["llama"]), from_config(stray))
    ]
    assert torch.equal(written[0].tokens_RT, written[1].tokens_RT)
    assert torch.equal(written[0].log_probs_RT, written[1].log_probs_RT)


def test_a_base_is_looked_at_when_it_is_taken(tmp_path: Path) -> None:
    size: dict[str, Any] = {"num_attention_heads": 4, "intermediate_size": 48, "pad_token_id": 0}
    save_model(from_config(ModernBertDecoderConfig(**SHAPE, **size)), TOKENIZER, tmp_path / "given")
    base = FolderBase(type="folder", path="given", context=64)
    places = Places(*(tmp_path / name for name in (".", "models", "data", "out", "resume")))
    with pytest.raises(ValueError, match="base x: ModernBertDecoderForCausalLM: its logits are not those of its last"):
        make_base(BaseStage(name="x", seed=0, base=base, trainer=Trainer()), places)
    assert not (tmp_path / "out").exists()
