"""Claims on a base's neighbourhood: how dense it is in experts, and whether they are specialists (section 1)."""

from collections.abc import Callable, Iterator, Sequence

from thicket.reporting.claims.claim import Claim, Measured
from thicket.reporting.claims.evidence import AnalysisResult, Evidence
from thicket.statistics.resampled import Resampled, mean

Figure = Callable[[AnalysisResult], Resampled | None]
ABOVE, CORRECTED, EXCESS = "density_gt_0@", "corrected@", "excess@"


def density(look: AnalysisResult) -> Resampled | None:
    """The share of perturbations that improve a domain's score: the mean over σ and domains."""
    found = [share for name in look.names(ABOVE) if (share := look.share(name)) is not None]
    return mean(found) if found else None


def _replicated(prefix: str) -> Figure:
    """The mean over σ of a figure with resamples of its own."""

    def figure(look: AnalysisResult) -> Resampled | None:
        found = [one for key in look.keys(prefix) if (one := look.replicates(key)) is not None]
        return mean(found) if found else None

    return figure


def by_size(evidence: Evidence, kind: str, figure: Figure) -> Iterator[tuple[int, list[Resampled]]]:
    """Of each seed: the figure at every size of base that was looked at, small to large; bases of one pretraining."""
    known = [(look, found) for look in evidence.of_type(kind) if (found := figure(look)) is not None]
    for seed in sorted({look.seed for look, _ in known}):
        own = {look.made.models[0]: found for look, found in known if look.seed == seed}
        bases = evidence.one_recipe(own)
        sizes = sorted({evidence.size(base) for base in bases})
        yield seed, [mean([own[base] for base in bases if evidence.size(base) == size]) for size in sizes]


def _grows(kind: str, figure: Figure) -> Callable[[Evidence], Iterator[Measured]]:
    def measure(evidence: Evidence) -> Iterator[Measured]:
        for seed, found in by_size(evidence, kind, figure):
            if len(found) > 1:
                yield Measured(seed, found[-1], found[0], found[-1] - found[0])

    return measure


def _specialists(evidence: Evidence) -> Iterator[Measured]:
    for seed, found in by_size(evidence, "discordance", _replicated(CORRECTED)):
        if not found:
            continue
        large, small = found[-1], found[0]
        effects = {"itself": -large, **({"size": small - large} if len(found) > 1 else {})}
        yield Measured(seed, large, small if len(found) > 1 else None, effects)


def at_stages(evidence: Evidence, figure: Figure) -> Iterator[tuple[int, Sequence[tuple[str, Resampled]]]]:
    """Of each seed: the density's figure at bases of one size and corpus, least to most pretraining steps."""
    known = [(look, found) for look in evidence.of_type("density") if (found := figure(look)) is not None]
    for seed in sorted({look.seed for look, _ in known}):
        own = {look.made.models[0]: found for look, found in known if look.seed == seed}
        models = [evidence.models[name] for name in sorted(own)]
        kinds = [(evidence.size(one.name), one.corpus) for one in models]
        usual = max(kinds, key=lambda kind: (kinds.count(kind), kind))
        same = [one for one, kind in zip(models, kinds, strict=True) if kind == usual and one.steps is not None]
        yield seed, [(one.name, own[one.name]) for one in sorted(same, key=lambda one: one.steps or 0)]


QWEN = "Qwen2.5 0.5B to 32B on GSM8K and Countdown; experiment `paper/thickets`"
NEIGHBOURS = "analyses `{}` of bases of several sizes (base `tiny-small`, `tiny`, `tiny-large`)"
CLAIMS = (
    Claim(
        name="density-grows",
        statement="Random perturbations improve a task with a probability that grows with size",
        figure="GSM8K: 0 % (0.5B), 18 % (1.5B), 37 % (3B), 64 % (32B) (arXiv 2603.12228)",
        value="share of perturbations with a higher score, mean over σ and domains, largest base",
        control="smallest base",
        rule="above it",
        needs=NEIGHBOURS.format("density"),
        decides=QWEN,
        measure=_grows("density", density),
    ),
    Claim(
        name="perturbations-are-specialists",
        statement="Perturbation experts are specialists: ranks on domains are anti-correlated, more so with size",
        figure="discordance above 1, rising with size (arXiv 2603.12228)",
        value="noise-corrected correlation of ranks between domains over pairs, mean over σ, largest base",
        control="smallest base",
        rule="below 0, and below the control where there is one",
        needs=NEIGHBOURS.format("discordance"),
        decides=QWEN,
        measure=_specialists,
    ),
    Claim(
        name="overlap-grows",
        statement="Expert neighbourhoods overlap more with size",
        figure="section 3 of the text, without a figure",
        value="P(good on A and B) − P(good on A) P(good on B), mean over pairs and σ, largest base",
        control="smallest base",
        rule="above it",
        needs=NEIGHBOURS.format("overlap"),
        decides=QWEN,
        measure=_grows("overlap", _replicated(EXCESS)),
    ),
)
