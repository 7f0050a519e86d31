"""What each analysis asks and finds, in words, for docs/analyses.md: statistics, columns of its tables, figures.

It stands apart from the analyses, so that no stage runs again for a word of it; a test runs them all and holds what
they write to it. Words in capitals stand for something: a model, a domain, a level.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Words = Mapping[str, str]
"""Name → what it is, with its unit."""


@dataclass(frozen=True)
class Outputs:
    """Of one analysis."""

    question: str
    statistics: Words = field(default_factory=dict)
    """Of `statistics` in result.json: each with an interval over the units that it names."""
    tables: Mapping[str, Words] = field(default_factory=dict)
    """Name of a CSV file → its columns."""
    values: Words = field(default_factory=dict)
    """Of `figures.values` in result.json, whose resamples are `figures.replicates`."""
    figures: Words = field(default_factory=dict)
    """Whatever else stands in `figures`."""


SIGMA = "σ of the perturbations, in units of the weights"
DOMAIN = "option of conf/domain"
PAIR = {"domain_a": "a domain", "domain_b": "another"}
WEIGHTS = {
    "norm": "‖δ‖, Euclidean length of the difference from the base",
    "relative_norm": "‖δ‖ over the length of the base's weights",
    "unchanged_share": "share of weights that are equal to the base's, to the bit",
}
KIND = "`q`, `k`, `v`, `o`, `gate`, `up`, `down`, `embedding`, `head`, `norm`, `other`, or `all` of them"
DIVERGED = {
    "positions": "positions in it",
    "js": "mean JS, nats",
    "share_high": "share of them with JS above `high`",
}
ALONG = {"along": "whose responses: `along-base` or `along-other`", "domain": DOMAIN}
TERMS = {
    "support": "mean loss a token from mass outside of the kept support, nats",
    "reshaping": "that from reshaping within it, nats",
    "anchor": "that from the distance to the frozen model, nats",
    "constant": "T·H(q), nats",
    "total": "the loss itself, nats; the four sum to it",
}

OUTPUTS: Mapping[str, Outputs] = {
    "density": Outputs(
        "How many of a model's neighbours θ + σε score more than it?",
        {
            "own_score": "s(θ), mean verdict (0–1), over items",
            "mean_change@SIGMA": "s(θ + σε) − s(θ), over perturbations",
            "density_ge_MARGIN@SIGMA": "share of perturbations that score at least the margin more",
            "density_gt_MARGIN@SIGMA": "share that score more than that: ties don't count",
        },
        {
            "density": {
                "sigma": SIGMA,
                "domain": DOMAIN,
                "margin": "m, difference of mean verdicts (0–1)",
                "at_least": "share of perturbations that score ≥ s(θ) + m",
                "above": "share that score > s(θ) + m",
                "mean_change": "mean s(θ + σε) − s(θ)",
            },
            "slice": {
                "x": "place along the first direction, in units of the largest σ; with `slice` alone",
                "y": "place along the second",
                "domain": DOMAIN,
                "score": "mean verdict there (0–1)",
            },
        },
    ),
    "discordance": Outputs(
        "Do domains agree on which neighbours are good, beyond what noise of the items hides?",
        {},
        {
            "correlations": {
                "sigma": SIGMA,
                **PAIR,
                "raw": "rank correlation of the perturbations' scores on the two",
                "corrected": "the same over what the items' noise allows; not cut off at ±1; empty: undefined",
            }
        },
        {
            "discordance@SIGMA": "D = 1 − mean rank correlation over pairs",
            "correlation@SIGMA": "the mean correlation",
            "corrected@SIGMA": "the mean correlation over the mean of what noise allows, of pairs that have both",
        },
        {
            "levels": "by σ: `pairs` and `corrected_pairs` (how many the means are of), `null` (quantiles 0.025, 0.5, "
            "0.975 of D where ranks are permuted), `p` (two-sided, of that null), `reliability` by domain, `lowest` "
            "(the D that would be measured where all domains rank alike)",
            "pooled": "D over all σ together, and why not to use it",
        },
    ),
    "overlap": Outputs(
        "Is a neighbour that is good on one domain good on another more often than by chance?",
        {
            "good@SIGMA": "P(A): share of perturbations that beat the model on the domain by more than `margin`",
            "joint@SIGMA": "P(A∧B); its domain is `a+b`",
        },
        {
            "overlap": {
                "sigma": SIGMA,
                **PAIR,
                "joint": "P(A∧B)",
                "product": "P(A)·P(B)",
                "lift": "joint over product; empty where that is 0",
            }
        },
        {
            "excess@SIGMA": "P(A∧B) − P(A)P(B), mean over pairs",
            "lift@SIGMA": "Σ P(A∧B) over Σ P(A)P(B), sums over pairs",
        },
    ),
    "connectivity": Outputs(
        "Do models lie in one basin: what happens to the score on the line between two, and did they move from the "
        "base (the first model) in the same direction?",
        {
            "score": "mean verdict (0–1) of a model",
            "random_score": "the base's, moved as far as that model in random directions",
            "barrier_mid": "error half-way above the mean of the two ends' errors, of a pair `a~b`",
            "disagreement_verdict": "share of items whose greedy answers differ in their verdict",
            "disagreement_text": "share of items whose greedy answers differ at all",
        },
        {
            "lines": {
                "pair": "`a~b`: α is the weight of a",
                "domain": DOMAIN,
                "alpha": "α, 0 to 1",
                "score": "mean verdict (0–1) of αW_a + (1 − α)W_b",
            },
            "controls": {
                "model": "whose distance from the base the direction has",
                "direction": "number of the random direction",
                "domain": DOMAIN,
                "score": "mean verdict (0–1) there",
                "cosine": "of the direction with the model's difference from the base",
            },
            "deltas": {"model": "not the base", "layer": "number, empty outside of layers, or `all`", "kind": KIND}
            | WEIGHTS,
            "cosines": {
                "a": "a model",
                "b": "another",
                "layer": "as above",
                "kind": "as above",
                "cosine": "of their differences from the base; empty where one is 0",
            },
        },
        {"barrier:PAIR:DOMAIN": "largest error above the chord (0–1); of the domain `all`, the mean over domains"},
        {
            "barriers": "pair → domain or `all` → `chord` (as above), `above_mean` (over the mean of the ends' errors)",
            "cosines": "pair → cosine of the two whole differences",
            "deltas": "model → its row of deltas.csv for all weights",
            "random_cosines": "model → its cosines with the random directions, and their standard deviation by theory",
        },
    ),
    "divergence": Outputs(
        "Where do a model's next-token distributions differ from its base's (the first model), by how much, and is "
        "what it prefers there new to the base?",
        {
            "js_below_CUT": "share of positions with JS below the cut (nats)",
            "js_mean": "mean JS, nats (at most 0.693)",
            "kl_other_base": "mean KL(other ‖ base), nats",
            "kl_base_other": "mean KL(base ‖ other), nats",
            "entropy_base": "mean entropy of the base, nats",
            "entropy_other": "of the other",
            "argmax_same": "share of positions with the same likeliest token",
            "topk_overlap": "share of the other's `top` likeliest tokens that are among the base's",
            "high_share": "share of positions that are high",
            "top1_in_base_top1": "of high positions: the other's likeliest token is the base's",
            "top1_in_base_topK": "of high ones: it is among the base's `top`",
            "top1_base_rare": "of high ones: the base gives it less than `rare`",
            "changed_in_base_topK": "of changed ones: it is among the base's `top`",
            "changed_rare": "of changed ones: the base gives it less than `rare`",
            "type_also_low": "of high ones: the token there is low somewhere else",
            "type_low_share": "of high ones: how often that token is low, mean share",
        },
        {
            "position": {**ALONG, "bin": "part of a response, 0 its beginning", **DIVERGED},
            "ranks": {
                **ALONG,
                "rank": "rank in the base of the other's likeliest token: 1 to 10, `>10`",
                "share": "of the high positions",
                "positions": "high positions",
            },
            "tokens": {
                **ALONG,
                "token": "the token at the position, as text; the 50 most frequent",
                "id": "its number",
                "count": "how often it occurs",
                "low": "how often of these it is low",
                "high": "how often high",
                "js": "its mean JS, nats",
            },
            "entropy": {
                **ALONG,
                "bin": "of equally many positions by the base's entropy, 0 the lowest",
                "entropy": "mean entropy of the base in it, nats",
                **DIVERGED,
            },
        },
        {
            "token_share_of_variance:along-WHOSE:DOMAIN": "share of JS's variance over positions that the token there "
            "explains, corrected for chance"
        },
        {
            "low": "JS below which a position is low, nats",
            "js_quantiles": "`along-WHOSE:DOMAIN` → level → quantile of JS, nats",
            "js_entropy_correlation": "the same → `pearson`, `spearman` of JS with the base's entropy",
            "token_share_of_variance": "the same → the share, raw and corrected, and how many types and positions",
        },
    ),
    "cross_sampling": Outputs(
        "How many tokens of one model does another need to score as it does, and does the choice of positions matter? "
        "The first model is the base. A way is `DIRECTION:THRESHOLD` by divergence, "
        "`DIRECTION:THRESHOLD:CONTROL` by a control.",
        {
            "accuracy:base": "mean verdict (0–1) of the base alone",
            "accuracy:other": "of the other alone",
            "accuracy:WAY": "of the mixture",
            "swapped_share:WAY": "share of tokens that the intervening model drew",
            "swapped_tokens:WAY": "such tokens a response",
            "changed_share:WAY": "share of tokens that came out otherwise for it",
        },
        {
            "curves": {
                "direction": "`forward`: the base answers; `reverse`: the other does",
                "threshold": "ε, JS in nats",
                "way": "how positions are chosen: `divergence` or a control",
                "domain": DOMAIN,
                "swapped_share": "share of tokens that the intervening model drew",
                "swapped_tokens": "such tokens a response",
                "accuracy": "mean verdict (0–1)",
                "changed_share": "share of tokens that came out otherwise for it",
            }
        },
        {
            "recovered:WAY:DOMAIN": "(accuracy − the answering model's) over (the intervening one's − the answering "
            "one's): 1 is the whole gap; of `all`, of the sums over domains"
        },
    ),
    "self_distillation": Outputs(
        "What does self-distillation's loss ask of a model, are its samples any good, and does it help on hard items?",
        {
            **TERMS,
            "unusable": "share of training samples that are cut off or hold no answer",
            "sample_correct": "share of training samples that are correct",
            "score": "mean verdict (0–1) at temperature 1, of `frozen` and of `learned`",
            "gain": "learned − frozen",
            "gain_hard": "the same on the half of the items with lower pass rates in samples apart",
            "gain_easy": "on the other half",
        },
        {
            "terms": {
                "domain": DOMAIN,
                "model": "`frozen` or `learned`",
                "positions": "tokens of the training samples",
                **TERMS,
            },
            "difficulty": {
                "domain": DOMAIN,
                "bin": "the frozen model's pass rate in samples apart (0–1)",
                "items": "items with that rate",
                "frozen": "its mean verdict in the scored samples (0–1)",
                "learned": "the learned model's",
            },
        },
    ),
    "estimators": Outputs(
        "How noisy and how biased are cheaper estimates of the distillation gradient? The first model is the student.",
        {
            "kl": "KL(student ‖ teacher), nats a token",
            "token_noise": "variance over draws of `sampled_token`, over |exact gradient|²",
            "item_bias": "|estimate − exact| over |exact|, of `top_k` and `top1`, prompt by prompt",
        },
        {
            "estimators": {
                "domain": DOMAIN,
                "estimator": "`full_vocab`, `top_k`, `top1`, `sampled_token`",
                "items": "prompts",
                "variance": "of one prompt's gradient over |its mean|²",
                "noise": "the part of it that is the draws'; `sampled_token` alone",
                "bias": "|ḡ − ḡ_full| over |ḡ_full|, ḡ the mean over all prompts",
                "bias_noise": "the bias that draws alone would give; `sampled_token` alone",
                "cosine": "of ḡ with ḡ_full",
            }
        },
        {
            "variance:ESTIMATOR:DOMAIN": "as in the table",
            "noise:ESTIMATOR:DOMAIN": "as in the table",
            "bias:ESTIMATOR:DOMAIN": "as in the table",
            "bias_noise:ESTIMATOR:DOMAIN": "as in the table",
            "cosine:ESTIMATOR:DOMAIN": "as in the table",
        },
    ),
    "scalpel": Outputs(
        "What does a gain cost: how far, in KL and in weights, did each model go from the base (the first model), and "
        "what did it forget on the other domains?",
        {
            "score": "mean verdict (0–1)",
            "gain": "the model's score − the base's, by domain",
            "kl_model_base": "KL(model ‖ base) along the model's responses, nats a token",
            "kl_base_model": "KL(base ‖ model) along the base's, nats a token",
            "forgetting": "loss of score on the domains but the first, mean over them",
            "weight_change": "‖δ‖ over the length of the base's weights",
            "unchanged_share": WEIGHTS["unchanged_share"],
        },
        {
            "models": {
                "model": "not the base",
                "score": "mean verdict (0–1) on the first domain",
                "gain": "against the base, there",
                "forgetting": "mean loss on the other domains; empty without any",
                "kl_model_base": "KL(model ‖ base) on the first domain, nats a token",
                "kl_base_model": "KL(base ‖ model) there",
                "kl_model_base_elsewhere": "KL(model ‖ base), mean over the others",
                "weight_change": "‖δ‖ over the length of the base's weights",
                "unchanged_share": WEIGHTS["unchanged_share"],
            },
            "kinds": {"model": "not the base", "kind": KIND, **WEIGHTS},
        },
        {
            "gain_per_kl:MODEL": "gain over KL(model ‖ base), a nat",
            "forgetting_per_kl:MODEL": "forgetting over it; with other domains alone",
            "forgetting_per_gain:MODEL": "forgetting over gain; with other domains alone",
        },
    ),
    "interference": Outputs(
        "Do the domains' policy gradients pull the weights the same way, or against each other?",
        {
            "reward": "mean verdict (0–1) of the sampled responses",
            "useful": "share of prompts whose responses differ in reward: the others have no gradient",
        },
        {
            "cosines": {
                "model": "at which weights",
                "a": "a domain",
                "b": "another",
                "raw": "cosine of the two gradients, each over an H-th of its prompts",
                "corrected": "raw over ceiling: that of the expected gradients",
                "ceiling": "the cosine that noise allows",
            },
            "gradients": {
                "model": "at which weights",
                "domain": DOMAIN,
                "items": "prompts",
                "reward": "mean verdict (0–1)",
                "useful": "share of prompts with a gradient",
                "norm": "√|E g|²; 0 where noise is larger",
                "noise": "variance of a prompt's gradient over |E g|²",
                "within": "cosine of two disjoint parts of the domain",
            },
        },
        {
            "cosine:MODEL:PAIR": "raw, of `a~b`, or `mean` over pairs",
            "ceiling:MODEL:PAIR": "as in the table, likewise",
            "corrected:MODEL:PAIR": "as in the table, likewise",
            "within:MODEL:DOMAIN": "as in the table",
            "norm:MODEL:DOMAIN": "as in the table",
        },
    ),
    "capability": Outputs(
        "Does the base (the first model), asked often enough, solve what a model solves that was made from it?",
        {
            "solved": "share of items that the other model solves: at least `solves` of its responses are correct",
            "reached": "of these, the share that the base solves at least once in its samples",
            "pass@K": "unbiased pass@k of each model",
        },
        {
            "pass_at_k": {
                "model": "the base or the other",
                "domain": DOMAIN,
                "k": "responses",
                "pass_at_k": "chance that one of k is correct (0–1), mean over items",
            }
        },
    ),
}
