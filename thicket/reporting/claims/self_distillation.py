"""Claims on self-distillation and on the base as the product (sections 3 and 4)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from thicket.config.stages import ReportedModel
from thicket.reporting.claims.claim import Claim, Measured
from thicket.reporting.claims.evidence import RL, AnalysisResult, Evidence
from thicket.reporting.claims.geometry import at_stages, density
from thicket.statistics.resampled import CORRELATION, Resampled, along, least, mean, most

HALF = 0.5


def _specialists(evidence: Evidence, **wanted: object) -> Iterator[tuple[int, list[ReportedModel]]]:
    """Specialists of each seed from the base that most of them start from."""
    for seed, found in evidence.by_seed(evidence.select(kind="specialist", **wanted)):
        roots = [evidence.root_of(one.name) for one in found]
        usual = max(roots, key=roots.count)
        yield seed, [one for one, root in zip(found, roots, strict=True) if root == usual]


def _gains(evidence: Evidence, models: list[ReportedModel]) -> Resampled:
    return mean([evidence.own_gain(one) for one in models])


def _improves(method: str) -> Callable[[Evidence], Iterator[Measured]]:
    def measure(evidence: Evidence) -> Iterator[Measured]:
        for seed, found in _specialists(evidence, method=method):
            gain = _gains(evidence, found)
            yield Measured(seed, gain, None, gain)

    return measure


def _hard(evidence: Evidence) -> Iterator[Measured]:
    for seed in evidence.seeds:
        looks = [look for look in evidence.of_type("self_distillation") if look.seed == seed]
        hard = [figure for look in looks if (figure := look.statistic("gain_hard")) is not None]
        easy = [figure for look in looks if (figure := look.statistic("gain_easy")) is not None]
        if hard and easy:
            yield Measured(seed, mean(hard), mean(easy), mean(hard) - mean(easy))


def _by_base(evidence: Evidence, models: list[ReportedModel]) -> list[tuple[str, list[ReportedModel]]]:
    """Models by the base that they go back to, bases of one pretraining, the smallest first."""
    ordered = evidence.one_recipe([evidence.root_of(one.name) for one in models])
    return [(root, [one for one in models if evidence.root_of(one.name) == root]) for root in ordered]


def _grows(evidence: Evidence) -> Iterator[Measured]:
    for seed, found in evidence.by_seed(evidence.select(kind="specialist", method="ssd")):
        bases = _by_base(evidence, found)
        if len({evidence.size(base) for base, _ in bases}) > 1:
            large, small = _gains(evidence, bases[-1][1]), _gains(evidence, bases[0][1])
            yield Measured(seed, large, small, large - small)


def _specialises(evidence: Evidence) -> Iterator[Measured]:
    """On the smallest base: better on its own domain, worse on the others."""
    for seed, found in evidence.by_seed(evidence.select(kind="specialist", method="ssd")):
        bases = _by_base(evidence, found)
        small = bases[0][1] if bases else []
        elsewhere = [gain for one in small if (gain := evidence.gain_elsewhere(one)) is not None]
        if elsewhere:
            own, other = _gains(evidence, small), mean(elsewhere)
            yield Measured(seed, own, other, {"own": own, "elsewhere": -other})


def _direction(evidence: Evidence) -> Iterator[Measured]:
    """The degraded run keeps half of the gain or more."""
    hot = dict(_specialists(evidence, method="ssd-hot"))
    for seed, found in _specialists(evidence, method="ssd"):
        both = {one.domain for one in found} & {one.domain for one in hot.get(seed, [])}
        if both:
            gain, degraded = (
                _gains(evidence, [one for one in models if one.domain in both]) for models in (found, hot[seed])
            )
            yield Measured(seed, degraded, gain, degraded - HALF * gain)


def _predicts(evidence: Evidence) -> Iterator[Measured]:
    """Rank correlation, over bases and domains, of density with the gain by self-distillation."""
    for seed in evidence.seeds:
        pairs = list[tuple[Resampled, Resampled]]()
        for look in (one for one in evidence.of_type("density") if one.seed == seed):
            (base,) = look.made.models
            for model in evidence.select(kind="specialist", method="ssd", seed=seed):
                shares = [look.share(name, model.domain) for name in look.names("density_gt_0@")]
                known = [share for share in shares if share is not None]
                if known and evidence.root_of(model.name) == base:
                    pairs.append((mean(known), evidence.own_gain(model)))
        if len(pairs) > 3:
            found = _rank_correlation([pair[0] for pair in pairs], [pair[1] for pair in pairs])
            yield Measured(seed, found, None, found)


def _rank_correlation(one: list[Resampled], other: list[Resampled]) -> Resampled:
    """Spearman's, of the values and of each resample; ties share their ranks."""
    values = _spearman(np.array([[part.value] for part in one]), np.array([[part.value] for part in other]))
    draws_R = _spearman(np.stack([part.draws_R for part in one]), np.stack([part.draws_R for part in other]))
    return Resampled(float(values[0]), draws_R, CORRELATION)


def _spearman(one_NR: np.ndarray, other_NR: np.ndarray) -> np.ndarray:
    ranks = [_ranks(part) for part in (one_NR, other_NR)]
    centred = [part - part.mean(axis=0) for part in ranks]
    scale = np.sqrt((centred[0] ** 2).sum(axis=0) * (centred[1] ** 2).sum(axis=0))
    product = (centred[0] * centred[1]).sum(axis=0)
    return np.divide(product, scale, out=np.full(product.shape, np.nan), where=scale > 0)


def _ranks(values_NR: np.ndarray) -> np.ndarray:
    """Mid-ranks down each column."""
    below = (values_NR[:, None] > values_NR[None]).sum(axis=1)
    equal = (values_NR[:, None] == values_NR[None]).sum(axis=1)
    return below + (equal - 1) / 2


def _better_base(evidence: Evidence) -> Iterator[Measured]:
    """Most against least pretraining, at one size: density, and the gain of every method that both have."""
    for seed, stages in at_stages(evidence, density):
        if len(stages) < 2:
            continue
        (early, sparse), (late, dense) = stages[0], stages[-1]
        effects = {"density": dense - sparse}
        for method in ("ssd", "grpo", "randopt"):
            own = [
                [one for one in evidence.select(kind="specialist", method=method, seed=seed) if one.base == base]
                for base in (early, late)
            ]
            if own[0] and own[1]:
                effects[method] = _gains(evidence, own[1]) - _gains(evidence, own[0])
        if len(effects) > 1:
            yield Measured(seed, dense, sparse, effects)


@dataclass(frozen=True)
class _Way:
    """The base, and models that one way has made of it."""

    scores: list[Resampled]
    """On the domain."""
    kl: list[Resampled]
    """To the base, on the domain, nats a token."""
    forgotten: list[Resampled]
    """Mean loss on the other domains."""


def _amplifies(evidence: Evidence) -> Iterator[Measured]:
    """At an equal score on the domain the model by sft has gone further from its base, and forgotten more."""
    for seed in evidence.seeds:
        looks = [look for look in evidence.of_type("scalpel") if look.seed == seed]
        pairs = [(_way(evidence, look, RL), _way(evidence, look, ("sft",))) for look in looks]
        found = [_at_equal_score(*pair) for pair in pairs if pair[0].kl[1:] and pair[1].kl[1:]]
        if found:
            own, other, *more = (mean([one[place] for one in found]) for place in range(4))
            yield Measured(seed, own, other, dict(zip(("KL", "forgetting"), more, strict=True)))


def _way(evidence: Evidence, look: AnalysisResult, types: tuple[str, ...]) -> _Way:
    """The models of an analysis that are by some types of method; such as have no value are left out."""
    (base, *others), domain = look.made.models, look.result["domains"][0]
    others = sorted(others, key=evidence.own_flops)
    points = [(look.share("score", domain, base), evidence.constant(0.0), evidence.constant(0.0))]
    for name in (other for other in others if evidence.models[other].type in types):
        kl, forgotten = look.statistic("kl_model_base", domain, name), look.statistic("forgetting", of=name)
        if kl is not None and forgotten is not None:
            points.append((look.share("score", domain, name), kl, forgotten))
    whole = [(score, kl, forgotten) for score, kl, forgotten in points if score is not None]
    return _Way(*([point[place] for point in whole] for place in range(3)))


def _at_equal_score(reinforced: _Way, imitated: _Way) -> tuple[Resampled, Resampled, Resampled, Resampled]:
    """KL of either at the score that both reach, and what sft has more of that and of forgetting.

    From the base on, each goes along straight lines from model to model of its way in the order of their training.
    """
    reached = least(most(*reinforced.scores), most(*imitated.scores))
    kl, other_kl = (along(way.scores, way.kl, reached) for way in (reinforced, imitated))
    lost, other_lost = (along(way.scores, way.forgotten, reached) for way in (reinforced, imitated))
    return kl, other_kl, other_kl - kl, other_lost - lost


SSD = "Qwen3-4B and 30B-Instruct on LiveCodeBench; experiment `paper/ssd`"
SIZES = "specialists by ssd from bases of several sizes"
CLAIMS = (
    Claim(
        name="ssd-improves",
        statement="Self-distillation improves a domain with no reward",
        figure="LiveCodeBench v6: 42.4 to 55.3 (30B), 34.0 to 41.5 (4B) (arXiv 2604.01193)",
        value="gain in pass@1 on the domain of its samples",
        control="0",
        rule="above 0",
        needs="specialists by ssd",
        decides=SSD,
        measure=_improves("ssd"),
    ),
    Claim(
        name="ssd-hard-items",
        statement="Self-distillation improves hard items most",
        figure="+15.3 hard, +14.2 medium, +6.5 easy (arXiv 2604.01193)",
        value="gain on the harder half of the items, told by other samples of the base",
        control="gain on the easier half",
        rule="above it",
        needs="an analysis `self_distillation` of a base and a specialist by ssd",
        decides=SSD,
        measure=_hard,
    ),
    Claim(
        name="ssd-degraded",
        statement="Self-distillation improves even with degraded samples",
        figure="T 2.0 without truncation, 62 % without code: 42.4 to 48.1 (arXiv 2604.01193)",
        value="gain of specialists by ssd-hot",
        control="0",
        rule="above 0",
        needs="specialists by ssd-hot",
        decides=SSD,
        measure=_improves("ssd-hot"),
    ),
    Claim(
        name="ssd-grows",
        statement="Self-distillation's gain grows with size",
        figure="+12.9 (30B), +7.5 (4B) (arXiv 2604.01193)",
        value="gain on the largest base",
        control="gain on the smallest",
        rule="above it",
        needs=SIZES,
        decides=SSD,
        measure=_grows,
    ),
    Claim(
        name="ssd-specialises",
        statement="Self-distillation specialises, and small models regress elsewhere",
        figure="AIME 24, 4B: 61.3 to 55.0 (arXiv 2604.01193)",
        value="gain on the domain, smallest base",
        control="gain on the other domains",
        rule="the first above 0, the second below",
        needs="specialists by ssd of several domains",
        decides=SSD,
        measure=_specialises,
    ),
    Claim(
        name="density-predicts-ssd",
        statement="Density predicts self-distillation's gain across bases and domains",
        figure="section 4 of the text: they measure the same underlying phenomenon",
        value="rank correlation of density with the gain, over bases and domains",
        control="0",
        rule="above 0",
        needs=f"{SIZES}, and analyses `density` of these bases",
        decides=SSD,
        measure=_predicts,
    ),
    Claim(
        name="direction-not-quality",
        statement="Weight direction, not sample quality, carries self-distillation",
        figure="section 3 of the text; 48.1 with samples of which 62 % are unusable",
        value="gain with degraded samples",
        control="gain with good ones",
        rule=f"above {HALF} of it",
        needs="specialists by ssd and ssd-hot",
        decides=SSD,
        measure=_direction,
    ),
    Claim(
        name="better-base",
        statement="A better-pretrained base has a denser thicket and larger gains",
        figure="section 4 of the text",
        value="share of perturbations with a higher score, at most pretraining steps",
        control="at the least, one size",
        rule="above it, and the gains of ssd, grpo and randopt likewise",
        needs="bases of one size at several `steps`, analyses `density` of them, specialists from them",
        decides="any base with published checkpoints, such as OLMo-2",
        measure=_better_base,
    ),
    Claim(
        name="scalpel-and-hammer",
        statement="GRPO amplifies, SFT replaces",
        figure="GRPO small losses and slow low KL, SFT larger losses and early high KL (arXiv 2507.10616)",
        value="KL to the base a token by GRPO, at the score that both reach, straight lines between models of one way",
        control="by sft, at that score",
        rule="the control above it, and its loss on other domains too",
        needs="an analysis `scalpel` of a base and models by grpo and by sft, of several lengths",
        decides="the 7B models of arXiv 2507.10616",
        measure=_amplifies,
    ),
)
