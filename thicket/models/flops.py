"""What a token costs, in floating-point operations a parameter (Kaplan et al. 2020, arXiv 2001.08361 §2.1)."""

FORWARD, BACKWARD = 2.0, 4.0
