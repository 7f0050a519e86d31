"""Discordance: whether domains agree on which perturbations of a model are good (Neural Thickets, arXiv 2603.12228).

D = 1 − the mean rank correlation of two domains' scores (`thicket.statistics.discordance`), for each σ by itself:
perturbations of different σ differ in how much they break, in all domains at once, so that pooling them makes domains
agree. D = 1 can mean that domains have nothing to do with each other, or that the items are too few to rank by: hence
the correlations corrected for the noise of the items, c_jk/√(r_j r_k) (Spearman 1904). They are not cut off at ±1, and
undefined where a reliability is not above 0. Legend: N perturbations, M domains, R replicates.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from thicket.analysis.bank import REPLICATES, Bank, Floats, at, make_bank
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row
from thicket.config.analysis import Discordance
from thicket.statistics.discordance import ceilings, pair_mean, permutation_null, rank_correlations, reliability
from thicket.statistics.resamples import resamples, whole

NULL = {"low": 0.025, "median": 0.5, "high": 0.975}
"""Quantiles of the null."""
DECIMALS = 9
"""To which two discordances are compared."""
BOOTSTRAP, SPLITS, PERMUTED = 1, 2, 3
"""Streams of draws."""
WARNING = (
    "pooled over σ: a larger σ lowers the scores of all domains at once, which makes them agree; "
    "only discordance within one σ says how domains differ"
)


def analyze(config: Discordance, case: Case) -> Found:
    """D and its kin. Raises: ValueError with fewer than two domains."""
    if len(case.environments) < 2:
        raise ValueError(f"discordance is between domains: it needs at least 2, not {len(case.environments)}")
    return of_bank(config, make_bank(config, case), case.seed)


def of_bank(config: Discordance, bank: Bank, seed: int) -> Found:
    """The table `correlations`, and figures.

    `values`: `discordance@σ`, `correlation@σ` and `corrected@σ`, the mean over pairs of the raw correlation, and that
    over the mean of what noise allows. `replicates`: the same in bootstrap resamples of the perturbations, which are
    those of every other bank with as many perturbations and the same seed. `levels`: by σ, the pairs that `correlation`
    and `corrected` are the mean of, the null of D by permutation, the share of the null that is as far from 1 (p), the
    domains' reliabilities, and `lowest`, the D that would be measured where all domains rank alike. `pooled`: D over
    all σ.
    """
    drawn_RN = resamples(config.perturbations, REPLICATES, [seed, BOOTSTRAP])
    values: dict[str, float | None] = {}
    replicates: dict[str, list[float | None]] = {}
    levels: dict[str, Any] = {}
    rows: list[Row] = []
    for place, sigma in enumerate(bank.sigmas):
        level = _Level(bank, place, config.halves, seed, whole(config.perturbations))
        values |= {at(name, sigma): _number(value_1[0]) for name, value_1 in level.means.items()}
        means = _Level(bank, place, config.halves, seed, drawn_RN).means
        replicates |= {at(name, sigma): list(map(_number, values_R)) for name, values_R in means.items()}
        levels[f"{sigma:g}"] = level.figures(config.permutations, seed)
        rows += level.rows(sigma)
    pooled = np.concatenate([bank.scores_ND(place) for place in range(len(bank.sigmas))])
    together = 1 - pair_mean(rank_correlations(pooled, whole(len(pooled))))[0]
    figures = {"values": values, "replicates": replicates, "levels": levels}
    return Found(
        [], {"correlations": rows}, {**figures, "pooled": {"discordance": _number(together), "warning": WARNING}}
    )


class _Level:
    """What is measured at one σ, in R resamples."""

    def __init__(self, bank: Bank, place: int, halves: int, seed: int, times_RN: Floats):
        self.domains, self.counts_NM = list(bank.correct), bank.counts_ND(place)
        self.raw_RMM = rank_correlations(self.counts_NM, times_RN)
        # A domain's splits are its own, and the same at every σ and in every resample.
        reliabilities = [
            reliability(correct_SNI[place], halves, [seed, SPLITS, number], times_RN)
            for number, correct_SNI in enumerate(bank.correct.values())
        ]
        self.reliability_RM = np.stack(reliabilities, axis=1)
        self.ceilings_RMM = ceilings(self.reliability_RM)
        self.corrected_RMM = self.raw_RMM / self.ceilings_RMM

    @property
    def means(self) -> Mapping[str, Floats]:
        correlation_R = pair_mean(self.raw_RMM)
        # A mean of quotients would be ruled by the pairs whose ceiling is nearly 0.
        known_RMM = np.isfinite(self.corrected_RMM)
        raw_R, ceiling_R = (pair_mean(np.where(known_RMM, one, np.nan)) for one in (self.raw_RMM, self.ceilings_RMM))
        return {"discordance": 1 - correlation_R, "correlation": correlation_R, "corrected": raw_R / ceiling_R}

    def rows(self, sigma: float) -> list[Row]:
        """Of the table of correlations, for the sample itself."""
        return [
            {
                "sigma": sigma,
                "domain_a": self.domains[a],
                "domain_b": self.domains[b],
                "raw": _number(self.raw_RMM[0, a, b]),
                "corrected": _number(self.corrected_RMM[0, a, b]),
            }
            for a, b in combinations(range(len(self.domains)), 2)
        ]

    def figures(self, permutations: int, seed: int) -> dict[str, Any]:
        """Of the sample itself."""
        null_P = permutation_null(self.counts_NM, permutations, [seed, PERMUTED])
        above = np.triu_indices(len(self.domains), k=1)
        reliabilities = map(_number, self.reliability_RM[0])
        return {
            "pairs": int(np.isfinite(self.raw_RMM[0][above]).sum()),
            "corrected_pairs": int(np.isfinite(self.corrected_RMM[0][above]).sum()),
            "null": {name: _number(np.quantile(null_P, share)) for name, share in NULL.items()},
            "p": _p_value(self.means["discordance"][0], null_P),
            "reliability": dict(zip(self.domains, reliabilities, strict=True)),
            "lowest": _number(1 - pair_mean(self.ceilings_RMM)[0]),
        }


def _p_value(discordance: np.float64, null_P: Floats) -> float | None:
    """Two-sided, the sample itself counted as one of the permutations."""
    if not np.isfinite(discordance):
        return None
    # Rounded: two sums in another order are the same permutation.
    further = np.abs(null_P - 1).round(DECIMALS) >= abs(discordance - 1).round(DECIMALS)
    return float((further.sum() + 1) / (null_P.size + 1))


def _number(value: float) -> float | None:
    """None for what is not defined."""
    return float(value) if np.isfinite(value) else None
