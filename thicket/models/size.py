"""How large a model is, as far as its cost goes."""

from typing import Any

from torch import nn


def active_parameters(model: nn.Module) -> int:
    """The parameters that a token meets, tied ones once: of a mixture's experts, those that the router picks."""
    config: Any = model.config
    text: Any = config.get_text_config()
    experts = getattr(text, "num_experts", None) or getattr(text, "num_local_experts", None)
    share = text.num_experts_per_tok / experts if experts else 1.0
    return round(
        sum(parameter.numel() * (share if ".experts." in name else 1.0) for name, parameter in model.named_parameters())
    )
