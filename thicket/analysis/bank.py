"""The bank: which items the neighbours of a model answer correctly, in every domain; asked once, and kept.

Neighbour n at a width σ is θ + σ ε(s_n). The seeds s_n are the same for every domain and every σ, so that domains and
widths are compared perturbation by perturbation. Answers are greedy. Legend: S widths, N perturbations, D domains,
I items, K neighbours, M of them asked in one pass.
"""

import fcntl
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray

from thicket import ranks
from thicket.analysis.case import Case
from thicket.config.analysis import Neighbours
from thicket.disk import replaced
from thicket.models.folder import weights_hash
from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.stacked import not_stackable, stacked
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.judging import judges_itself, with_judge
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler

NEIGHBOUR = 11
"""Stream of draws: the seeds of perturbations. Not a search's, whose candidates were chosen by their scores."""
FEWEST = 4
"""Neighbours from which on one pass for all is the faster one on a GPU (measured in `thicket.training.search`)."""
REPLICATES = 500
"""Bootstrap replicates over perturbations of what is no ratio of sums."""

Neighbour = tuple[Direction, ...]
"""Where a neighbour lies, from the model; nothing: the model itself."""
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bank:
    """Verdicts on the answers of a model and of its neighbours."""

    sigmas: Sequence[float]
    correct: Mapping[str, Bools]
    """Domain → correct_SNI."""
    own: Mapping[str, Bools]
    """Domain → own_I, of the model itself."""

    def counts_ND(self, place: int) -> NDArray[np.int64]:
        """Items that are answered correctly at the σ of this place."""
        return np.stack([correct_SNI[place].sum(axis=1) for correct_SNI in self.correct.values()], axis=1)

    def scores_ND(self, place: int) -> Floats:
        """Shares of the items that are answered correctly at the σ of this place."""
        return self.counts_ND(place) / np.array([own_I.size for own_I in self.own.values()])

    def more_ND(self, place: int) -> NDArray[np.int64]:
        """Items by which neighbours at the σ of this place beat the model."""
        return self.counts_ND(place) - np.array([int(own_I.sum()) for own_I in self.own.values()])


def make_bank(config: Neighbours, case: Case) -> Bank:
    """The bank of the case's model; what of it is in `case.scratch` is read, the rest is asked and kept there."""
    sigmas = list(dict.fromkeys(config.sigmas))
    around = [[(perturbation(case.seed, n, sigma),) for n in range(config.perturbations)] for sigma in sigmas]
    still, *moved = judged(case, [[()], *around])
    names = [asked.domain.name for asked in case.environments]
    own = {name: still[name][0] for name in names}
    return Bank(sigmas, {name: np.stack([block[name] for block in moved]) for name in names}, own)


def perturbation(seed: int, number: int, sigma: float) -> Direction:
    """The direction of a perturbation, the same at every σ."""
    return Direction(draws.key(seed, NEIGHBOUR, number) >> 1, sigma)


def at(name: str, sigma: float) -> str:
    """The name of what is measured at a σ: `mean_change@0.01`."""
    return f"{name}@{sigma:g}"


def judged(case: Case, blocks: Sequence[Sequence[Neighbour]]) -> list[dict[str, Bools]]:
    """For each block of neighbours, domain → correct_KI. A block is a file in `case.scratch`, kept when it is whole."""
    weights = weights_hash(case.models[0].folder)
    paths = [case.scratch / f"bank-{_key(case, weights, block)}.npz" for block in blocks]
    found = ranks.told([_read(path, case.environments) for path in paths])
    lacking = [place for place, one in enumerate(found) if one is None]
    if lacking:
        asking, total, done = _Asking(case), sum(len(blocks[place]) for place in lacking), 0
        for place in lacking:
            with _alone_at(paths[place]) if ranks.first() else nullcontext():
                # Another stage may have made it meanwhile.
                whole = ranks.told(_read(paths[place], case.environments) if ranks.first() else None)
                if whole is None:
                    parts: list[list[Bools]] = []
                    for part in asking.ask(blocks[place]):
                        parts.append(part)
                        so_far = done + sum(len(one[0]) for one in parts)
                        case.tell(so_far / total, f"{so_far} of {total} neighbours")
                    whole = _joined(case, parts)
                    if ranks.first():
                        _write(paths[place], whole)
            done += len(blocks[place])
            found[place] = whole
    return [one for one in found if one is not None]


def _joined(case: Case, parts: Sequence[Sequence[Bools]]) -> dict[str, Bools]:
    """The answers to parts of a block, as domain → correct_KI."""
    domains = zip(*parts, strict=True)
    return {one.domain.name: np.concatenate(correct) for one, correct in zip(case.environments, domains, strict=True)}


class _Asking:
    """The model, moved about, and its answers."""

    def __init__(self, case: Case):
        self.case, self.model = case, case.models[0].load(case.device)
        self.asked = [
            with_judge(one, self.model, case.tokenizer, TorchSampler(case.batch)) for one in case.environments
        ]
        self.neighbourhood = Neighbourhood(self.model)

    def ask(self, block: Sequence[Neighbour]) -> Iterator[list[Bools]]:
        """Up to M neighbours after another, each process so many at once: for each domain correct_MI."""
        count = self._together() if all(len(neighbour) == 1 for neighbour in block) else 1
        parts = [block[start : start + count] for start in range(0, len(block), count)]
        for start in range(0, len(parts), ranks.count()):
            yield from ranks.spread(parts[start : start + ranks.count()], self._asked)

    def _asked(self, parts: Sequence[Sequence[Neighbour]]) -> list[list[Bools]]:
        found: list[list[Bools]] = []
        for part in parts:
            with self._around(part):
                found.append([self._correct(asked, len(part)) for asked in self.asked])
        return found

    def _around(self, part: Sequence[Neighbour]) -> AbstractContextManager[None]:
        if len(part) == 1:
            return self.neighbourhood.at(*part[0])
        return stacked(self.model, [direction for (direction,) in part])

    def _correct(self, asked: Environment, copies: int) -> Bools:
        """correct_MI of the M neighbours that the model is."""
        decoding = Decoding(0.0, most=asked.domain.window.response)
        requests = [Request(prompt, key=0) for prompt in asked.prompts] * copies  # Greedy decoding draws nothing.
        stops, stop = asked.stop_ids, asked.domain.stop
        sampler = TorchSampler(self.case.batch)
        groups = sampler.respond(self.model, self.case.tokenizer, requests, decoding, stops, stop, copies)
        answered = [(response.text, item) for (response,), item in zip(groups, asked.items * copies, strict=True)]
        return np.array([verdict.correct for verdict in asked.judge(answered)], dtype=bool).reshape(copies, -1)

    def _together(self) -> int:
        """M: as many as the batch and half of a GPU's memory hold; 1 on a CPU, and where a model can't be stacked."""
        if self.case.device != "cuda" or not_stackable(self.model) or any(map(judges_itself, self.asked)):
            return 1
        weights = sum(parameter.numel() * parameter.element_size() for parameter in self.model.parameters())
        room = torch.cuda.get_device_properties(self.model.device).total_memory // (2 * weights) - 2
        most = min(room, self.case.batch // max(len(asked.items) for asked in self.asked))
        return most if most >= FEWEST else 1


def _key(case: Case, weights: str, block: Sequence[Neighbour]) -> str:
    """A hash of all that the verdicts depend on."""
    neighbours = [[(direction.seed, direction.weight) for direction in neighbour] for neighbour in block]
    domains = [
        [one.domain.model_dump(), _judge(one), one.stop_ids, one.prompts, [asdict(item) for item in one.items]]
        for one in case.environments
    ]
    text = json.dumps([weights, neighbours, domains], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _judge(asked: Environment) -> str | None:
    """Hash of the weights that judge, where a model of its own does."""
    judge = getattr(asked.domain.verifier, "judge", None)
    return weights_hash(Path(judge.folder)) if judge and judge.folder else None


def _read(path: Path, environments: Sequence[Environment]) -> dict[str, Bools] | None:
    """What `_write` wrote; None where there is no such file, or a broken one."""
    try:
        # Opened here: of a broken file numpy would leave its own handle open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            return {one.domain.name: held[_member(one.domain.name)] for one in environments}
    except (OSError, EOFError, ValueError, KeyError, BadZipFile):
        return None


def _write(path: Path, correct: Mapping[str, Bools]) -> None:
    """A file that is whole or not there."""
    with replaced(path, shared=True) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **{_member(name): correct_KI for name, correct_KI in correct.items()})  # type: ignore[arg-type]


@contextmanager
def _alone_at(path: Path) -> Iterator[None]:
    """Analyses that run side by side ask a block once: others wait, and find what the first has kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _member(domain: str) -> str:
    """In the file: a domain may be called what an argument of numpy is."""
    return f"correct {domain}"
