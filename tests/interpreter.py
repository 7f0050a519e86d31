"""Kernels in Triton's interpreter, wherever Triton is installed: a file's GPU tests in a process of its own.

A file of such tests has a test that calls `passes_interpreted`, and marks its others `gpu` and `on_kernel`. Those with
"captured" in their names want a GPU.
"""

import os
import subprocess
import sys

import pytest
import torch

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
TYPES = [torch.float32, torch.float16] if INTERPRETED else [torch.float32, torch.float16, torch.bfloat16]
"""The interpreter cuts what it makes bfloat16 of, where a GPU rounds to the nearest."""
on_kernel = pytest.mark.skipif(not INTERPRETED and not torch.cuda.is_available(), reason="wants CUDA")
outside = pytest.mark.skipif(INTERPRETED, reason="is what runs")


def passes_interpreted(file: str) -> None:
    """In a process of its own: Triton decides when it is imported whether it interprets."""
    pytest.importorskip("triton", "3.7", reason="older interpreters can't count a loop with NumPy's newer versions")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    chosen = [file, "-m", "gpu", "-k", "not captured"]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *chosen]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
    assert "skipped" not in ran.stdout
