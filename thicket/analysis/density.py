"""Solution density: the share of a model's neighbours that score at least m more than it (arXiv 2603.12228).

δ(m) = P_ε[s(θ + σε) ≥ s(θ) + m], s the mean verdict over a domain's items. Scores are multiples of 1/I, so many
neighbours tie with the model, and a small σ makes δ(0) large by changing no answer at all: hence the share with >
beside the one with ≥. Both are of these items: what the model gets wrong by bad luck on them, neighbours get right.
"""

from dataclasses import replace

import numpy as np

from thicket.analysis.bank import Bank, Neighbour, at, judged, make_bank, perturbation
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.config.analysis import Density

DECIMALS = 9
"""To which a margin in items is rounded: 0.07 of 100 items are 7, and not 7.000000000000001."""


def analyze(config: Density, case: Case) -> Found:
    """The density, and the picture of a plane where one is asked for."""
    points = (config.slice or 0) ** 2
    whole = 1 + config.perturbations * len(set(config.sigmas)) + points
    first = 1 - points / whole
    found = of_bank(config, make_bank(config, _part(case, 0.0, first)))
    if config.slice is None:
        return found
    plane = _slice(config, config.slice, _part(case, first, 1.0))
    return replace(found, tables={**found.tables, "slice": plane})


def of_bank(config: Density, bank: Bank) -> Found:
    """The table `density` and, for each domain, the statistics (m and σ as %g writes them):

    `density_ge_m@σ` and `density_gt_m@σ` over perturbations: δ with ≥ and with >.
    `mean_change@σ` over perturbations: s(θ + σε) − s(θ). `own_score` over items: s(θ).
    """
    domains, rows = list(bank.correct), list[Row]()
    statistics = [
        Statistic("own_score", name, "item", own_I.astype(float).tolist()) for name, own_I in bank.own.items()
    ]
    for place, sigma in enumerate(bank.sigmas):
        more_ND = bank.more_ND(place)
        for column, domain in enumerate(domains):
            more_N, items = more_ND[:, column], bank.own[domain].size
            change_N = more_N / items
            statistics.append(Statistic(at("mean_change", sigma), domain, "perturbation", change_N.tolist()))
            for margin in dict.fromkeys(config.margins):
                needed = round(margin * items, DECIMALS)
                shares = {"ge": (more_N >= needed).astype(float), "gt": (more_N > needed).astype(float)}
                statistics += [
                    Statistic(at(f"density_{sign}_{margin:g}", sigma), domain, "perturbation", share_N.tolist())
                    for sign, share_N in shares.items()
                ]
                row = {"sigma": sigma, "domain": domain, "margin": margin}
                found = {"at_least": float(shares["ge"].mean()), "above": float(shares["gt"].mean())}
                rows.append({**row, **found, "mean_change": float(change_N.mean())})
    return Found(statistics, {"density": rows})


def _slice(config: Density, points: int, case: Case) -> list[Row]:
    """Scores on points × points of the plane θ + x σ ε_1 + y σ ε_2: σ the largest, ε the bank's first two."""
    sigma = max(config.sigmas)
    steps = np.linspace(-config.slice_reach, config.slice_reach, points).tolist()
    places = [(x, y) for y in steps for x in steps]
    plane: list[Neighbour] = [
        (perturbation(case.seed, 0, x * sigma), perturbation(case.seed, 1, y * sigma)) for x, y in places
    ]
    (correct,) = judged(case, [plane])
    return [
        {"x": x, "y": y, "domain": domain, "score": float(correct_KI[place].mean())}
        for domain, correct_KI in correct.items()
        for place, (x, y) in enumerate(places)
    ]


def _part(case: Case, first: float, last: float) -> Case:
    """The case, for work that is this part of all."""
    return replace(case, tell=lambda share, text: case.tell(first + (last - first) * share, text))
