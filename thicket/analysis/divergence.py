"""Where and how a model's next-token distributions differ from its base's (Sparse but Critical, arXiv 2603.22446).

Both models read the responses that each of them wrote; `along-base` and `along-other` say whose. JS in nats. A position
is high where JS > `high`, low where JS is below the largest of the `cuts` that is below `high` (below `high` itself,
where there is none), and changed where the two likeliest tokens differ. Its type is the token that was written there.
Legend: N positions, M high ones, I items, R resamples, G types of token.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.positions import Positions, measure, written
from thicket.config.analysis import Divergence
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer
from thicket.statistics.discordance import rank_correlations
from thicket.statistics.explained import explained
from thicket.statistics.resamples import whole

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)
"""Of the quantiles of JS."""
RANKS = 10
"""Ranks with a row of their own in the table `ranks`."""
TYPES = 50
"""The most frequent types of token, with a row each in the table `tokens`."""
REPLICATES = 200
"""Resamples of the items for the share of variance that the token explains (R)."""
SHARE = "token_share_of_variance"
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Along:
    """The positions of a domain's responses by one of the models, and what is asked of all of them."""

    domain: str
    name: str
    """`along-base` or `along-other`."""
    items: int
    """I."""
    positions: Positions
    js_N: NDArray[np.float64]
    high_N: Bools
    low_N: Bools
    changed_N: Bools

    @property
    def key(self) -> str:
        return f"{self.name}:{self.domain}"

    @property
    def about(self) -> Row:
        """The first columns of every table."""
        return {"along": self.name, "domain": self.domain}


def analyze(config: Divergence, case: Case) -> Found:
    """Statistics over items and tables for every domain and either model's responses."""
    base, other = (subject.load(case.device) for subject in case.models)
    found, replicates = list[Along](), dict[str, list[float]]()
    decoding = Decoding(config.temperature, top_p=config.top_p)
    for place, environment in enumerate(case.environments):
        for author, name in ((base, "along-base"), (other, "along-other")):
            responses = list(written(case, author, environment, config.samples, decoding))
            positions = measure(base, other, responses, len(case.tokenizer), config.top, case.batch)
            along = _along(config, environment, name, positions)
            found.append(along)
            # Both trajectories of a domain are resampled by the same draws, domains by draws of their own.
            replicates[f"{SHARE}:{along.key}"] = _resampled_shares(along, draws.key(case.seed, place))
            done = len(found) / (2 * len(case.environments))
            case.tell(done, f"{environment.domain.name} {name} JS {along.js_N.mean():.4f}")
    shares = {along.key: _token_share(along) for along in found}
    return Found(
        statistics=[statistic for along in found for statistic in _statistics(config, along)],
        tables={
            "position": [row for along in found for row in _by_position(along, config.bins)],
            "ranks": [row for along in found for row in _by_rank(along)],
            "tokens": [row for along in found for row in _by_type(along, case.tokenizer)],
            "entropy": [row for along in found for row in _by_entropy(along, config.bins)],
        },
        figures={
            "low": _low(config),
            "js_quantiles": {along.key: _quantiles(along.js_N) for along in found},
            "js_entropy_correlation": {along.key: _correlations(along) for along in found},
            SHARE: shares,
            "values": {f"{SHARE}:{key}": share["share"] for key, share in shares.items()},
            "replicates": replicates,
        },
    )


def _along(config: Divergence, environment: Environment, name: str, positions: Positions) -> Along:
    js_N = positions.figure("js")
    return Along(
        domain=environment.domain.name,
        name=name,
        items=len(environment.items),
        positions=positions,
        js_N=js_N,
        high_N=js_N > config.high,
        low_N=js_N < _low(config),
        changed_N=positions.figure("same") == 0,
    )


def _low(config: Divergence) -> float:
    return max((cut for cut in config.cuts if cut < config.high), default=config.high)


def _statistics(config: Divergence, along: Along) -> Iterator[Statistic]:
    """Means over all positions, or over those of a kind; how many an item has is its weight.

    All: `js_below_CUT`, `js_mean`, `kl_other_base` (KL(other ‖ base)), `kl_base_other`, `entropy_base`,
    `entropy_other`, `argmax_same`, `topk_overlap`, `high_share`. High ones: `top1_in_base_top1`, `top1_in_base_topK`
    (the other's likeliest token is the base's, or among its `top` likeliest), `top1_base_rare` (its probability in the
    base is below `rare`), `type_also_low` (the type is low somewhere), `type_low_share` (how often the type is low).
    Changed ones: `changed_in_base_topK`, `changed_rare`.
    """
    positions, js_N, high_N, changed_N = along.positions, along.js_N, along.high_N, along.changed_N
    everywhere_N = np.ones(js_N.shape, dtype=bool)

    def mean(name: str, values_N: ArrayLike, of_N: Bools = everywhere_N) -> Statistic:
        amounts_I, weights_I = _by_item(along, np.where(of_N, values_N, 0.0)), _by_item(along, of_N)
        return Statistic(name, along.domain, "item", amounts_I.tolist(), weights_I.tolist(), of=along.name)

    for cut in sorted(set(config.cuts)):
        yield mean(f"js_below_{cut:g}", js_N < cut)
    yield mean("js_mean", js_N)
    for name in ("kl_other_base", "kl_base_other", "entropy_base", "entropy_other"):
        yield mean(name, positions.figure(name))
    yield mean("argmax_same", ~changed_N)
    yield mean("topk_overlap", positions.figure("overlap"))
    yield mean("high_share", high_N)
    rank_N, rare_N = positions.figure("rank"), positions.figure("base_probability") < config.rare
    yield mean("top1_in_base_top1", rank_N == 1, high_N)
    yield mean("top1_in_base_topK", rank_N <= config.top, high_N)
    yield mean("top1_base_rare", rare_N, high_N)
    yield mean("changed_in_base_topK", rank_N <= config.top, changed_N)
    yield mean("changed_rare", rare_N, changed_N)
    # How often a type is low is counted over the whole sample, for a resample too. That it is so once is the likelier
    # the larger the sample; the share is not, and where the type decides it is 0.
    type_N, count_G, low_G, _ = _types(along)
    yield mean("type_also_low", low_G[type_N] > 0, high_N)
    yield mean("type_low_share", (low_G / count_G)[type_N], high_N)


def _by_item(along: Along, amounts_N: NDArray[Any]) -> NDArray[np.float64]:
    return np.bincount(along.positions.item_N, amounts_N, minlength=along.items).astype(np.float64)


def _by_position(along: Along, bins: int) -> Iterator[Row]:
    """Bins of the way through a response: its first token lies in the first bin, its last in the last."""
    place_N, last_N = along.positions.place_N, along.positions.length_N - 1
    bin_N = np.minimum(place_N * bins // np.maximum(last_N, 1), bins - 1)
    for number in np.unique(bin_N):
        inside_N = bin_N == number
        yield {**along.about, "bin": int(number), **_summary(along, inside_N)}


def _by_entropy(along: Along, bins: int) -> Iterator[Row]:
    """Bins of equally many positions, by the base's entropy."""
    entropy_N = along.positions.figure("entropy_base")
    parts = np.array_split(np.argsort(entropy_N, kind="stable"), min(bins, len(entropy_N)))
    for number, part in enumerate(parts):
        yield {**along.about, "bin": number, "entropy": float(entropy_N[part].mean()), **_summary(along, part)}


def _summary(along: Along, some: NDArray[Any]) -> Row:
    js_N, high_N = along.js_N[some], along.high_N[some]
    return {"positions": len(js_N), "js": float(js_N.mean()), "share_high": float(high_N.mean())}


def _by_rank(along: Along) -> Iterator[Row]:
    """Of the high positions, the share where the other model's likeliest token has a rank in the base."""
    rank_M = along.positions.figure("rank")[along.high_N]
    for rank in range(1, RANKS + 2):
        share = float((np.minimum(rank_M, RANKS + 1) == rank).mean()) if rank_M.size else None
        text = str(rank) if rank <= RANKS else f">{RANKS}"
        yield {**along.about, "rank": text, "share": share, "positions": rank_M.size}


def _by_type(along: Along, tokenizer: Tokenizer) -> Iterator[Row]:
    """The most frequent types; control characters in their text are escaped as Python does."""
    type_N, count_G, low_G, id_G = _types(along)
    high_G, js_G = (np.bincount(type_N, amounts_N) for amounts_N in (along.high_N, along.js_N))
    for g in np.argsort(-count_G, kind="stable")[:TYPES].tolist():
        text = repr(tokenizer.decode([int(id_G[g])]))[1:-1]
        counts = {"count": int(count_G[g]), "low": int(low_G[g]), "high": int(high_G[g])}
        yield {**along.about, "token": text, "id": int(id_G[g]), **counts, "js": float(js_G[g] / count_G[g])}


def _types(along: Along) -> tuple[Ints, Ints, NDArray[np.float64], Ints]:
    """Each position's type, from 0; of each type how often it occurs, how often it is low, and its token."""
    id_G, type_N, count_G = np.unique(along.positions.token_N, return_inverse=True, return_counts=True)
    return type_N, count_G, np.bincount(type_N, along.low_N).astype(np.float64), id_G


def _quantiles(js_N: NDArray[np.float64]) -> dict[str, float]:
    return {f"{level:g}": float(np.quantile(js_N, level)) for level in LEVELS}


def _correlations(along: Along) -> dict[str, float]:
    """Of JS with the base's entropy; NaN where one of them is the same everywhere."""
    both_N2 = np.stack([along.js_N, along.positions.figure("entropy_base")], axis=1)
    around_N2 = both_N2 - both_N2.mean(axis=0)
    scale = float(np.sqrt((around_N2**2).sum(axis=0).prod()))
    pearson = float(around_N2.prod(axis=1).sum()) / scale if scale else np.nan
    return {"pearson": pearson, "spearman": float(rank_correlations(both_N2, whole(len(both_N2)))[0, 0, 1])}


def _token_share(along: Along) -> dict[str, Any]:
    """How much of the variance of JS the token at the position explains: what is left is its context's."""
    type_N, count_G, *_ = _types(along)
    return {**asdict(explained(along.js_N, type_N)), "types": len(count_G), "positions": len(type_N)}


def _resampled_shares(along: Along, seed: int) -> list[float]:
    """The share corrected for chance, in R resamples of the items; NaN where JS is the same at all positions."""
    type_N, *_ = _types(along)
    generator, shares = np.random.default_rng(seed), list[float]()
    for _ in range(REPLICATES):
        drawn_I = generator.integers(0, along.items, size=along.items)
        times_I = np.bincount(drawn_I, minlength=along.items).astype(np.float64)
        shares.append(explained(along.js_N, type_N, times_I[along.positions.item_N]).share)
    return shares
