"""Overlap: how often a perturbation that is good on domain A is good on B too, against chance (arXiv 2603.12228).

Good is a score above the model's own by more than a margin. For each pair and σ: P(A∧B) beside P(A)·P(B), which it is
where A and B have nothing to do with each other. Noise of the items makes good perturbations of chance, domain by
domain, which draws the two together. Legend: N perturbations, M domains, R replicates, Q pairs of domains.
"""

from itertools import combinations

import numpy as np

from thicket.analysis.bank import REPLICATES, Bank, Bools, Floats, at, make_bank
from thicket.analysis.case import Case
from thicket.analysis.density import DECIMALS
from thicket.analysis.found import Found, Row, Statistic
from thicket.config.analysis import Overlap
from thicket.statistics.resamples import resamples, whole

BOOTSTRAP = 1
"""Stream of draws: the discordance's, so that both have the same resamples."""


def analyze(config: Overlap, case: Case) -> Found:
    """Joint chances. Raises: ValueError with fewer than two domains."""
    if len(case.environments) < 2:
        raise ValueError(f"overlap is between domains: it needs at least 2, not {len(case.environments)}")
    return of_bank(config, make_bank(config, case), case.seed)


def of_bank(config: Overlap, bank: Bank, seed: int) -> Found:
    """The table `overlap`, figures, and the statistics over perturbations:

    `good@σ` for a domain: P(A). `joint@σ` for a pair, whose domain is `a+b`: P(A∧B). The figures `values` and
    `replicates`, in bootstrap resamples of the perturbations, hold `excess@σ`, the mean over pairs of P(A∧B) −
    P(A)P(B), and `lift@σ`, Σ P(A∧B) / Σ P(A)P(B) over pairs: not the mean of the pairs' own lifts, of which the rarest
    pair, or one that has none, would decide.
    """
    domains, count = list(bank.correct), config.perturbations
    pairs = list(combinations(range(len(domains)), 2))
    drawn_RN = resamples(count, REPLICATES, [seed, BOOTSTRAP])
    needed_M = np.array([round(config.margin * own_I.size, DECIMALS) for own_I in bank.own.values()])
    statistics, rows = list[Statistic](), list[Row]()
    values: dict[str, float | None] = {}
    replicates: dict[str, list[float | None]] = {}
    for place, sigma in enumerate(bank.sigmas):
        good_NM = bank.more_ND(place) > needed_M
        for column, domain in enumerate(domains):
            statistics.append(_statistic(at("good", sigma), domain, good_NM[:, column]))
        joint_1Q, product_1Q = chances(good_NM, whole(count))
        for number, (a, b) in enumerate(pairs):
            both_N = good_NM[:, a] & good_NM[:, b]
            statistics.append(_statistic(at("joint", sigma), f"{domains[a]}+{domains[b]}", both_N))
            joint, product = float(joint_1Q[0, number]), float(product_1Q[0, number])
            pair = {"sigma": sigma, "domain_a": domains[a], "domain_b": domains[b]}
            rows.append({**pair, "joint": joint, "product": product, "lift": joint / product if product else None})
        for name, value_1 in _summaries(joint_1Q, product_1Q).items():
            values[at(name, sigma)] = _number(value_1[0])
        for name, values_R in _summaries(*chances(good_NM, drawn_RN)).items():
            replicates[at(name, sigma)] = list(map(_number, values_R))
    return Found(statistics, {"overlap": rows}, {"values": values, "replicates": replicates})


def chances(good_NM: Bools, times_RN: Floats) -> tuple[Floats, Floats]:
    """P(A∧B) and P(A)·P(B) of each pair, RQ, in resamples that hold each perturbation so many times."""
    count, (first, second) = good_NM.shape[0], np.triu_indices(good_NM.shape[1], k=1)
    alone_RM = times_RN @ good_NM / count
    return times_RN @ (good_NM[:, first] & good_NM[:, second]) / count, alone_RM[:, first] * alone_RM[:, second]


def _summaries(joint_RQ: Floats, product_RQ: Floats) -> dict[str, Floats]:
    joint_R, product_R = joint_RQ.sum(axis=1), product_RQ.sum(axis=1)
    lift_R = np.divide(joint_R, product_R, out=np.full(joint_R.shape, np.nan), where=product_R > 0)
    return {"excess": (joint_R - product_R) / joint_RQ.shape[1], "lift": lift_R}


def _statistic(name: str, domain: str, good_N: Bools) -> Statistic:
    return Statistic(name, domain, "perturbation", good_N.astype(float).tolist())


def _number(value: float) -> float | None:
    """None for what is not defined."""
    return float(value) if np.isfinite(value) else None
