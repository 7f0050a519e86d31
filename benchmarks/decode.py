"""Tokens a second of the decode loop, beside transformers' `generate` in the same run and the memory's own limit.

    python benchmarks/decode.py --device cpu|cuda [--rows 256 --tokens 256 --prompt 128 --repeats 5 --results FILE]

A Llama of SmolLM2-135M's shape, random weights in bfloat16, a prompt a row, temperature 1. `whole`: no response ends
before its last token. `ending`: a token ends its response with a chance of one in a sixth of the longest, as answers do
that are shorter than their window; only tokens up to the end count. Ways take turns; medians, with their range. The
limit is the time to read weights, keys and values once a token, at the speed of a copy in memory.
"""

import argparse
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from common import about, random_llama, save, timed
from torch import Tensor

from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, decode

SHAPES = {"cpu": (32, 48, 32), "cuda": (256, 256, 128)}
"""Rows, tokens and prompt where nothing else is asked for."""
COPIED = 2**28
"""Bytes of the copy that says how fast memory is."""
Way = Callable[[], Tensor]
"""Writes all rows; the length of each."""


class Case:
    """Prompts, and which tokens end a response."""

    def __init__(self, kind: str, rows: int, tokens: int, prompt: int):
        self.model = random_llama(kind, torch.bfloat16)
        draw = random.Random(0)
        self.kind, self.tokens, self.words = kind, tokens, self.model.config.vocab_size
        self.prompts = [[draw.randrange(self.words) for _ in range(prompt)] for _ in range(rows)]

    def ends(self, name: str) -> list[int]:
        """Random weights draw words about evenly, so that a share of the words is a share of the draws."""
        return [] if name == "whole" else list(range(6 * self.words // self.tokens))

    def limit(self) -> float:
        """Tokens a second at which weights, keys and values are just read, with all rows at their mean length."""
        config, rows = self.model.config, len(self.prompts)
        weights = sum(parameter.nbytes for parameter in self.model.parameters())
        kept = 2 * config.num_key_value_heads * (config.hidden_size // config.num_attention_heads) * 2
        read = rows * (len(self.prompts[0]) + self.tokens / 2) * config.num_hidden_layers * kept
        return rows / ((weights + read) / bandwidth(self.kind))


def bandwidth(kind: str) -> float:
    """Bytes a second of a copy, read and written."""
    source = torch.empty(COPIED, dtype=torch.uint8, device=kind).zero_()
    target = torch.empty_like(source)
    return 2 * COPIED / min(timed(kind, lambda: target.copy_(source)) for _ in range(10))


def thicket(case: Case, ends: list[int]) -> Way:
    keys = draws.keys_tensor([draws.key(0, row) for row in range(len(case.prompts))], case.kind)
    rows = Rows(case.prompts, range(len(case.prompts)), len(case.prompts))
    return lambda: decode(case.model, rows, keys, Decoding(1.0, most=case.tokens), ends).lengths_R


def generate(case: Case, ends: list[int], **given: Any) -> Way:
    ids = torch.tensor(case.prompts, device=case.kind)
    given |= {"max_new_tokens": case.tokens, "do_sample": True, "top_k": 0, "pad_token_id": 0}

    def run() -> Tensor:
        made = case.model.generate(ids, attention_mask=torch.ones_like(ids), eos_token_id=ends or None, **given)
        return lengths(made[:, ids.shape[1] :], ends)

    return run


def lengths(tokens_RT: Tensor, ends: list[int]) -> Tensor:
    """Tokens of each row up to the first that ends it."""
    ending_RT = torch.isin(tokens_RT, torch.tensor(ends, device=tokens_RT.device))
    first_R = ending_RT.int().argmax(dim=1) + 1
    return torch.where(ending_RT.any(dim=1), first_R, tokens_RT.shape[1])


def measure(case: Case, name: str, repeats: int) -> dict[str, Any]:
    ends = case.ends(name)
    ways = {"thicket": thicket(case, ends), "generate": generate(case, ends)}
    ways["generate, static"] = generate(case, ends, cache_implementation="static")
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for repeat in range(-1, repeats):  # the first one warms up
        for way, run in ways.items():
            made: list[Tensor] = []
            seconds = timed(case.kind, lambda run=run, made=made: made.append(run()))
            if repeat >= 0:
                found[way].append((seconds, float(made[0].sum())))
    return {way: summary(runs) for way, runs in found.items()}


def summary(runs: list[tuple[float, float]]) -> dict[str, Any]:
    speeds = [tokens / seconds for seconds, tokens in runs]
    seconds = [seconds for seconds, _ in runs]
    return {
        "tokens a second": statistics.median(speeds),
        "range": [min(speeds), max(speeds)],
        "seconds": statistics.median(seconds),
        "tokens": statistics.mean(tokens for _, tokens in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=SHAPES, required=True)
    for name, what in (("rows", "responses at once"), ("tokens", "of each, at most"), ("prompt", "tokens of a prompt")):
        parser.add_argument(f"--{name}", type=int, help=what)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    transformers.logging.set_verbosity_error()
    given = zip((options.rows, options.tokens, options.prompt), SHAPES[options.device], strict=True)
    rows, tokens, prompt = (asked or usual for asked, usual in given)
    case = Case(options.device, rows, tokens, prompt)
    where = {**about(), "shape": f"{rows} rows, prompt {prompt}, at most {tokens} tokens"}
    print(where["shape"])
    result: dict[str, Any] = {**where, "limit": case.limit()}
    print(f"limit of the memory, whole: {result['limit']:.0f} tokens a second")
    print("responses  way                tokens/s  range              seconds    tokens  of thicket's")
    for name in ("whole", "ending"):
        result[name] = found = measure(case, name, options.repeats)
        for way, of in found.items():
            low, high = of["range"]
            share = of["tokens a second"] / found["thicket"]["tokens a second"]
            print(
                f"{name:10} {way:17} {of['tokens a second']:9.0f}  {f'{low:.0f}–{high:.0f}':17} {of['seconds']:8.2f} "
                f"{of['tokens']:9.0f}  {share:.3f}"
            )
    save(options.results, result)


if __name__ == "__main__":
    main()
