"""A language model in two halves: the trunk gives hidden states, the head gives logits of some of them.

Where logits are wanted at a few scattered positions, the head need not see the others.
"""

from typing import Any

from torch import Tensor


def hidden_states(model: Any, ids_BL: Tensor) -> Tensor:
    """The trunk's last hidden states, hidden_BLH; a model with adapters as well."""
    return _plain(model).base_model(input_ids=ids_BL, use_cache=False).last_hidden_state


def head_logits(model: Any, hidden_NH: Tensor) -> Tensor:
    """The logits that the model itself would give for these hidden states, logits_NV.

    Some families scale logits (Cohere, Granite) or cap them softly (Gemma 2) after the head.
    """
    plain = _plain(model)
    config = plain.config.get_text_config()
    logits_NV = plain.get_output_embeddings()(hidden_NH)
    logits_NV = logits_NV * getattr(config, "logit_scale", 1.0) / getattr(config, "logits_scaling", 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return logits_NV if cap is None else (logits_NV / cap).tanh() * cap


def _plain(model: Any) -> Any:
    """The model under peft's wrapper; its layers hold the adapters."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
