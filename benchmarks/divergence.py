"""Tokens a second at which two models' divergences are measured, beside the bare forward passes of the two.

    python benchmarks/divergence.py --device cpu|cuda [--tokens 1000000 --repeats 3 --results FILE]

Two Llamas of SmolLM2-135M's shape in bfloat16 read the same responses: 64 tokens after a prompt of 64, four to a
prompt. `measure` is what the analysis does: JS, both KL, entropies, ranks and top-k overlaps at every response token,
on a GPU by a kernel that goes over the logits twice.
The floor is what no measurement can do without: both models' trunks over whole rows, and both heads over the response
tokens. At least half of the floor's speed is wanted.
"""

import argparse
import random
import statistics
from pathlib import Path
from typing import Any

import torch
from common import about, random_llama, save, spread, taking_turns

from thicket.analysis.positions import Written, chunk_of, measure
from thicket.models.head import head_logits, hidden_states

TOKENS = {"cpu": 2_048, "cuda": 1_000_000}
PROMPT, RESPONSE, SAMPLES, BATCH, CANDIDATES = 64, 64, 4, 256, 8
GOAL = 0.5


def responses(tokens: int, words: int) -> list[Written]:
    draw = random.Random(0)

    def text(length: int) -> list[int]:
        return [draw.randrange(words) for _ in range(length)]

    prompts = [text(PROMPT) for _ in range(max(1, tokens // (RESPONSE * SAMPLES)))]
    return [Written(place, prompt, text(RESPONSE)) for place, prompt in enumerate(prompts) for _ in range(SAMPLES)]


@torch.no_grad()
def floor(models: list[Any], written: list[Written], kind: str) -> None:
    """Trunks over whole rows, heads over the response tokens, as many at a time as the analysis takes."""
    for start in range(0, len(written), BATCH):
        ids_BL = torch.tensor([one.prompt + one.tokens for one in written[start : start + BATCH]], device=kind)
        for model in models:
            hidden_NH = hidden_states(model, ids_BL)[:, PROMPT - 1 : -1].flatten(0, 1)
            for part_NH in hidden_NH.split(chunk_of(kind, model.config.vocab_size)):
                head_logits(model, part_NH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=TOKENS, required=True)
    parser.add_argument("--tokens", type=int, help="response tokens")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    kind, where = options.device, about()
    base, other = (random_llama(kind, torch.bfloat16, seed) for seed in (0, 1))
    words = base.config.vocab_size
    written = responses(options.tokens or TOKENS[kind], words)
    count = sum(len(one.tokens) for one in written)
    ways = {
        "measure": lambda: measure(base, other, written, words, CANDIDATES, BATCH),
        "floor": lambda: floor([base, other], written, kind),
    }
    found = taking_turns(kind, ways, options.repeats)
    for name, seconds in found.items():
        print(f"{name:8} {spread(seconds)} s, {count / statistics.median(seconds):.0f} tokens/s of {count}")
    shares = [base / own for base, own in zip(found["floor"], found["measure"], strict=True)]
    print(f"speed of `measure` in that of the floor: {spread(shares)}; at least {GOAL} is wanted")
    save(options.results, {**where, "tokens": count, "seconds": found, "shares": shares})


if __name__ == "__main__":
    main()
