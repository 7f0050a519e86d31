"""Log-probabilities and entropy of next-token distributions. Legend: B rows, T positions, V vocabulary."""

from torch import Tensor


def token_log_probs(log_probs_BTV: Tensor, tokens_BT: Tensor) -> Tensor:
    """log π(token), tokens_BT."""
    return log_probs_BTV.gather(-1, tokens_BT.unsqueeze(-1)).squeeze(-1)


def entropy(log_probs_BTV: Tensor) -> Tensor:
    """−Σ_v p log p in nats, entropy_BT."""
    return -(log_probs_BTV.exp() * log_probs_BTV).sum(dim=-1)
