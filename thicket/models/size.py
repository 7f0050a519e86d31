"""How large a model is, as far as its cost goes: of a mixture's experts, those that the router picks for a token."""

from typing import Any

from torch import nn

from thicket.models.flops import EXPERTS


def active_parameters(model: nn.Module) -> int:
    """The parameters that a token meets, tied ones once."""
    share = active_share(model.config)
    sizes = ((name, parameter.numel()) for name, parameter in model.named_parameters())
    return round(sum(size * (share if is_expert(name) else 1.0) for name, size in sizes))


def active_share(config: Any) -> float:
    """The share of its experts that a token meets; 1 for a model without."""
    text = config.get_text_config()
    experts = next((count for name in EXPERTS if (count := getattr(text, name, None))), None)
    return text.num_experts_per_tok / experts if experts else 1.0


def is_expert(name: str) -> bool:
    """Whether a parameter belongs to one of the experts that are picked from."""
    return ".experts." in name
