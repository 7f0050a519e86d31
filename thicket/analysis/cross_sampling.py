"""Cross-sampling: how much of the gap between two models a few tokens carry (Sparse but Critical, arXiv 2603.22446).

Forward, the base answers and the other model draws where JS(π_base ‖ π_other) > ε; reverse, the other way round. A
control chooses as many positions by another score: at random, with the share that the threshold swapped, or where the
entropy or the log-ratio is above a cut. The cut leaves that share above it on the primary model's own responses to the
same items. Once tokens are swapped the positions are others, so every control's own share is measured beside it.
The log-ratio alone looks at the token that was drawn, and refuses what the intervening model finds unlikely (or
likelier): it samples from neither model, and may recover more than the gap.

Each response to an item takes the same draws under every rule. Legend: N items, G responses to an item, R resamples.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from thicket import ranks
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.config.analysis import CrossSampling
from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, ends, texts
from thicket.sampling.environment import Environment
from thicket.sampling.mixed import NEVER, Rule, Score, mix
from thicket.statistics.intervals import bootstrap_means

ROLES = {"forward": ("base", "other"), "reverse": ("other", "base")}
"""Direction → who answers, and who steps in."""
REPLICATES = 400
"""Resamples of the items for a recovered share (R)."""
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """A point of a curve: as many positions as the threshold swaps, chosen by divergence or by a control."""

    direction: str
    threshold: float
    by: Score

    @property
    def name(self) -> str:
        """`forward:0.1` by divergence, `forward:0.1:random` by a control."""
        return f"{self.direction}:{self.threshold:g}" + ("" if self.by == "divergence" else f":{self.by}")


@dataclass(frozen=True)
class Answers:
    """What G responses to each item come to."""

    samples: int
    """G."""
    correct_N: Counts
    tokens_N: Counts
    swapped_N: Counts
    """Tokens that the intervening model drew."""
    changed_N: Counts
    """Those of them that the primary model would have drawn otherwise."""

    @property
    def accuracy(self) -> float:
        return float(self.correct_N.mean()) / self.samples

    def share(self, part_N: Counts) -> float:
        """Of all tokens."""
        return float(part_N.sum() / self.tokens_N.sum())


Measured = Mapping[str, Mapping[str, Answers]]
"""Domain → `base` or `other`, alone, or the name of a way → answers."""


def analyze(config: CrossSampling, case: Case) -> Found:
    """Accuracies, swapped shares and recovered shares of every direction, threshold and control, domain by domain."""
    loaded = (subject.load(case.device) for subject in case.models)
    models: dict[str, Any] = dict(zip(("base", "other"), loaded, strict=True))
    ways = list(_ways(config))
    found: dict[str, dict[str, Answers]] = {}
    for place, environment in enumerate(case.environments):
        of_domain = found[environment.domain.name] = {}
        for name, answers in _answered(config, case, models, environment):
            of_domain[name] = answers
            done = place + len(of_domain) / (len(models) + len(ways))
            case.tell(done / len(case.environments), f"{environment.domain.name} {name} {answers.accuracy:.3f}")
    shares = {key: shares_R for way in ways for key, shares_R in _recovered(found, way, case.seed)}
    return Found(
        statistics=[
            statistic
            for domain, of_domain in found.items()
            for name, answers in of_domain.items()
            for statistic in _statistics(domain, name, answers)
        ],
        tables={"curves": [_row(domain, way, found[domain][way.name]) for domain in found for way in ways]},
        figures={
            "values": {key: float(shares_R[0]) for key, shares_R in shares.items()},
            "replicates": {key: shares_R[1:].tolist() for key, shares_R in shares.items()},
        },
    )


def _ways(config: CrossSampling) -> Iterator[Way]:
    scores: list[Score] = ["divergence", *config.controls]
    for direction in ROLES:
        for threshold in config.thresholds:
            yield from (Way(direction, threshold, by) for by in scores)


def _answered(
    config: CrossSampling, case: Case, models: Mapping[str, Any], environment: Environment
) -> Iterator[tuple[str, Answers]]:
    """The answers of each model alone and of each way, by name."""
    for direction, (primary, intervening) in ROLES.items():
        answer = partial(_answers, config, case, models[primary], models[intervening], environment)
        alone, scores = answer(NEVER)
        yield primary, alone
        for threshold in config.thresholds:
            critical, _ = answer(Rule("divergence", threshold))
            yield Way(direction, threshold, "divergence").name, critical
            share = critical.share(critical.swapped_N)
            for control in config.controls:
                # The random score is even between 0 and 1 wherever a response goes: its cut needs no responses.
                cut = 1 - share if control == "random" else cut_for(scores[control], share)
                yield Way(direction, threshold, control).name, answer(Rule(control, cut))[0]


def cut_for(scores_M: Tensor, share: float) -> float:
    """The cut above which this share of M scores lies, to the nearest whole number of them; fewer where scores tie.

    It is halfway to the next lower score, out of reach of the rounding by which another batch's scores differ.
    """
    above = round(share * len(scores_M))
    if above == 0:
        return math.inf
    if above == len(scores_M):
        return -math.inf
    return float(scores_M.sort(descending=True).values[above - 1 : above + 1].mean())


def _answers(
    config: CrossSampling, case: Case, primary: Any, intervening: Any, environment: Environment, rule: Rule
) -> tuple[Answers, Mapping[Score, Tensor]]:
    """The answers under a rule, and the scores of all their tokens."""
    work = partial(_of_items, config, case, primary, intervening, environment, rule)
    made = ranks.spread(range(len(environment.items)), work)
    by_item = torch.stack([counts for counts, _ in made], dim=1)
    scores: dict[Score, Tensor] = {kind: torch.cat([one[kind] for _, one in made]) for kind in made[0][1]}
    return Answers(config.samples, *by_item.numpy()), scores


def _of_items(
    config: CrossSampling,
    case: Case,
    primary: Any,
    intervening: Any,
    environment: Environment,
    rule: Rule,
    places: Sequence[int],
) -> list[tuple[Tensor, dict[Score, Tensor]]]:
    """Of each of these items: correct responses, tokens, those swapped and those changed; and its tokens' scores."""
    domain, tokenizer, samples = environment.domain, case.tokenizer, config.samples
    items = [environment.items[place] for place in places]
    prompts = [environment.prompts[place] for place in places]
    decoding = Decoding(config.temperature, top_p=config.top_p, most=domain.window.response)
    # One rule for all ways: an end that one of the models declares is an end of both.
    stops = ends([primary, intervening], environment.stop_ids)
    # The draws of an evaluation with this seed.
    of_items = [draws.key(case.seed, int(item.id, 16)) for item in items]
    keys_R = draws.keys_tensor([draws.key(key, g) for key in of_items for g in range(samples)], case.device)
    rows = Rows(prompts, [place for place in range(len(items)) for _ in range(samples)], case.batch)
    mixed = mix(primary, intervening, len(tokenizer), rows, keys_R, decoding, stops, rule)
    written_RT, said = mixed.written_RT, texts(mixed.decoded, tokenizer, domain.stop)
    parts = (written_RT, mixed.swapped_RT & written_RT, mixed.changed_RT & written_RT)
    counts = torch.stack([part_RT.sum(dim=1) for part_RT in parts]).cpu()
    answered = [(text, items[row // samples]) for row, text in enumerate(said)]
    correct_R = torch.tensor([verdict.correct for verdict in environment.judge(answered)], dtype=torch.long)
    by_item = torch.stack([correct_R, *counts]).unflatten(1, (len(items), samples)).sum(dim=2)
    ends_N = by_item[1].cumsum(dim=0).tolist()
    scores: dict[Score, Tensor] = {kind: scores_RT[written_RT].cpu() for kind, scores_RT in mixed.scores.items()}

    def of_item(place: int) -> tuple[Tensor, dict[Score, Tensor]]:
        """Copies: a view is handed round with all that it is a part of."""
        own = slice(ends_N[place - 1] if place else 0, ends_N[place])
        return by_item[:, place].clone(), {kind: scores_M[own].clone() for kind, scores_M in scores.items()}

    return list(map(of_item, range(len(items))))


def _statistics(domain: str, name: str, answers: Answers) -> Iterator[Statistic]:
    """Of a model alone, the accuracy; of a way, also how many tokens were swapped, and to what effect."""

    def of_items(kind: str, amounts_N: NDArray[Any], weights_N: Counts | None = None) -> Statistic:
        weights = None if weights_N is None else weights_N.tolist()
        return Statistic(f"{kind}:{name}", domain, "item", amounts_N.tolist(), weights)

    yield of_items("accuracy", answers.correct_N / answers.samples)
    if name not in ROLES["forward"]:
        yield of_items("swapped_share", answers.swapped_N, answers.tokens_N)
        yield of_items("swapped_tokens", answers.swapped_N / answers.samples)
        yield of_items("changed_share", answers.changed_N, answers.tokens_N)


def _row(domain: str, way: Way, answers: Answers) -> Row:
    return {
        "direction": way.direction,
        "threshold": way.threshold,
        "way": way.by,
        "domain": domain,
        "swapped_share": answers.share(answers.swapped_N),
        "swapped_tokens": float(answers.swapped_N.mean()) / answers.samples,
        "accuracy": answers.accuracy,
        "changed_share": answers.share(answers.changed_N),
    }


def _recovered(found: Measured, way: Way, seed: int) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """(accuracy − primary's) / (intervening's − primary's) in each domain, and of the sums over domains, by key.

    The first value is that of all items, and R of resampled ones follow; NaN where the two models are equal. Domains
    are resampled by draws of their own, and in a domain all ways by the same.
    """
    gained, gaps = [], []
    for place, (domain, answers) in enumerate(found.items()):
        stream = draws.key(seed, place)
        of_way, primary, intervening = (
            _with_replicates(answers[name].correct_N, stream) for name in (way.name, *ROLES[way.direction])
        )
        gained.append(of_way - primary)
        gaps.append(intervening - primary)
        yield f"recovered:{way.name}:{domain}", _ratio(gained[-1], gaps[-1])
    yield f"recovered:{way.name}:all", _ratio(sum(gained), sum(gaps))


def _with_replicates(correct_N: Counts, seed: int) -> NDArray[np.float64]:
    return np.concatenate([[correct_N.mean()], bootstrap_means(correct_N, REPLICATES, seed)])


def _ratio(above_R: Any, below_R: Any) -> NDArray[np.float64]:
    return np.divide(above_R, below_R, out=np.full_like(below_R, np.nan), where=below_R != 0)
