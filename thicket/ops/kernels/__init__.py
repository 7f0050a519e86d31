"""Kernels in Triton, for CUDA. Each has a twin in plain torch that it is tested against."""
