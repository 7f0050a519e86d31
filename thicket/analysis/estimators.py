"""How far cheaper estimates of reverse KL's gradient are from that of the whole vocabulary, and how noisy they are.

The student answers each prompt once (or `samples` times), and every estimate is of the same responses: the gradient, on
the student's weights, of Σ_t of the token's loss (`thicket.ops.distillation`). `full_vocab` is exact; `sampled_token`
draws the token anew at every position from the student, its prefix fixed; `top_k` has the tail as one bucket; `top1`
takes the teacher's likeliest token as the label. The last two have no noise of their own, and a bias.

Variances are those of one prompt's gradient, E|g − E g|² over |E g|²: a batch of n prompts has an n-th. By the law of
total variance the sampled token's is that of the whole vocabulary over prompts, which is the floor, and the noise of
its draws. Gradients are sketches (`thicket.analysis.gradients`), of which the mean over draws is kept for each prompt.
Legend: N prompts, T tokens of a prompt's responses, V vocabulary, M numbers of a sketch, R resamples.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thicket import ranks
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.gradients import SKETCH, Reader, Reading
from thicket.analysis.sampled import plain, sampled
from thicket.config.analysis import Estimators
from thicket.domains.item import Item
from thicket.ops import distillation, draws
from thicket.ops.sampling import inverse_cdf
from thicket.sampling.environment import Environment
from thicket.sampling.rollouts import Response
from thicket.statistics.gradient_moments import quotient, squared_norm, variance
from thicket.statistics.resamples import resamples, whole

RESPONSES, TOKENS = 32, 33
"""Streams of draws: the student's responses, and the tokens that are drawn anew along them."""
REPLICATES = 400
"""Bootstrap resamples of each domain's prompts."""
UNTOLD = 1e-12
"""KL in nats a token below which student and teacher are one model, and nothing is relative to their gradient. (Equal
ones have exactly 0; in float64 rounding gives less than this to any.)"""
FULL, DRAWN = "full_vocab", "sampled_token"
ESTIMATORS = (FULL, "top_k", "top1", DRAWN)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """What an estimator makes of each prompt."""

    means_NM: Floats
    """Sketches of the mean over draws."""
    squares_N: Floats
    """Mean over draws of the squared length."""
    draws: int = 1

    @cached_property
    def products_NN(self) -> Floats:
        return self.means_NM @ self.means_NM.T

    @cached_property
    def noise_N(self) -> Floats:
        """E|g − E g|² over draws, without bias; 0 where there is one for all."""
        surplus_N = self.squares_N - self.products_NN.diagonal()
        return surplus_N * (self.draws / (self.draws - 1)) if self.draws > 1 else np.zeros(len(surplus_N))


@dataclass(frozen=True)
class Domain:
    """The estimates of a domain's prompts."""

    name: str
    estimates: Mapping[str, Estimate]
    kl_N: Floats
    """Sum over a prompt's tokens."""
    tokens_N: Floats
    times_RN: Floats
    """How often a resample holds each prompt; the first is the sample itself."""

    @property
    def told(self) -> bool:
        """Whether the teacher differs from the student."""
        return float(self.kl_N.sum() / self.tokens_N.sum()) > UNTOLD

    @property
    def full(self) -> Estimate:
        return self.estimates[FULL]


def analyze(config: Estimators, case: Case) -> Found:
    """Figures `variance`, `noise` (of draws alone), `bias` (|ḡ − ḡ_full| / |ḡ_full|) and `cosine`, both of the batch of
    all prompts and, of the sampled token, of the mean over its draws, for `ESTIMATOR:DOMAIN`; `bias_noise` is the bias
    that draws alone would give on average."""
    readers = [Reader(one.load(case.device), len(case.tokenizer), case.seed) for one in case.models]
    found = [_domain(config, case, readers[0], readers[1], place) for place in range(len(case.environments))]
    figures = {key: values_R for one in found for key, values_R in _figures(one)}
    return Found(
        [statistic for one in found for statistic in _statistics(one)],
        {"estimators": [row for one in found for row in _rows(one, figures)]},
        {
            "values": {key: _number(values_R[0]) for key, values_R in figures.items()},
            "replicates": {key: [_number(value) for value in values_R[1:]] for key, values_R in figures.items()},
        },
    )


def _domain(config: Estimators, case: Case, student: Reader, teacher: Reader, place: int) -> Domain:
    environment, prompts = case.environments[place], list[_Prompt]()
    name, count = environment.domain.name, len(environment.items)
    for one in _prompts(config, case, student, teacher, environment):
        prompts.append(one)
        done = (place + len(prompts) / count) / len(case.environments)
        case.tell(done, f"{name} KL {sum(each.kl for each in prompts) / sum(each.tokens for each in prompts):.4f}")
    estimates = {
        estimator: Estimate(
            torch.stack([one.means[estimator] for one in prompts]).double().numpy(),
            np.array([one.squares[estimator] for one in prompts]),
            config.resamples if estimator == DRAWN else 1,
        )
        for estimator in ESTIMATORS
    }
    times_RN = np.concatenate([whole(count), resamples(count, REPLICATES, [draws.key(case.seed, place)])])
    kl_N, tokens_N = (np.array([getattr(one, key) for one in prompts], dtype=np.float64) for key in ("kl", "tokens"))
    return Domain(name, estimates, kl_N, tokens_N, times_RN)


@dataclass
class _Prompt:
    """The gradients of one prompt, by estimator."""

    tokens: int
    kl: float = 0.0
    """Sum over the tokens."""
    means: dict[str, Tensor] = field(default_factory=dict)
    """Sketches_M of the mean over draws."""
    squares: dict[str, float] = field(default_factory=dict)
    """Mean over draws of the squared length."""

    def take(self, estimator: str, sketches: Iterable[Tensor]) -> None:
        """One sketch for each draw."""
        total_M, square, count = torch.zeros(SKETCH, dtype=torch.float64), 0.0, 0
        for sketch_M in sketches:
            total_M += sketch_M
            square += float(sketch_M.double().square().sum())
            count += 1
        self.means[estimator], self.squares[estimator] = total_M / count, square / count


def _prompts(
    config: Estimators, case: Case, student: Reader, teacher: Reader, environment: Environment
) -> Iterator[_Prompt]:
    groups = sampled(case, student.model, environment, plain(environment), config.samples, RESPONSES)
    asked = list(zip(environment.items, environment.prompts, groups, strict=True))
    one = partial(_prompt, config, case, student, teacher)
    for start in range(0, len(asked), ranks.count()):
        yield from ranks.spread(asked[start : start + ranks.count()], lambda mine: [one(*each) for each in mine])


def _prompt(
    config: Estimators,
    case: Case,
    student: Reader,
    teacher: Reader,
    item: Item,
    prompt: list[int],
    group: Sequence[Response],
) -> _Prompt:
    responses = [response.tokens for response in group]
    reading = student.read(prompt, responses)
    with torch.no_grad():
        judged = teacher.read(prompt, responses)
    gradient = partial(_gradient, student, reading, teacher, judged)
    made = _Prompt(len(reading.tokens_N))
    exact_M, kl_T = gradient(distillation.reverse_kl, reading.tokens_N)
    made.kl = float(kl_T.sum())
    made.take(FULL, [exact_M])
    for name, loss in (("top_k", distillation.top_k_with_tail(config.k)), ("top1", distillation.top1)):
        made.take(name, [gradient(loss, reading.tokens_N)[0]])
    drawn = _drawn(student, reading, draws.key(case.seed, TOKENS, int(item.id, 16)), config.resamples)
    made.take(DRAWN, (gradient(distillation.sampled_token(None), tokens_T)[0] for tokens_T in drawn))
    return made


def _gradient(
    student: Reader, reading: Reading, teacher: Reader, judged: Reading, loss: distillation.Loss, tokens_T: Tensor
) -> tuple[Tensor, Tensor]:
    """The sketch of Σ_t loss_t's gradient, and loss_T."""
    alone_1 = torch.ones(1, dtype=torch.float64, device=tokens_T.device)

    def objective(log_p_TV: Tensor, part: slice) -> Tensor:
        with torch.no_grad():
            log_q_1TV = teacher.log_probs(judged.hidden_NH[part]).unsqueeze(0)
        return loss(log_p_TV, log_q_1TV, alone_1, tokens_T[part])

    return student.gradient(reading, objective)


@torch.no_grad()
def _drawn(student: Reader, reading: Reading, key: int, resamples: int) -> list[Tensor]:
    """Tokens_T from the student's distributions at the positions of its responses, as often as is asked."""
    places_T = torch.arange(len(reading.tokens_N), device=reading.tokens_N.device)
    keys_T = draws.mixed(places_T ^ draws.signed(key))
    parts = list[Tensor]()
    for part in student.chunks(len(places_T)):
        log_p_TV = student.log_probs(reading.hidden_NH[part])
        each = [inverse_cdf(log_p_TV, draws.uniform(keys_T[part], step)) for step in range(resamples)]
        parts.append(torch.stack(each))
    return list(torch.cat(parts, dim=1))


def _figures(one: Domain) -> Iterator[tuple[str, Floats]]:
    """Of the sample, and of its resamples; NaN where they are not defined."""
    full, times_RN = one.full, one.times_RN
    exact_R = squared_norm(full.products_NN, times_RN)
    for name, estimate in one.estimates.items():
        # The sampled token's mean is that of the whole vocabulary, which is known better.
        squared_R = exact_R if name == DRAWN else squared_norm(estimate.products_NN, times_RN)
        spread_R = variance(estimate.squares_N, squared_norm(estimate.products_NN, times_RN), times_RN)
        given = {"variance": quotient(spread_R, squared_R)}
        if name == DRAWN:
            given["noise"] = quotient(times_RN @ estimate.noise_N / times_RN.sum(axis=1), exact_R)
        if name != FULL:
            away_NM = estimate.means_NM - full.means_NM
            length_R, own_R = (_length(each.products_NN, times_RN) for each in (full, estimate))
            given["bias"] = quotient(_length(away_NM @ away_NM.T, times_RN), length_R)
            along_R = _within(estimate.means_NM @ full.means_NM.T, times_RN)
            given["cosine"] = quotient(along_R, length_R * own_R)
            if name == DRAWN:
                chance_R = np.sqrt(times_RN**2 @ np.maximum(estimate.noise_N, 0) / estimate.draws)
                given["bias_noise"] = quotient(chance_R, length_R)
        for kind, values_R in given.items():
            yield f"{kind}:{name}:{one.name}", values_R if one.told else np.full(len(times_RN), np.nan)


def _within(products_NN: Floats, times_RN: Floats) -> Floats:
    """Of the batch that a resample is: ⟨Σ g, Σ h⟩."""
    return ((times_RN @ products_NN) * times_RN).sum(axis=1)


def _length(products_NN: Floats, times_RN: Floats) -> Floats:
    return np.sqrt(np.maximum(_within(products_NN, times_RN), 0.0))


def _statistics(one: Domain) -> Iterator[Statistic]:
    """Over prompts: `kl` a token; `token_noise`, the draws' variance over the squared length of the exact gradient;
    `item_bias`, the distance from that gradient over its length. Without weights where the models are equal."""
    yield Statistic("kl", one.name, "item", one.kl_N.tolist(), one.tokens_N.tolist())
    known = float(one.told)
    squares_N = one.full.products_NN.diagonal() * known
    noise_N = one.estimates[DRAWN].noise_N * known
    yield Statistic("token_noise", one.name, "item", noise_N.tolist(), squares_N.tolist(), of=DRAWN)
    for name, estimate in one.estimates.items():
        if name not in (FULL, DRAWN):
            away_N = np.linalg.norm(estimate.means_NM - one.full.means_NM, axis=1) * known
            yield Statistic("item_bias", one.name, "item", away_N.tolist(), np.sqrt(squares_N).tolist(), of=name)


def _rows(one: Domain, figures: Mapping[str, Floats]) -> Iterator[Row]:
    for name in one.estimates:
        row: dict[str, float | int | str | None] = {"domain": one.name, "estimator": name, "items": len(one.kl_N)}
        for kind in ("variance", "noise", "bias", "bias_noise", "cosine"):
            values_R = figures.get(f"{kind}:{name}:{one.name}")
            row[kind] = None if values_R is None else _number(values_R[0])
        yield row


def _number(value: Any) -> float | None:
    """None for what is not defined."""
    return float(value) if np.isfinite(value) else None
