"""What a token costs, in floating-point operations a parameter (Kaplan et al. 2020, arXiv 2001.08361 §2.1)."""

FORWARD, BACKWARD = 2.0, 4.0
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
"""How families of models name, in their config, the number of experts in a layer; a token meets some of them."""
