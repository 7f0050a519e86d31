"""Barriers on the lines between models, and how their weights differ from their base (Frankle 2020; Fort 2019).

The first model is the base; each is compared with each other. On a line the model is αW₁ + (1−α)W₂, and its error is
1 − the mean score on the items: the same ones at every α, with the same draws. There are two barriers:

- the largest error above the chord αE₁ + (1−α)E₂ over the inner α, for verdicts. It is the largest of several noisy
  values and so too high on average: of two equally good models it is above 0 by chance alone;
- the error above the chord half-way (`barrier_mid`), which is one value and has no such bias.

A control asks whether a direction matters: the base is moved in random directions by as much as a model was, parameter
by parameter.

Legend: A points of a line, I items, R resamples.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.lines import MIDDLE, Asked, Asking, Pair, alphas
from thicket.analysis.weights import ALL, Change, changes, defined, grouped, opened
from thicket.config.analysis import Connectivity
from thicket.ops import draws
from thicket.statistics.barriers import barrier, barrier_above_mean, mean_scores
from thicket.statistics.resamples import resamples, whole

REPLICATES = 500
"""Resamples of the items for a barrier (R)."""
RANDOM, BOOTSTRAP = 12, 13
"""Streams of draws: random directions, and resamples."""
BARRIERS = ("chord", "above_mean")
Floats = NDArray[np.float64]


def analyze(config: Connectivity, case: Case) -> Found:
    """Raises: ValueError where models have not the same tensors, which names both."""
    seeds = [draws.key(case.seed, RANDOM, number) for number in range(config.random_directions)]
    with opened(case.models) as weights:
        changed = changes(weights, seeds, case.device, lambda share: case.tell(0.0, f"weights {share:.0%}"))
        asked = Asking(config, case, weights).ask(changed, seeds)
    names = [subject.name for subject in case.models]
    lines = list(_lines(config, case, names, asked))
    of_weights = _weights(names, changed, config.random_directions)
    return Found(
        statistics=[*_of_models(case, names, asked), *_of_pairs(config, case, names, asked)],
        tables={
            "lines": [row for line in lines for row in line.rows],
            "controls": _controls(case, names, asked, grouped(changed)[ALL, ALL]),
            **of_weights.tables,
        },
        figures={"barriers": _barriers(lines), **_replicates(lines), **of_weights.figures},
    )


# -- Statistics --------------------------------------------------------------------------------------------------------


def _of_models(case: Case, names: Sequence[str], asked: Asked) -> Iterator[Statistic]:
    """By domain and model: `score`, and `random_score`, the mean over the random directions of its length."""
    for place, environment in enumerate(case.environments):
        domain = environment.domain.name
        for model, name in enumerate(names):
            yield Statistic("score", domain, "item", asked.own[model][place].scores_I.tolist(), of=name)
            there = [scores[place] for (of, _), scores in asked.beside.items() if of == model]
            if there:
                yield Statistic("random_score", domain, "item", np.mean(there, axis=0).tolist(), of=name)


def _of_pairs(config: Connectivity, case: Case, names: Sequence[str], asked: Asked) -> Iterator[Statistic]:
    """By domain and pair `first~second`:

    `barrier_mid`: the error above the chord half-way. `disagreement_verdict` and `disagreement_text`: the share of
    items whose greedy answers differ in their verdict, and in their text.
    """
    middle = alphas(config.points).index(MIDDLE)
    for place, environment in enumerate(case.environments):
        domain = environment.domain.name
        for pair, line in asked.lines.items():
            scores_AI, (one, other) = line[place], (asked.greedy[model][place] for model in pair)
            texts = [a != b for a, b in zip(one.texts, other.texts, strict=True)]
            amounts: dict[str, list[float]] = {
                "barrier_mid": ((scores_AI[0] + scores_AI[-1]) / 2 - scores_AI[middle]).tolist(),
                "disagreement_verdict": np.abs(one.scores_I - other.scores_I).tolist(),
                "disagreement_text": list(map(float, texts)),
            }
            for name, amounts_I in amounts.items():
                yield Statistic(name, domain, "item", amounts_I, of=_named(names, pair))


def _named(names: Sequence[str], pair: Pair) -> str:
    return f"{names[pair[0]]}~{names[pair[1]]}"


@dataclass(frozen=True)
class _Line:
    """A pair's line on a domain."""

    pair: str
    domain: str
    alphas: Sequence[float]
    scores_AI: Floats
    seed: Sequence[int]
    """Of the resamples of this domain's items, the same for every pair."""

    @property
    def rows(self) -> list[Row]:
        means_A = self.scores_AI.mean(axis=1).tolist()
        points = zip(self.alphas, means_A, strict=True)
        return [{"pair": self.pair, "domain": self.domain, "alpha": alpha, "score": mean} for alpha, mean in points]

    @cached_property
    def means_1A(self) -> Floats:
        return mean_scores(self.scores_AI, whole(self.scores_AI.shape[1]))

    @property
    def value(self) -> float:
        return float(barrier(self.means_1A, self.alphas)[0])

    @property
    def above_mean(self) -> float:
        return float(barrier_above_mean(self.means_1A)[0])

    @cached_property
    def replicates_R(self) -> Floats:
        times_RI = resamples(self.scores_AI.shape[1], REPLICATES, self.seed)
        return barrier(mean_scores(self.scores_AI, times_RI), self.alphas)


def _lines(config: Connectivity, case: Case, names: Sequence[str], asked: Asked) -> Iterator[_Line]:
    for pair, line in asked.lines.items():
        for place, environment in enumerate(case.environments):
            seed = [case.seed, BOOTSTRAP, place]
            yield _Line(_named(names, pair), environment.domain.name, alphas(config.points), line[place], seed)


def _by_pair(lines: Sequence[_Line]) -> dict[str, list[_Line]]:
    return {pair: [line for line in lines if line.pair == pair] for pair in dict.fromkeys(line.pair for line in lines)}


def _barriers(lines: Sequence[_Line]) -> dict[str, Any]:
    """Pair → domain, or `all` for their mean → `chord` and Frankle's `above_mean`."""
    found: dict[str, Any] = {}
    for pair, own in _by_pair(lines).items():
        found[pair] = {line.domain: {"chord": line.value, "above_mean": line.above_mean} for line in own}
        found[pair][ALL] = {kind: float(np.mean([one[kind] for one in found[pair].values()])) for kind in BARRIERS}
    return found


def _replicates(lines: Sequence[_Line]) -> dict[str, Any]:
    """The barrier above the chord, `barrier:PAIR:DOMAIN` and `barrier:PAIR:all`, with the same of every resample."""
    values, replicates = dict[str, float](), dict[str, list[float]]()
    for pair, own in _by_pair(lines).items():
        for line in own:
            values[f"barrier:{pair}:{line.domain}"] = line.value
            replicates[f"barrier:{pair}:{line.domain}"] = line.replicates_R.tolist()
        values[f"barrier:{pair}:{ALL}"] = float(np.mean([line.value for line in own]))
        replicates[f"barrier:{pair}:{ALL}"] = np.mean([line.replicates_R for line in own], axis=0).tolist()
    return {"values": values, "replicates": replicates}


# -- Weights -----------------------------------------------------------------------------------------------------------


def _weights(names: Sequence[str], changed: Mapping[str, Change], directions: int) -> Found:
    """Tables and figures of the differences from the base, by layer and kind; `all` where these are taken together."""
    groups, moved = grouped(changed), names[1:]
    deltas: list[Row] = [
        {
            "model": name,
            "layer": layer,
            "kind": kind,
            "norm": float(change.norms_M[place]),
            "relative_norm": defined(change.relative_M[place]),
            "unchanged_share": float(change.unchanged_share_M[place]),
        }
        for place, name in enumerate(moved)
        for (layer, kind), change in groups.items()
    ]
    cosines: list[Row] = [
        {"a": moved[a], "b": moved[b], "layer": layer, "kind": kind, "cosine": defined(change.cosines_MM[a, b])}
        for a, b in combinations(range(len(moved)), 2)
        for (layer, kind), change in groups.items()
    ]
    whole_change = groups[ALL, ALL]
    figures: dict[str, Any] = {
        "cosines": {f"{row['a']}~{row['b']}": row["cosine"] for row in cosines if row["layer"] == row["kind"] == ALL},
        "deltas": {row["model"]: dict(row) for row in deltas if row["layer"] == row["kind"] == ALL},
    }
    if directions:
        figures["random_cosines"] = {
            name: {
                "cosines": [defined(cosine) for cosine in whole_change.random_cosines_MR[place]],
                "deviation": defined(whole_change.random_deviation_M[place]),
            }
            for place, name in enumerate(moved)
        }
    return Found([], {"deltas": deltas, "cosines": cosines}, figures)


def _controls(case: Case, names: Sequence[str], asked: Asked, change: Change) -> list[Row]:
    """Scores and cosines of the random directions."""
    return [
        {
            "model": names[model],
            "direction": number,
            "domain": environment.domain.name,
            "score": float(scores[place].mean()),
            "cosine": defined(change.random_cosines_MR[model - 1, number]),
        }
        for (model, number), scores in asked.beside.items()
        for place, environment in enumerate(case.environments)
    ]
