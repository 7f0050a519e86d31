"""A language model in two halves: the trunk gives hidden states, the head gives logits of some of them.

Where logits are wanted at a few scattered positions, the head need not see the others.
"""

from typing import Any

from torch import Tensor

from thicket.models.products import cast_together
from thicket.ops.head import Head


def hidden_states(model: Any, ids_BL: Tensor, **given: Any) -> Tensor:
    """The trunk's last hidden states, hidden_BLH; a model with adapters as well. `given`: what the trunk takes besides,
    a cache say."""
    trunk = plain(model).base_model
    with cast_together(trunk):
        return trunk(input_ids=ids_BL, **{"use_cache": False, **given}).last_hidden_state


def head_of(model: Any) -> Head:
    """The last layer as weights and factors, which are the model's own."""
    bare = plain(model)
    layer, config = bare.get_output_embeddings(), bare.config.get_text_config()
    # None in some configs (MPT), for 1.
    scale = (getattr(config, "logit_scale", None) or 1.0) / (getattr(config, "logits_scaling", None) or 1.0)
    cap = getattr(config, "final_logit_softcapping", None)
    return Head(layer.weight, getattr(layer, "bias", None), scale, cap)


def head_logits(model: Any, hidden_NH: Tensor) -> Tensor:
    """The logits that the model itself would give for these hidden states, logits_NV.

    Some families scale logits (Cohere, Granite) or cap them softly (Gemma 2) after the head.
    """
    raw_NV = plain(model).get_output_embeddings()(hidden_NH)
    return head_of(model).logits(raw_NV)


def plain(model: Any) -> Any:
    """The model under peft's wrapper; its layers hold the adapters."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model
