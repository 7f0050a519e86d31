"""Where the time of a random search in the weights goes: perturbing, decoding, judging.

    python benchmarks/randopt.py --device cpu|cuda [--members 500 --items 200 --tokens 64 --batch 12800 --results FILE]

`cuda`: a Llama of SmolLM2-135M's shape under bfloat16 autocast, as a search runs it; `cpu`: a fiftieth of it. No
response ends early; the verdict is the exact comparison. At least nine tenths of the time in decoding are wanted. The
peer is what the papers' released code does for each member: a generator seeded anew for every parameter, `generate`,
and the noise subtracted again.
"""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from common import about, random_llama, save, spread, timed

from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.stacked import stacked
from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, decode

SHAPES = {"cpu": (8, 32, 16, 32), "cuda": (500, 200, 64, 12_800)}
"""Members, items, tokens of a response, responses at once."""
SMALL = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
SIGMA, PROMPT, GOAL = 1e-3, 32, 0.9


class Search:
    """A model, items, and the seconds of each phase."""

    def __init__(self, kind: str, members: int, items: int, tokens: int, batch: int, model: Any = None):
        shape = {} if kind == "cuda" else {**SMALL, "num_key_value_heads": 4, "vocab_size": 512}
        self.kind, self.members, self.tokens = kind, members, tokens
        self.model = random_llama(kind, torch.float32, **shape) if model is None else model
        generator = torch.Generator().manual_seed(0)
        self.prompts = torch.randint(self.model.config.vocab_size, (items, PROMPT), generator=generator).tolist()
        self.together, self.batch = max(1, batch // items) if kind == "cuda" else 1, batch
        self.seconds = {"perturb": 0.0, "decode": 0.0, "judge": 0.0}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        if self.kind == "cuda":
            torch.cuda.synchronize()
        self.seconds[name] += time.perf_counter() - started

    def thicket(self) -> None:
        neighbourhood = Neighbourhood(self.model)
        for start in range(0, self.members, self.together):
            directions = [
                Direction(draws.key(0, member) >> 1, SIGMA)
                for member in range(start, min(start + self.together, self.members))
            ]
            around = stacked(self.model, directions) if self.together > 1 else neighbourhood.at(*directions)
            with self.phase("perturb"):
                around.__enter__()
            with self.phase("decode"):
                lengths = self._decode(len(directions))
            with self.phase("perturb"):
                around.__exit__(None, None, None)
            with self.phase("judge"):
                assert int(lengths.sum()) == len(directions) * len(self.prompts) * self.tokens

    @torch.no_grad()
    def _decode(self, copies: int) -> torch.Tensor:
        count = copies * len(self.prompts)
        rows = Rows(self.prompts * copies, range(count), max(self.batch, copies), copies)
        keys = draws.keys_tensor([0] * count, self.kind)
        with torch.autocast(self.kind, torch.bfloat16, enabled=self.kind == "cuda", cache_enabled=False):
            return decode(self.model, rows, keys, Decoding(0.0, most=self.tokens), []).lengths_R

    @torch.no_grad()
    def peer(self, members: int) -> None:
        ids = torch.tensor(self.prompts, device=self.kind)
        half = torch.autocast(self.kind, torch.bfloat16, enabled=self.kind == "cuda")
        for member in range(members):
            self._add(member, SIGMA)
            with half:
                given = {"max_new_tokens": self.tokens, "do_sample": False, "pad_token_id": 0}
                self.model.generate(ids, attention_mask=torch.ones_like(ids), **given)
            self._add(member, -SIGMA)

    def _add(self, seed: int, scale: float) -> None:
        for parameter in self.model.parameters():
            generator = torch.Generator(self.kind).manual_seed(seed)
            parameter += scale * torch.randn(parameter.shape, generator=generator, device=self.kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=SHAPES, required=True)
    for name in ("members", "items", "tokens", "batch"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--peer-members", type=int, default=4, help="members that the peer's time is measured on")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    asked = (options.members, options.items, options.tokens, options.batch)
    members, items, tokens, batch = (one or usual for one, usual in zip(asked, SHAPES[options.device], strict=True))
    where = about()
    Search(options.device, min(members, 2), items, tokens, batch).thicket()  # warms up
    runs: list[dict[str, Any]] = []
    for _ in range(options.repeats):
        search = Search(options.device, members, items, tokens, batch)
        whole = timed(options.device, search.thicket)
        peer = timed(options.device, lambda search=search: search.peer(options.peer_members)) / options.peer_members
        runs.append({"seconds": whole, "a member": whole / members, "peer a member": peer, **search.seconds})
    for name in runs[0]:
        print(f"{name:14} {spread([run[name] for run in runs], '.4f')} s")
    print(f"share of decoding: {spread([run['decode'] / run['seconds'] for run in runs])}; {GOAL} is wanted")
    print(f"thicket / peer, a member: {spread([run['a member'] / run['peer a member'] for run in runs])}")
    shape = {"members": members, "items": items, "tokens": tokens, "batch": batch}
    save(options.results, {**where, **shape, "runs": runs})


if __name__ == "__main__":
    main()
