"""What the experiment found, in sentences made from the numbers."""

from collections.abc import Iterable, Mapping

from thicket.config.never_right import Counts, NeverRight, in_words
from thicket.config.useful import USELESS
from thicket.reporting.results import ModelResult, Results
from thicket.reporting.tables import DOWN, UP, brackets, marked
from thicket.reporting.text import PERCENT, SPACE, joined, percent, percent_interval, points, points_interval
from thicket.statistics.intervals import Interval

SHARE_NOTE = (
    "Share of the specialists' gain: the student's gains on its base, summed over the domains that have a specialist, "
    "divided by the sum of the specialists' gains, each on its own domain. A student without teachers is held against "
    "the specialists of the student whose cost it may spend. Of several teachers of a domain the best on the selection "
    "items counts, on which nothing here is measured; all by their mean, where one has no score on them."
)
Gained = tuple[ModelResult, Interval]
"""A model and its gain."""
Named = tuple[Interval, str]
"""A share, and whose it is."""
MOST = 6
"""Specialists, students, and choices of their teachers, that are told one by one."""
SEED_NOTE = (
    "An interval speaks of the choice of items, not of the training: another seed makes other models. Those of means "
    "over seeds speak of both."
)


def findings(results: Results) -> str:
    """The specialists on their own domains, and what share of their gain each student has; without both, the bases."""
    found = [part for part in (_specialists(results), _controls(results), _students(results)) if part]
    over_seeds = _over_seeds(results)
    never_right = {
        result.root: result.never_right for result in results.models.values()
    }  # By base, whose tokenizer they share.
    notes = [*_useless(results), *out_of_reach(never_right, results.settings.split)]
    told = found if found or over_seeds else list(map(_base, results.of_kind("base")))
    return " ".join([*told, *[brackets(results)] * any("[" in text for text in told), *over_seeds, *notes])


def how_made(results: Results) -> list[str]:
    """How models were scored and intervals made, in plain words, a paragraph each."""
    shown = results.settings
    counts = joined([f"{count} of {domain}" for domain, count in results.items.items()])
    cut = f"top-k {shown.top_k or 'off'}, top-p {shown.top_p:g}"
    items = (
        f"Items: the {shown.split} items of each domain ({counts}), which the pipeline trained no model on. For each "
        f"item {shown.samples} responses were sampled (temperature {shown.temperature:g}, {cut}) and one was decoded "
        "greedily. Sampled pass@1 is the share of correct samples; pass@k is the chance that k of the samples hold a "
        "correct one, by the unbiased estimator. A model with its own way to answer (table “What an answer costs”) is "
        "asked in that way; a vote is one answer an item, so it has a pass@1 and nothing beside it."
    )
    intervals = (
        f"Intervals: the items of a domain are drawn again, with replacement, {shown.resamples} times (seed "
        f"{shown.seed}); an interval is the middle {_confidence(results)} of the {shown.resamples} means. For a "
        "difference both models are taken on the same drawn items (paired). For a mean, a sum or a share over domains "
        "each domain is drawn by itself, and all models on the same draws. Where all items score alike, so do all "
        "draws: an interval without a width does not say that another item would score so too."
    )
    return [items, intervals, SHARE_NOTE, SEED_NOTE]


def _confidence(results: Results) -> str:
    return f"{results.settings.confidence * PERCENT:g}{SPACE}%"


def _specialists(results: Results) -> str:
    own = _gains(result for result in results.of_kind("specialist") if not result.is_control)
    if not own:
        return ""
    domains = {result.model.domain for result, _ in own}
    above, *others = _sides(own)
    better = {result.model.domain for result, _ in above}
    listed = f" (in points of sampled pass@1: {_listed(above)})" if above else ""
    first = (
        f"In {len(better)} of {len(domains)} {'domains' if len(domains) > 1 else 'domain'} a specialist of the domain "
        f"beats its base, the {_confidence(results)} interval of the paired difference over the items lying above 0"
        f"{listed}."
    )
    rest = [
        f"{side}: {_listed(gains)}."
        for side, gains in zip(("Not told from 0", "Below 0"), others, strict=True)
        if gains
    ]
    return " ".join([first, *rest])


def _useless(results: Results) -> list[str]:
    """The trainings that came to nothing, of which no score speaks."""
    names = [result.model.name for result in results.models.values() if result.cost.useful == 0]
    return [f"In the training of {joined(names, MOST)} {USELESS}."] if names else []


def out_of_reach(counts: Mapping[str, Counts], split: str) -> list[str]:
    """What some models could never score, by their names: a sentence for all of which the same goes."""
    alike: dict[tuple[tuple[str, NeverRight], ...], list[str]] = {}
    for name, found in counts.items():
        alike.setdefault(tuple(found.items()), []).append(name)
    told = [in_words(dict(found), split, joined(names, MOST)) for found, names in alike.items()]
    return [f"{words}." for words in told if words]


def _controls(results: Results) -> str:
    own = _gains(result for result in results.of_kind("specialist") if result.is_control)
    sides = zip(("above 0", "not told from 0", "below 0"), _sides(own), strict=True)
    told = "; ".join(f"{side}: {_listed(gains)}" for side, gains in sides if gains)
    return f"Gains of the controls, which are models asked in another way, {told}." if told else ""


def _gains(shown: Iterable[ModelResult]) -> list[Gained]:
    return [(result, result.gain) for result in shown if result.gain]


def _sides(own: list[Gained]) -> tuple[list[Gained], list[Gained], list[Gained]]:
    """Gains whose interval lies above 0, holds it, and lies below."""
    above, below = ([one for one in own if marked(one[1]) == mark] for mark in (UP, DOWN))
    return above, [one for one in own if not marked(one[1])], below


def _listed(own: list[Gained]) -> str:
    """Each model's gain, with its interval where that holds 0; of many, the least and the most of each method."""
    if len(own) <= MOST:
        return ", ".join(f"{result.model.name}{SPACE}{_gain(gain)}" for result, gain in own)
    of_method: dict[str, list[float]] = {}
    for result, gain in own:
        of_method.setdefault(result.model.method, []).append(gain.value)
    return ", ".join(
        f"{len(gains)} by {method} {points(min(gains))}" + (f" to {points(max(gains))}" if len(gains) > 1 else "")
        for method, gains in of_method.items()
    )


def _gain(gain: Interval) -> str:
    return points(gain.value) if marked(gain) else f"{points(gain.value)}{SPACE}{points_interval(gain)}"


def _base(result: ModelResult) -> str:
    score = result.mean
    return f"{result.model.name} solves {_share(score)} of the samples, in the mean over domains."


def _students(results: Results) -> str:
    """Shares of the specialists' gain, of students that no mean over seeds tells of. Those of other specialists' gain
    are shares of something else: none is ranked among them."""
    told = {name for way in results.consolidations if way.recovered for name in way.models}
    students = [result for result in results.of_kind("student") if result.model.name not in told]
    held = [(result, result.recovered) for result in students if result.recovered]
    named, specialists = dict[object, list[Named]](), dict[object, list[str]]()
    for result, found in held:
        if share := found.recovery.share:
            gain = result.root, *found.specialists.items()
            named.setdefault(gain, []).append((share, result.model.name))
            specialists[gain] = list(dict.fromkeys(name for names in found.specialists.values() for name in names))
    brief = sum(map(len, named.values())) > MOST
    whose = "the gain of {}" if len(named) > 1 else "the specialists' gain"
    said = [
        f"Of {whose.format(joined(specialists[gain], MOST))} {_recovered(of, brief)}." for gain, of in named.items()
    ]
    more = [f"The table “Students” has those of {len(said) - MOST} other gains."] if len(said) > MOST else []
    unclear = [result for result, found in held if not found.recovery.share]
    return " ".join([*said[:MOST], *more, *_chosen(results), *map(_no_share, unclear)])


def _over_seeds(results: Results) -> list[str]:
    """The mean shares of students of several seeds, each of its own specialists' gain."""
    named = dict[int, list[Named]]()
    for way in results.consolidations:
        if way.recovered:
            named.setdefault(len(way.shares), []).append((way.recovered, way.name))
    return [
        f"In the mean over {seeds} seeds, of the gain of each seed's own specialists {_recovered(of, len(of) > MOST)} "
        f"({_confidence(results)} intervals over items and seeds)."
        for seeds, of in named.items()
    ]


def _recovered(named: list[Named], brief: bool) -> str:
    """Each student's share; in `brief` the least and the most."""
    if brief and len(named) > 2:
        ends = min(named, key=_value), max(named, key=_value)
        least, most = (f"{_share(share)} ({name})" for share, name in ends)
        return f"{len(named)} students recover between {least} and {most}"
    return joined([f"{name} recovers {_share(share)}" for share, name in named])


def _chosen(results: Results) -> list[str]:
    """Which teacher of a domain counts, where students have several."""
    held = [result.recovered for result in results.of_kind("student") if result.recovered]
    chosen = dict.fromkeys(
        f"{joined(list(one.specialists[domain]))} on {domain}, not {joined(list(names))}"
        for one in held
        for domain, names in one.beside.items()
    )
    best = "Of several teachers of a domain the best on the selection items counts"
    more = [f"{len(chosen) - MOST} more"] if len(chosen) > MOST else []
    return [f"{best}: {'; '.join([*list(chosen)[:MOST], *more])}."] if chosen else []


def _value(named: Named) -> float:
    return named[0].value


def _share(share: Interval) -> str:
    return f"{percent(share.value)}{SPACE}%{SPACE}{percent_interval(share)}"


def _no_share(result: ModelResult) -> str:
    assert result.recovered is not None
    gain = result.recovered.recovery.specialist_gain
    return (
        f"What share {result.model.name} recovers can't be said: the summed gain of its specialists, "
        f"{points(gain.value)} points {points_interval(gain)}, is not clearly above 0."
    )
