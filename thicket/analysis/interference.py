"""Whether domains' policy gradients pull a model's weights the same way.

A prompt's gradient is that of the expected reward: (1/G) Σ_g (1/|y_g|) Σ_t Â_g ∇log π(y_t), Â = R − mean over the
prompt's G responses, R = 1 where the response is correct, else 0. It is GRPO's (arXiv 2402.03300) where π_θ = π_old,
without the division by the standard deviation and without a length penalty.

With few prompts a gradient is mostly noise, and two gradients of one domain already have a low cosine: the ceiling. Let
ḡ be a domain's mean gradient over an H-th of its N prompts. `raw` is the cosine of ḡ of two domains, `within` that of
two disjoint parts of one domain, √(within_a·within_b) the ceiling, and raw over the ceiling the corrected cosine, which
is that of the expected gradients. All are averages over all ways to choose the parts, in closed form: products of
different prompts alone, |ḡ|² = |E g|² + variance·H/N. Legend: N prompts, R resamples.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from thicket import ranks
from thicket.analysis.case import Case, Subject
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.gradients import SKETCH, Reader, Reading
from thicket.analysis.sampled import judged, plain, sampled
from thicket.config.analysis import Interference
from thicket.ops import draws
from thicket.ops.log_probs import token_log_probs
from thicket.ops.policy_gradient import centred_advantages, sequence_mean_weights
from thicket.sampling.environment import Environment
from thicket.statistics.gradient_moments import part_norm, product, quotient, squared_norm, variance
from thicket.statistics.resamples import resamples, whole

RESPONSES = 31
"""Stream of draws: the responses."""
REPLICATES = 400
"""Bootstrap resamples of each domain's prompts."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Gradients:
    """A domain's gradients at a model, and the resamples of its prompts."""

    domain: str
    ids: Sequence[str]
    """Of the items."""
    sketches_NM: Floats
    correct_NG: NDArray[np.bool_]
    times_RN: Floats
    """How often a resample holds each prompt; the first is the sample itself."""

    @cached_property
    def products_NN(self) -> Floats:
        return self.sketches_NM @ self.sketches_NM.T

    @cached_property
    def squared_R(self) -> Floats:
        """|E g|²."""
        return squared_norm(self.products_NN, self.times_RN)

    @cached_property
    def variance_R(self) -> Floats:
        return variance(self.products_NN.diagonal(), self.squared_R, self.times_RN)

    def norm_R(self, halves: int) -> Floats:
        """Of the mean gradient over one of so many parts."""
        return part_norm(self.squared_R, self.variance_R, len(self.ids) / halves)

    def within_R(self, halves: int) -> Floats:
        """The cosine of two parts' gradients."""
        return quotient(self.squared_R, self.norm_R(halves) ** 2)

    @property
    def useful_N(self) -> NDArray[np.bool_]:
        """Whether a prompt's responses differ in reward: the others have no gradient."""
        rate_N = self.correct_NG.mean(axis=1)
        return (rate_N > 0) & (rate_N < 1)


@dataclass(frozen=True)
class Pair:
    """Two domains at a model; the first of each R is the value, the others are replicates."""

    name: str
    """`a~b`."""
    raw_R: Floats
    ceiling_R: Floats
    corrected_R: Floats


def analyze(config: Interference, case: Case) -> Found:
    """Figures: `cosine`, `corrected` and `ceiling` for `MODEL:a~b` and, as means over pairs, `MODEL:mean`; `within` and
    `norm` (√|E g|², 0 where noise is larger) for `MODEL:a`."""
    statistics, cosines, gradients = list[Statistic](), list[Row](), list[Row]()
    figures = dict[str, Floats]()
    for place, subject in enumerate(case.models):
        found = list[Gradients]()
        for number, one in enumerate(_gradients(config, case, subject)):
            found.append(one)
            done = (place + (number + 1) / len(case.environments)) / len(case.models)
            case.tell(done, f"{subject.name} {one.domain} useful {one.useful_N.mean():.2f}")
        pairs = [pair(one, other, config.halves) for one, other in combinations(found, 2)]
        statistics += [made for one in found for made in _statistics(subject.name, one)]
        cosines += [_cosine_row(subject.name, one) for one in pairs]
        gradients += [_gradient_row(subject.name, one, config.halves) for one in found]
        for name, values_R in _figures(found, pairs, config.halves):
            kind, about = name.split(":", 1)
            figures[f"{kind}:{subject.name}:{about}"] = values_R
    return Found(
        statistics,
        tables={"cosines": cosines, "gradients": gradients},
        figures={
            "values": {key: _number(values_R[0]) for key, values_R in figures.items()},
            "replicates": {key: [_number(value) for value in values_R[1:]] for key, values_R in figures.items()},
        },
    )


def pair(one: Gradients, other: Gradients, halves: int) -> Pair:
    """The cosines of two domains' gradients; prompts that both have are not compared with themselves."""
    same_AB = np.array(one.ids)[:, None] == np.array(other.ids)[None]
    between_R = product(one.sketches_NM @ other.sketches_NM.T, one.times_RN, other.times_RN, same_AB)
    raw_R = quotient(between_R, one.norm_R(halves) * other.norm_R(halves))
    # A domain whose parts do not agree has no direction that another's could agree with.
    ceiling_R = np.sqrt(np.maximum(one.within_R(halves), 0) * np.maximum(other.within_R(halves), 0))
    return Pair(f"{one.domain}~{other.domain}", raw_R, ceiling_R, quotient(raw_R, ceiling_R))


def _gradients(config: Interference, case: Case, subject: Subject) -> Iterator[Gradients]:
    """Domain by domain."""
    model = subject.load(case.device)
    reader = Reader(model, len(case.tokenizer), case.seed)
    for place, environment in enumerate(case.environments):
        groups = sampled(case, model, environment, plain(environment), config.group, RESPONSES)
        correct_NG = judged(case, model, environment, groups)
        said = ([response.tokens for response in group] for group in groups)
        asked = list(zip(environment.prompts, said, correct_NG, strict=True))
        sketches = ranks.spread(asked, lambda mine: [_prompt(reader, *one) for one in mine])
        yield Gradients(
            domain=environment.domain.name,
            ids=[item.id for item in environment.items],
            sketches_NM=torch.stack(sketches).double().numpy(),
            correct_NG=correct_NG,
            times_RN=_times(environment, draws.key(case.seed, place)),
        )


def _times(environment: Environment, seed: int) -> Floats:
    """The same for every model; domains are resampled independently."""
    count = len(environment.items)
    return np.concatenate([whole(count), resamples(count, REPLICATES, [seed])])


def _prompt(
    reader: Reader, prompt: list[int], responses: list[list[int]], correct_G: NDArray[np.bool_]
) -> torch.Tensor:
    """The sketch of a prompt's gradient; of equal rewards it is 0, and nothing is read."""
    if correct_G.all() or not correct_G.any():
        return torch.zeros(SKETCH)
    reading = reader.read(prompt, responses)
    rewards_1G = torch.tensor(correct_G, dtype=torch.float64, device=reading.tokens_N.device).unsqueeze(0)
    weights_N = _weights(reading, centred_advantages(rewards_1G)[0])

    def objective(log_probs_NV: torch.Tensor, part: slice) -> torch.Tensor:
        return weights_N[part] * token_log_probs(log_probs_NV, reading.tokens_N[part])

    return reader.gradient(reading, objective)[0]


def _weights(reading: Reading, advantages_B: torch.Tensor) -> torch.Tensor:
    """Of each token: its response's advantage, over the response's length and the number of responses."""
    mask_BK = reading.mask_BK
    return (advantages_B.unsqueeze(1) * sequence_mean_weights(mask_BK))[mask_BK.bool()]


def _statistics(model: str, found: Gradients) -> Iterator[Statistic]:
    yield Statistic("reward", found.domain, "item", found.correct_NG.mean(axis=1).tolist(), of=model)
    yield Statistic("useful", found.domain, "item", found.useful_N.astype(float).tolist(), of=model)


def _figures(found: Sequence[Gradients], pairs: Sequence[Pair], halves: int) -> Iterator[tuple[str, Floats]]:
    for one in found:
        yield f"within:{one.domain}", one.within_R(halves)
        yield f"norm:{one.domain}", np.sqrt(np.maximum(one.squared_R, 0.0))
    for one in pairs:
        yield f"cosine:{one.name}", one.raw_R
        yield f"ceiling:{one.name}", one.ceiling_R
        yield f"corrected:{one.name}", one.corrected_R
    if pairs:
        raw_R, ceiling_R = _mean([one.raw_R for one in pairs]), _mean([one.ceiling_R for one in pairs])
        yield "cosine:mean", raw_R
        yield "ceiling:mean", ceiling_R
        # A mean of the pairs' quotients would be that of the noisiest pair.
        yield "corrected:mean", quotient(raw_R, ceiling_R)


def _mean(values: Sequence[Floats]) -> Floats:
    """Over the pairs that have a value, in each resample."""
    stacked, known = np.stack(values), np.isfinite(values)
    return quotient(np.where(known, stacked, 0.0).sum(axis=0), known.sum(axis=0).astype(float))


def _cosine_row(model: str, one: Pair) -> Row:
    a, b = one.name.split("~")
    values = {"raw": one.raw_R, "corrected": one.corrected_R, "ceiling": one.ceiling_R}
    return {"model": model, "a": a, "b": b, **{name: _number(value_R[0]) for name, value_R in values.items()}}


def _gradient_row(model: str, one: Gradients, halves: int) -> Row:
    """`noise`: the variance of a prompt's gradient over |E g|²."""
    return {
        "model": model,
        "domain": one.domain,
        "items": len(one.ids),
        "reward": float(one.correct_NG.mean()),
        "useful": float(one.useful_N.mean()),
        "norm": _number(np.sqrt(max(one.squared_R[0], 0.0))),
        "noise": _number(quotient(one.variance_R[:1], one.squared_R[:1])[0]),
        "within": _number(one.within_R(halves)[0]),
    }


def _number(value: Any) -> float | None:
    """None for what is not defined."""
    return float(value) if np.isfinite(value) else None
