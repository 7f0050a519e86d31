"""Claims on what reinforcement changes: few positions, critical ones, among the base's candidates (section 2)."""

from collections.abc import Iterator

from thicket.reporting.claims.claim import Claim, Measured
from thicket.reporting.claims.evidence import RL, AnalysisResult, Evidence
from thicket.statistics.resampled import Resampled, mean

NEAR_ZERO = "js_below_0.01"
"""The cut of JS, in nats, that the sparsity claim is judged at; the sources give none."""
MANY, FEW, RARE, NEARLY = 0.8, 0.1, 0.05, 0.9
HALF = 0.5
ALONG = "along-other"


def _looks(evidence: Evidence, kind: str, types: tuple[str, ...]) -> Iterator[tuple[int, list[AnalysisResult]]]:
    """Analyses of a base and a model made by one of these methods, those of one seed together."""
    made = {model.name for model in evidence.select(type=types)}
    found = [look for look in evidence.of_type(kind) if look.made.models[1] in made]
    for seed in sorted({look.seed for look in found}):
        yield seed, [look for look in found if look.seed == seed]


def _over(looks: list[AnalysisResult], name: str, within: set[str] | None = None) -> Resampled | None:
    """A share along the model's own responses: the mean over analyses of their means over domains."""
    found = [figure for look in looks if (figure := look.share(name, of=ALONG, within=within)) is not None]
    return mean(found) if found else None


def _domains(looks: list[AnalysisResult]) -> set[str]:
    return {domain for look in looks for domain in look.result["domains"]}


def _sparse(evidence: Evidence) -> Iterator[Measured]:
    imitated = dict(_looks(evidence, "divergence", ("sft",)))
    for seed, looks in _looks(evidence, "divergence", RL):
        both = _domains(looks) & _domains(imitated.get(seed, []))
        share, other = (_over(one, NEAR_ZERO, both) for one in (looks, imitated.get(seed, [])))
        if share is not None and other is not None:
            yield Measured(seed, share, other, {"threshold": share - MANY, "control": share - other})


def _context(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "divergence", RL):
        keys = [(look, key) for look in looks for key in look.keys(f"token_share_of_variance:{ALONG}:")]
        shares = [share for look, key in keys if (share := look.replicates(key)) is not None]
        also = _over(looks, "type_also_low")
        if shares and also is not None:
            share = mean(shares)
            yield Measured(seed, share, also, {"token": HALF - share, "context": also - HALF})


def _within_base(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "divergence", RL):
        inside, rare = _over(looks, "top1_in_base_topK"), _over(looks, "top1_base_rare")
        if inside is not None and rare is not None:
            yield Measured(seed, inside, rare, {"inside": inside - MANY, "rare": RARE - rare})


def _candidates(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "divergence", RL):
        shared = _over(looks, "topk_overlap")
        if shared is not None:
            yield Measured(seed, shared, None, shared - NEARLY)


def _sweep(look: AnalysisResult, direction: str) -> list[tuple[str, Resampled]]:
    """Thresholds of a direction with their share of swapped tokens, fewest first."""
    marks = [name.split(":")[2] for name in look.names(f"swapped_share:{direction}:") if name.count(":") == 2]
    shares = [(mark, look.share(f"swapped_share:{direction}:{mark}")) for mark in marks]
    return sorted(((mark, share) for mark, share in shares if share is not None), key=lambda pair: pair[1].value)


def _within_budget(look: AnalysisResult, direction: str) -> str | None:
    """The threshold that swaps most tokens and yet less than a tenth of them."""
    found = [mark for mark, share in _sweep(look, direction) if 0 < share.value < FEW]
    return found[-1] if found else None


def _recovered(looks: list[AnalysisResult], direction: str, way: str = "") -> tuple[Resampled, Resampled] | None:
    """Share of the gap that is recovered under that budget, and the share of tokens that are swapped."""
    gaps, shares = list[Resampled](), list[Resampled]()
    for look in looks:
        mark = _within_budget(look, direction)
        gap = look.replicates(f"recovered:{direction}:{mark}{way}:all") if mark else None
        share = look.share(f"swapped_share:{direction}:{mark}{way}") if mark else None
        if gap is not None and share is not None:
            gaps.append(gap)
            shares.append(share)
    return (mean(gaps), mean(shares)) if gaps else None


def _forward(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "cross_sampling", RL):
        if found := _recovered(looks, "forward"):
            yield Measured(seed, found[0], found[1], found[0] - NEARLY)


def _reverse(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "cross_sampling", RL):
        if found := _recovered(looks, "reverse"):
            yield Measured(seed, found[0], found[1], found[0] - NEARLY)


def _random(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "cross_sampling", RL):
        found = [_recovered(looks, direction, ":random") for direction in ("forward", "reverse")]
        chosen = _recovered(looks, "forward")
        if found[0] and found[1] and chosen:
            gained, lost = found[0][0], found[1][0]
            effects = {"recovered": HALF - gained, "lost": HALF - lost}
            yield Measured(seed, mean([gained, lost]), chosen[0], effects)


def _surpasses(evidence: Evidence) -> Iterator[Measured]:
    """The threshold is chosen on one half of the items, and judged on the other."""
    for seed, looks in _looks(evidence, "cross_sampling", RL):
        pairs = [pair for look in looks if (pair := _best_mixture(look)) is not None]
        if pairs:
            best, other = mean([pair[0] for pair in pairs]), mean([pair[1] for pair in pairs])
            yield Measured(seed, best, other, best - other)


def _best_mixture(look: AnalysisResult) -> tuple[Resampled, Resampled] | None:
    marks = [mark for mark, _ in _sweep(look, "forward") if float(mark) >= 0]
    chosen = [(look.half(f"accuracy:forward:{mark}", 0), mark) for mark in marks]
    known = [(figure.value, mark) for figure, mark in chosen if figure is not None]
    if not known:
        return None
    mark = max(known)[1]
    best, other = look.half(f"accuracy:forward:{mark}", 1), look.half("accuracy:other", 1)
    return None if best is None or other is None else (best, other)


def _stronger(evidence: Evidence) -> Iterator[Measured]:
    """Of two ways to reinforce on one domain, the one with the better score against the other, at equal threshold."""
    for seed, looks in _looks(evidence, "cross_sampling", RL):
        by_domain: dict[str | None, list[AnalysisResult]] = {}
        for look in looks:
            by_domain.setdefault(evidence.models[look.made.models[1]].domain, []).append(look)
        pairs = [_ordered(evidence, found) for found in by_domain.values() if len(found) > 1]
        known = [pair for pair in pairs if pair]
        if known:
            strong, weak = mean([pair[0] for pair in known]), mean([pair[1] for pair in known])
            yield Measured(seed, strong, weak, strong - weak)


def _ordered(evidence: Evidence, looks: list[AnalysisResult]) -> tuple[Resampled, Resampled] | None:
    """Swapped tokens a response, of the best and of the worst model, over the thresholds that both have."""
    ranked = sorted(looks, key=lambda look: evidence.own_gain(evidence.models[look.made.models[1]]).value)
    names = [name for name in ranked[0].names("swapped_tokens:forward:") if name.count(":") == 2]
    weak, strong = ([look.statistic(name) for name in names] for look in (ranked[0], ranked[-1]))
    both = [(one, other) for one, other in zip(strong, weak, strict=True) if one is not None and other is not None]
    return (mean([one for one, _ in both]), mean([other for _, other in both])) if both else None


def _capability(evidence: Evidence) -> Iterator[Measured]:
    for seed, looks in _looks(evidence, "capability", RL):
        known = [share for look in looks if (share := look.share("reached")) is not None]
        if known:
            yield Measured(seed, mean(known), None, mean(known) - (1 - RARE))


def _weighted(evidence: Evidence) -> Iterator[Measured]:
    """The better of the two signs, against the same recipe without weights; both are chosen on nothing."""
    for seed, plain in evidence.by_seed(evidence.select(kind="specialist", method="dapo")):
        gains = list[tuple[Resampled, Resampled]]()
        for one in plain:
            ways = evidence.select(
                kind="specialist", seed=seed, domain=one.domain, base=one.base, method=("dapo-high-kl", "dapo-low-kl")
            )
            gains += [
                (evidence.score(way.name, way.domain or ""), evidence.score(one.name, one.domain or "")) for way in ways
            ]
        if gains:
            score, other = mean([pair[0] for pair in gains]), mean([pair[1] for pair in gains])
            yield Measured(seed, score, other, score - other)


AIME = "Qwen2.5-32B with DAPO or SimpleRL on AIME 2024; experiment `paper/sparse`"
CROSS = "an analysis `cross_sampling` of a base and a reinforced model"
DIVERGENCE = "an analysis `divergence` of a base and a reinforced model"
CLAIMS = (
    Claim(
        name="sparse-under-rl",
        statement="Over 80 % of positions have near-zero JS divergence under RL, and SFT is denser",
        figure="over 83 % (DAPO), over 98 % (SimpleRL) (arXiv 2603.22446)",
        value="share of positions with JS below 0.01 nats along the RL model's responses",
        control="the same along the responses of a model by sft",
        rule=f"above {MANY} and above the control",
        needs=f"{DIVERGENCE}, and one of a model by sft",
        decides=AIME,
        measure=_sparse,
    ),
    Claim(
        name="few-tokens-recover",
        statement="Under 10 % of swapped tokens recover the gain",
        figure="3.9 % of tokens take AIME 2024 from 8.2 to over 25 (arXiv 2603.22446)",
        value="share of the gap that is recovered at the largest budget under 10 %",
        control="share of tokens that are swapped there",
        rule=f"above {NEARLY}",
        needs=CROSS,
        decides=AIME,
        measure=_forward,
    ),
    Claim(
        name="few-tokens-collapse",
        statement="As many tokens swapped back collapse it",
        figure="5 % of tokens take it from 25.5 to under 8.3 (arXiv 2603.22446)",
        value="share of the gap that is lost at the largest budget under 10 %",
        control="share of tokens that are swapped there",
        rule=f"above {NEARLY}",
        needs=CROSS,
        decides=AIME,
        measure=_reverse,
    ),
    Claim(
        name="random-swaps-do-neither",
        statement="Random swaps do neither",
        figure="a control that reviewers asked for",
        value="share of the gap that is recovered, or lost, by random swaps of the same budget",
        control="the same of swaps by divergence, forward",
        rule=f"below {HALF} in both directions",
        needs=CROSS,
        decides=AIME,
        measure=_random,
    ),
    Claim(
        name="mixture-surpasses",
        statement="The mixed policy sometimes beats the RL policy",
        figure="section 2 of the text",
        value="accuracy of the best mixture, chosen on half of the items, on the other half",
        control="the RL model's on these",
        rule="above it",
        needs=CROSS,
        decides=AIME,
        measure=_surpasses,
    ),
    Claim(
        name="context-not-token",
        statement="Divergence depends on context, not on the token",
        figure="section 2 of the text",
        value="share of the variance of JS that the token's identity explains",
        control="share of high-divergence positions whose token is also found at low divergence",
        rule=f"the first below {HALF}, the second above",
        needs=DIVERGENCE,
        decides=AIME,
        measure=_context,
    ),
    Claim(
        name="within-the-base",
        statement="The new top choice was in the base's top 3 (over 80 %), and hardly ever below 0.01",
        figure="over 80 % (DAPO); below 0.01: 5 % (DAPO), about 0 (SimpleRL) (arXiv 2603.22446)",
        value="share of high-divergence positions whose RL top choice is in the base's top 3",
        control="share where the base gave it less than 0.01",
        rule=f"the first above {MANY}, the second below {RARE}",
        needs=DIVERGENCE,
        decides=AIME,
        measure=_within_base,
    ),
    Claim(
        name="same-candidates",
        statement="Base and RL model share the candidates nearly everywhere",
        figure="the same candidate set at almost every token position",
        value="share of the RL model's top 3 that the base has, over all positions",
        control="0",
        rule=f"above {NEARLY}",
        needs=DIVERGENCE,
        decides=AIME,
        measure=_candidates,
    ),
    Claim(
        name="no-new-capability",
        statement="Post-training adds no capability: the base's pass@k reaches what the specialist solves",
        figure="section 4 of the text; k up to 256",
        value="share of the items that the specialist solves which the base solves within its samples",
        control="0",
        rule=f"above {1 - RARE}",
        needs="an analysis `capability` of a base and a reinforced model",
        decides=AIME,
        measure=_capability,
    ),
    Claim(
        name="weighted-advantages-help",
        statement="Divergence-weighted advantages help",
        figure="AIME 24 mean@32: DAPO 33.6, low 35.9, high 36.7 (arXiv 2603.22446)",
        value="pass@1 of dapo-high-kl and dapo-low-kl on their domain",
        control="dapo without weights",
        rule="above it, over both signs",
        needs="specialists by dapo, dapo-high-kl and dapo-low-kl",
        decides=AIME,
        measure=_weighted,
    ),
    Claim(
        name="stronger-swaps-more",
        statement="Stronger RL needs more swapped tokens",
        figure="38 tokens (SimpleRL), 280 (DAPO) (arXiv 2603.22446)",
        value="tokens swapped a response by the stronger of two models, over equal thresholds",
        control="by the weaker",
        rule="above it",
        needs="two analyses `cross_sampling` of models by different recipes on one domain and seed",
        decides=AIME,
        measure=_stronger,
    ),
)
