"""What a response earns."""

from thicket.config.domain import TrainedDomain


def reward(earned: float, tokens: int, domain: TrainedDomain, overlong_cache: int = 0) -> float:
    """What the verdict earned, less the domain's length penalty and the punishment of overlong ones."""
    window = domain.window.response
    return earned - domain.length_penalty * tokens / window + overlong(tokens, window, overlong_cache)


def overlong(tokens: int, longest: int, cache: int) -> float:
    """DAPO's soft punishment (arXiv 2503.14476 eq. 13): 0 up to L_max − L_cache tokens, then linear to −1 at L_max."""
    if cache == 0 or tokens <= longest - cache:
        return 0.0
    return max(-1.0, (longest - cache - tokens) / cache)
