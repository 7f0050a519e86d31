"""The last layer of a language model: hidden states to logits."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Head:
    """logits = cap·tanh(scale·(W h + b)/cap); without a cap scale·(W h + b)."""

    weight_VH: Tensor
    bias_V: Tensor | None = None
    scale: float = 1.0
    """Cohere and Granite scale their logits."""
    cap: float | None = None
    """Gemma 2 caps them softly."""

    def tempered(self, temperature: float) -> "Head":
        """The head whose logits are those of this one over a temperature."""
        cap = None if self.cap is None else self.cap / temperature
        return replace(self, scale=self.scale / temperature, cap=cap)

    def raw(self, hidden_NH: Tensor, out_NV: Tensor | None = None) -> Tensor:
        """W h + b, raw_NV: products in the precision that is given, sums in float32 at least."""
        weight_HV = self.weight_VH.to(hidden_NH.dtype).t()
        if hidden_NH.is_cuda and hidden_NH.dtype in (torch.bfloat16, torch.float16):
            raw_NV = torch.mm(hidden_NH, weight_HV, out_dtype=torch.float32, out=out_NV)
        else:
            exact = torch.promote_types(hidden_NH.dtype, torch.float32)
            raw_NV = torch.mm(hidden_NH.to(exact), weight_HV.to(exact), out=out_NV)
        return raw_NV if self.bias_V is None else raw_NV.add_(self.bias_V)

    def logits(self, raw_NV: Tensor) -> Tensor:
        """What the model makes of `raw`."""
        scaled_NV = raw_NV if self.scale == 1 else raw_NV * self.scale
        return scaled_NV if self.cap is None else (scaled_NV / self.cap).tanh() * self.cap


def in_precision(hidden_NH: Tensor, head: Head) -> tuple[Tensor, Head]:
    """Both in the precision of matrix products, which is autocast's where it is on, and without gradients."""
    kind = hidden_NH.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden_NH.dtype
    bias_V = None if head.bias_V is None else head.bias_V.detach()
    return hidden_NH.detach().to(dtype), replace(head, weight_VH=head.weight_VH.detach().to(dtype), bias_V=bias_V)
