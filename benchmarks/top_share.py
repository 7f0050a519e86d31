"""What training on the tokens of the highest divergence alone saves: time of an update at share q over that at share 1.

    python benchmarks/top_share.py [--width 576 --layers 30 --vocabulary 49152 --rows 64 --tokens 256]

The defaults have SmolLM2-135M's shape and want a GPU. The divergences are a run's own, k3 against a policy that is one
step of noise away: they lie scattered, which is the worst case for what can be left out.
"""

import argparse
import statistics
import time
from types import MethodType
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import Grpo as Config
from thicket.config.policy_gradient import TopShare
from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows
from thicket.sampling.rollouts import sequences
from thicket.sampling.sampler import TorchSampler
from thicket.training.policy import Budget, PolicyTraining

SHARES = (1.0, 0.5, 0.2, 0.05)
PROMPT = 32
"""Tokens of each prompt."""


def training(model: Any, share: float, micro_batch: int) -> Any:
    """A training whose `_update` can be called outside of a Trainer."""
    top = TopShare(share=share)
    config = Config(
        type="grpo",
        prompts=2,
        group=2,
        updates=2,
        steps=1,
        top=top,
        optimizer=Optimizer(lr=1e-9),
        micro_batch=micro_batch,
    )
    module: Any = PolicyTraining(
        model, None, [], config, Grpo(config, lambda: model), Budget(steps=1), 0, TorchSampler(1)
    )
    optimizer = module.configure_optimizers()
    module.optimizers = MethodType(lambda self: optimizer, module)
    module.manual_backward = MethodType(lambda self, loss: loss.backward(), module)
    return module


def rows_of(arguments: argparse.Namespace, device: str) -> Rows:
    generator = torch.Generator().manual_seed(0)
    shape = (arguments.rows, PROMPT + arguments.tokens)
    ids = torch.randint(arguments.vocabulary, shape, generator=generator).tolist()
    batch = sequences([row[:PROMPT] for row in ids], [row[PROMPT:] for row in ids], device)
    mask_BK = batch.mask_BK
    noise_BK = torch.randn(mask_BK.shape, generator=generator).to(device)
    advantages_BK = torch.randn((arguments.rows, 1), generator=generator).to(device) * mask_BK
    longest_B = torch.full((arguments.rows,), arguments.tokens, device=device)
    domains = ["none"] * arguments.rows
    old_BK = -torch.full_like(mask_BK, 10.0) + noise_BK
    return Rows(batch, domains, advantages_BK[:, 0], longest_B, advantages_BK, old_BK)


def seconds(module: Any, rows: Rows, device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
        module._update(rows, 0)
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    """Prints a line for each share."""
    parser = argparse.ArgumentParser()
    for name, default in (("width", 576), ("layers", 30), ("vocabulary", 49152), ("rows", 64), ("tokens", 256)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--micro-batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    heads = max(1, arguments.width // 64)
    shape = LlamaConfig(
        vocab_size=arguments.vocabulary,
        hidden_size=arguments.width,
        intermediate_size=arguments.width * 8 // 3,
        num_hidden_layers=arguments.layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(shape).to(device)  # type: ignore[arg-type]
    rows = rows_of(arguments, device)
    print(f"{device}, {model.num_parameters():,} parameters, {arguments.rows} x {arguments.tokens} response tokens")
    times: dict[float, list[float]] = {share: [] for share in SHARES}
    for repeat in range(arguments.repeats + 1):
        for share in SHARES:
            taken = seconds(training(model, share, arguments.micro_batch), rows, device)
            if repeat:  # the first round warms up
                times[share].append(taken)
    whole = statistics.median(times[1.0])
    for share, taken in times.items():
        ratios = sorted(value / whole for value in taken)
        print(
            f"q = {share:<5} {statistics.median(taken):7.3f} s   ratio {statistics.median(ratios):.2f} "
            f"[{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        )


if __name__ == "__main__":
    main()
