"""What the benchmarks share: a model's shape, clocks, and where a figure comes from."""

import importlib.metadata
import json
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from thicket.stages.machine import commit, device

ROOT = Path(__file__).parents[1]
SMOLLM2: dict[str, Any] = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "tie_word_embeddings": True,
}
"""The shape of SmolLM2-135M."""
QWEN_1_5B: dict[str, Any] = {
    "vocab_size": 151_936,
    "hidden_size": 1536,
    "intermediate_size": 8960,
    "num_hidden_layers": 28,
    "num_attention_heads": 12,
    "num_key_value_heads": 2,
}
"""Qwen2.5-1.5B's, where it is another."""


def random_llama(kind: str, dtype: torch.dtype, seed: int = 0, **shape: Any) -> Any:
    """A Llama of SmolLM2-135M's shape, or another, with random weights, that declares no end of a text."""
    torch.manual_seed(seed)
    model: Any = LlamaForCausalLM(LlamaConfig(**{**SMOLLM2, **shape})).to(kind, dtype).eval()  # type: ignore[arg-type]
    model.generation_config.eos_token_id = model.config.eos_token_id = None
    return model


def timed(kind: str, work: Callable[[], Any]) -> float:
    """Seconds of some work, the GPU's own included."""
    if kind == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if kind == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def taking_turns(kind: str, ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of each way's repeats, after one to warm up; the ways take turns."""
    found: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(-1, repeats):
        for name, work in ways.items():
            seconds = timed(kind, work)
            if repeat >= 0:
                found[name].append(seconds)
    return found


def spread(values: Sequence[float], form: str = ".3f") -> str:
    """Median and range, as text."""
    return f"{statistics.median(values):{form}} [{min(values):{form}}, {max(values):{form}}]"


def about(*packages: str) -> dict[str, str]:
    """The command, the commit, the machine and versions, which are printed too; of whole paths, their names alone."""
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", *packages)}
    given = [Path(one).name if one.startswith("/") else one for one in sys.argv]
    found = {"command": shlex.join(["python", *given]), "commit": str(commit(ROOT)), "machine": device(), **versions}
    print("\n".join(f"{name}: {value}" for name, value in found.items()))
    return found


def save(results: Path | None, found: dict[str, Any]) -> None:
    """Writes the figures where that is asked for."""
    if results is not None:
        results.parent.mkdir(parents=True, exist_ok=True)
        results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
