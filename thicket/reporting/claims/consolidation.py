"""Claims on why specialists come first and one model is made of them after (section 1 and 4 of the text)."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from thicket.config.stages import ReportedModel
from thicket.reporting.claims.claim import Claim, Measured
from thicket.reporting.claims.evidence import RL, Evidence
from thicket.reporting.taught import best_of
from thicket.statistics.resampled import Resampled, mean

MARGIN = 0.02
"""Of scores: what rivals another is not worse by more."""
HALF = 0.5
LINEAR = 0.05
"""Of scores: the most that a model in the middle of a line may lie below the line's ends to count as connected."""


def _students(evidence: Evidence, **wanted: str) -> Iterator[tuple[int, ReportedModel]]:
    """A student of each seed with these values, with specialists of its own base alone."""
    for seed, found in evidence.by_seed(evidence.select(kind="student", **wanted)):
        own = [one for one in found if not _foreign(evidence, one)]
        if own:
            yield seed, own[0]


def _foreign(evidence: Evidence, student: ReportedModel) -> bool:
    """Whether a student's teachers go back to another base."""
    root = evidence.root_of(student.name)
    return any(evidence.root_of(teacher) != root for teacher in student.teachers)


def _recovered(evidence: Evidence, student: ReportedModel) -> Resampled | None:
    """The share of its teachers' lead on the student's own base that a student has, over their domains.

    Of several teachers of a domain it is held against the best, as in the report.
    """
    base, taught = evidence.root_of(student.name), dict[str, tuple[str, ...]]()
    for name in student.teachers:
        domain = evidence.models[name].domain
        if domain is None:
            return None
        taught[domain] = (*taught.get(domain, ()), name)
    leads, gains = list[Resampled](), list[Resampled]()
    for domain, names in taught.items():
        start = evidence.score(base, domain)
        leads.append(mean([evidence.score(one, domain) for one in best_of(names, domain, evidence.inputs)]) - start)
        gains.append(evidence.score(student.name, domain) - start)
    return mean(gains) / mean(leads) if leads else None


def _against(better: dict[str, str], worse: dict[str, str]) -> Callable[[Evidence], Iterator[Measured]]:
    """Mean scores over all domains of one kind of student against another's, of each seed that has both."""

    def measure(evidence: Evidence) -> Iterator[Measured]:
        others = dict(_students(evidence, **worse))
        for seed, one in _students(evidence, **better):
            if seed in others:
                score, other = evidence.mean_score(one.name), evidence.mean_score(others[seed].name)
                yield Measured(seed, score, other, score - other)

    return measure


def _mixed(evidence: Evidence) -> Iterator[Measured]:
    """A student against mixed RL at the whole of its cost: at a share of it, or at the teachers' alone, is no equal."""
    for seed, one in _students(evidence, method="opd"):
        for rival in evidence.select(kind="student", type="mixed", seed=seed):
            method = evidence.inputs[rival.name].provenance["config"].get("method", {})
            if (method.get("budget", "whole"), method.get("share", 1.0)) == ("whole", 1.0):
                score, other = evidence.mean_score(one.name), evidence.mean_score(rival.name)
                yield Measured(seed, score, other, score - other)


def _origin(evidence: Evidence) -> Iterator[Measured]:
    for seed, own in _students(evidence, type="opd", method="opd"):
        strange = [one for one in evidence.select(kind="student", type="opd", seed=seed) if _foreign(evidence, one)]
        share = _recovered(evidence, own)
        other = _recovered(evidence, strange[0]) if strange else None
        if share is not None and other is not None:
            yield Measured(seed, share, other, {"own": share - HALF, "foreign": HALF - other})


def _basin(evidence: Evidence) -> Iterator[Measured]:
    """A soup against the mean of its parts on the same domains."""
    for seed, soup in _students(evidence, type="soup"):
        parts = mean([evidence.mean_score(name) for name in soup.teachers])
        score = evidence.mean_score(soup.name)
        yield Measured(seed, score, parts, score - parts)


def _randopt(evidence: Evidence) -> Iterator[Measured]:
    """The ensemble against the best rival of its seed and domain, means over domains."""
    for seed, found in evidence.by_seed(evidence.select(kind="specialist", type="randopt")):
        rivals = evidence.select(kind="specialist", seed=seed, type=(*RL, "es", "self_consistency"))
        kinds = {one.type for one in rivals}
        pairs = [
            (one, [other for other in rivals if (other.domain, other.base) == (one.domain, one.base)]) for one in found
        ]
        pairs = [(one, others) for one, others in pairs if {other.type for other in others} == kinds]
        if not pairs or not {"grpo", "es", "self_consistency"} <= kinds:
            continue
        scores = [evidence.score(one.name, one.domain or "") for one, _ in pairs]
        by_kind = {
            kind: mean(
                [
                    evidence.score(other.name, other.domain or "")
                    for _, others in pairs
                    for other in others
                    if other.type == kind
                ]
            )
            for kind in sorted(kinds)
        }
        own, best = mean(scores), max(by_kind.values(), key=lambda rival: rival.value)
        yield Measured(seed, own, best, {kind: own - rival + MARGIN for kind, rival in by_kind.items()})


def _efficiency(evidence: Evidence) -> Iterator[Measured]:
    """Points gained a TFLOP, both summed over domains: RandOpt, SSD, reinforcement, OPD with its specialists."""
    tera = 1e-12
    for seed, opd in _students(evidence, type="opd", method="opd"):
        domains = dict.fromkeys(evidence.models[name].domain for name in opd.teachers)
        gains = [evidence.gain(opd.name, domain) for domain in domains if domain]
        price = {"opd": mean(gains) * (len(gains) / (evidence.flops(opd.name) * tera))}
        for method in ("grpo", "ssd", "randopt"):
            made = evidence.select(kind="specialist", seed=seed, method=method, base=opd.base)
            if not made:
                break
            costs = sum(evidence.flops(one.name) for one in made) * tera
            price[method] = mean([evidence.own_gain(one) for one in made]) * (len(made) / costs)
        else:
            steps = {f"{one} over {other}": price[one] - price[other] for one, other in pairwise(price)}
            yield Measured(seed, price["opd"], price["randopt"], steps)


def _interference(evidence: Evidence) -> Iterator[Measured]:
    for look in evidence.of_type("interference"):
        found = look.replicates(f"cosine:{look.made.models[0]}:mean")
        if found is not None:
            yield Measured(look.seed, found, None, -found)


def _connected(evidence: Evidence) -> Iterator[Measured]:
    """The dip in the middle of the line between two specialists of one base, against two of independent ones."""
    for look in evidence.of_type("connectivity"):
        pairs = dict.fromkeys(one["of"] for one in look.units if one["name"] == "barrier_mid")
        own, strange = list[Resampled](), list[Resampled]()
        for pair in pairs:
            one, _, other = pair.partition("~")
            dip = look.statistic("barrier_mid", of=pair)
            specialists = all(evidence.models[name].kind == "specialist" for name in (one, other))
            if dip is not None and evidence.root_of(one) != evidence.root_of(other):
                strange.append(dip)
            elif dip is not None and specialists:
                own.append(dip)
        if own and strange:
            near, far = mean(own), mean(strange)
            yield Measured(look.seed, near, far, {"own": LINEAR - near, "independent": far - LINEAR})


def _variance(evidence: Evidence) -> Iterator[Measured]:
    for look in evidence.of_type("estimators"):
        ratios, kept = list[Resampled](), list[tuple[Resampled, Resampled]]()
        for domain in evidence.stage.domains:
            full, drawn = (
                look.replicates(f"variance:full_vocab:{domain}"),
                look.replicates(f"variance:sampled_token:{domain}"),
            )
            if full is not None and drawn is not None:
                kept.append((full, drawn))
                ratios.append((drawn / full).log())
        if kept:
            full, drawn = mean([pair[0] for pair in kept]), mean([pair[1] for pair in kept])
            yield Measured(look.seed, full, drawn, mean(ratios))


def _steadiness(evidence: Evidence) -> Iterator[Measured]:
    """Largest gradient norm of a run over its median: spikes."""
    others = dict(_students(evidence, method="opd-sampled"))
    for seed, one in _students(evidence, method="opd"):
        if seed in others:
            own, other = (_spike(evidence.curve(model.name, "gradient_norm")) for model in (one, others[seed]))
            if own and other:
                full, drawn = evidence.constant(own), evidence.constant(other)
                yield Measured(seed, full, drawn, (drawn / full).log())


def _spike(norms: list[float]) -> float:
    """After the first tenth of the steps, whose norms are large in every run; 0 where there are none."""
    late = sorted(norms[len(norms) // 10 :])
    return late[-1] / late[len(late) // 2] if late and late[len(late) // 2] > 0 else 0.0


def _top1(evidence: Evidence) -> Iterator[Measured]:
    for seed, top1 in _students(evidence, method="opd-top1"):
        others = {method: dict(_students(evidence, method=method)).get(seed) for method in ("opd", "opd-sampled")}
        scores = {method: evidence.mean_score(one.name) for method, one in others.items() if one is not None}
        if len(scores) == len(others):
            own, worst = evidence.mean_score(top1.name), min(scores.values(), key=lambda score: score.value)
            yield Measured(seed, own, worst, {method: score - own for method, score in scores.items()})


V4 = "the ten-domain pipeline of DeepSeek-V4; `thicket experiment use tiny-ten`, or smollm2, on more seeds"
SEVEN = "Qwen2.5 0.5B to 32B; base `qwen25-05b-instruct` … `qwen25-32b-instruct`, experiment `paper/thickets`"
CLAIMS = (
    Claim(
        name="randopt-rivals",
        statement="An ensemble of perturbations rivals GRPO, PPO and ES, and self-consistency at equal inference",
        figure="Countdown, Qwen2.5-3B: RandOpt 58.4, ES 55.6, PPO 35.3, GRPO 32.6 (arXiv 2603.12228)",
        value="pass@1 of the ensemble's vote on its domain",
        control="the best rival of the same seed and domains",
        rule=f"not more than {MARGIN} below any of them",
        needs="specialists by randopt, grpo, es and self-consistency of the same domains (ppo where there is time)",
        decides=SEVEN,
        measure=_randopt,
    ),
    Claim(
        name="efficiency-order",
        statement="Each step from RandOpt to SSD to RLVR to OPD is more efficient than the last",
        figure="section 3 of the text, without a figure",
        value="points of pass@1 a TFLOP, summed over domains: OPD, its specialists' training paid for",
        control="the same of RandOpt",
        rule="each of the four above the one before",
        needs="specialists by randopt, ssd and grpo, and a student by opd",
        decides=SEVEN,
        measure=_efficiency,
    ),
    Claim(
        name="mixed-interferes",
        statement="Mixed RL pulls domains against each other",
        figure="section 1 of the text, without a figure",
        value="cosine between the domains' policy gradients at the base, mean over pairs",
        control="0",
        rule="below 0",
        needs="an analysis `interference` of the base",
        decides=V4,
        measure=_interference,
    ),
    Claim(
        name="specialists-beat-mixed",
        statement="Specialists and distillation beat mixed RL at equal budget",
        figure="DeepSeek-V4 replaced its mixed stage entirely (arXiv 2606.19348)",
        value="mean pass@1 of the student by opd",
        control="mixed RL at the student's whole cost",
        rule="above it",
        needs="students by opd and by mixed with `budget_of`",
        decides=V4,
        measure=_mixed,
    ),
    Claim(
        name="linearly-connected",
        statement="Specialists from one base are linearly connected, independent runs are not",
        figure="Fort et al. 2019; Frankle et al. 2020 (arXiv 1912.05671)",
        value="dip of pass@1 half-way between two specialists below their mean",
        control="the dip half-way between models of independent bases",
        rule=f"the first below {LINEAR}, the second above",
        needs="an analysis `connectivity` of a base, two specialists and a model of another base of that shape",
        decides="any base with two pretraining seeds; here `bases: {tiny: …, other: {base: tiny, seed: 1}}`",
        measure=_connected,
    ),
    Claim(
        name="soups-work",
        statement="Averages of weights work within that basin",
        figure="Model Soups (Wortsman et al. 2022)",
        value="mean pass@1 of the soup over all domains",
        control="the mean over its parts on the same domains",
        rule="above it",
        needs="a student by soup",
        decides=V4,
        measure=_basin,
    ),
    Claim(
        name="opd-beats-soups",
        statement="Distillation beats averages of weights",
        figure="section 1 of the text: logit-level alignment rather than naive weight averaging",
        value="mean pass@1 of the student by opd",
        control="the soup of the same specialists",
        rule="above it",
        needs="students by opd and by soup",
        decides=V4,
        measure=_against({"method": "opd"}, {"method": "soup"}),
    ),
    Claim(
        name="same-origin",
        statement="Teachers of the same origin distil, foreign ones do not",
        figure="teachers from another origin destabilise training (arXiv 2606.30406)",
        value="share of its teachers' lead on its own base that a student by opd has",
        control="the same with teachers of an independently initialised base",
        rule=f"the first above {HALF}, the second below",
        needs="a second base and a student by opd whose teachers go back to it (experiment `strangers`)",
        decides="any base with two pretraining seeds",
        measure=_origin,
    ),
    Claim(
        name="full-vocabulary-variance",
        statement="Full-vocabulary distillation has lower gradient variance than the sampled token",
        figure="high variance in gradient estimation (arXiv 2606.19348)",
        value="relative variance of the gradient, full vocabulary",
        control="the same of the sampled-token estimate",
        rule="the logarithm of their ratio above 0; the law of total variance leaves open how far, not on which side",
        needs="an analysis `estimators` of a student and a teacher",
        decides="any base: the estimators' moments are those of its distributions",
        measure=_variance,
    ),
    Claim(
        name="full-vocabulary-stable",
        statement="Full-vocabulary distillation trains more stably",
        figure="often causes training instability (arXiv 2606.19348, of the sampled token)",
        value="largest gradient norm of a run over its median, full vocabulary",
        control="the same of the sampled token",
        rule="the logarithm of their ratio above 0",
        needs="students by opd and opd-sampled; `benchmarks/stability.py` counts collapses over learning rates",
        decides=V4,
        measure=_steadiness,
    ),
    Claim(
        name="full-vocabulary-ends-better",
        statement="Full-vocabulary distillation ends better than the sampled token",
        figure="section 2 of the text",
        value="mean pass@1 of the student by opd",
        control="the student by the sampled token at equal tokens",
        rule="above it",
        needs="students by opd and opd-sampled",
        decides=V4,
        measure=_against({"method": "opd"}, {"method": "opd-sampled"}),
    ),
    Claim(
        name="top1-loses-most",
        statement="Distillation of the top choice alone loses most",
        figure="section 2 of the text: it would lose most of its value",
        value="mean pass@1 of the student by top 1",
        control="the worse of full vocabulary and sampled token",
        rule="below both",
        needs="students by opd, opd-sampled and opd-top1",
        decides=V4,
        measure=_top1,
    ),
)
