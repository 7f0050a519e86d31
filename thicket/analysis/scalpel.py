"""How far models went from their base, what they gained on their domain, and what they forgot (arXiv 2507.10616).

The first model is the base; the first domain is the one that the others were trained on, the rest are elsewhere. KL is
exact over the whole vocabulary, in nats a token, and each way is taken along the responses of the model that it is an
expectation over. Legend: I items.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from thicket.analysis.answers import Answers, answers
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Row, Statistic
from thicket.analysis.positions import Written, measure
from thicket.analysis.weights import ALL, Change, Group, changes, defined, grouped, opened
from thicket.config.analysis import Scalpel
from thicket.ops import draws
from thicket.sampling.environment import Environment
from thicket.statistics.intervals import bootstrap_means
from thicket.statistics.ratios import bootstrap_ratios
from thicket.statistics.resampled import Resampled, mean

TEMPERATURE = 1.0
REPLICATES = 500
BOOTSTRAP = 14
"""Stream of draws: resamples."""
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Along:
    """KL summed over the tokens of each item's responses."""

    nats_I: Floats
    tokens_I: Floats

    @property
    def value(self) -> float:
        """Nats a token."""
        return float(self.nats_I.sum() / self.tokens_I.sum())

    def resampled(self, seed: int) -> Resampled:
        ratios_R = bootstrap_ratios(self.nats_I, self.tokens_I, REPLICATES, seed)
        return Resampled(self.value, ratios_R)


@dataclass(frozen=True)
class Compared:
    """A model and its base on a domain."""

    domain: str
    scores_I: Floats
    gain_I: Floats
    """The model's score − the base's."""
    model_base: Along
    """KL(model ‖ base) along the model's responses."""
    base_model: Along
    """KL(base ‖ model) along the base's."""

    def gained(self, seed: int) -> Resampled:
        return Resampled(float(self.gain_I.mean()), bootstrap_means(self.gain_I, REPLICATES, seed))


def analyze(config: Scalpel, case: Case) -> Found:
    """Raises: ValueError where models have not the same tensors, which names both."""
    with opened(case.models) as weights:
        found = changes(weights, device=case.device, tell=lambda share: case.tell(0.0, f"weights {share:.0%}"))
        groups = grouped(found)
    base_scores, compared = _compared(config, case)
    base, *others = (subject.name for subject in case.models)
    measured = [
        _Measured(name, groups[ALL, ALL], place, compared[name], case.seed) for place, name in enumerate(others)
    ]
    own = [Statistic("score", domain, "item", scores_I.tolist(), of=base) for domain, scores_I in base_scores.items()]
    return Found(
        statistics=own + [statistic for one in measured for statistic in one.statistics()],
        tables={"models": [one.row for one in measured], "kinds": _kinds(others, groups)},
        figures={
            "values": {key: figure.value for one in measured for key, figure in one.ratios.items()},
            "replicates": {key: figure.draws_R.tolist() for one in measured for key, figure in one.ratios.items()},
        },
    )


def _compared(config: Scalpel, case: Case) -> tuple[dict[str, Floats], dict[str, list[Compared]]]:
    """The base's scores by domain, and each model's domains; two models are in memory."""
    total, done = len(case.models) * len(case.environments), 0

    def tell(name: str, scores_I: Floats) -> None:
        nonlocal done
        done += 1
        case.tell(done / total, f"{name} {scores_I.mean():.3f}")

    base = case.models[0].load(case.device)
    of_base, compared = dict[str, Answers](), dict[str, list[Compared]]()
    for environment in case.environments:
        found = of_base[environment.domain.name] = answers(case, base, environment, config.samples, TEMPERATURE)
        tell(f"{case.models[0].name} on {environment.domain.name}", found.scores_I)
    for subject in case.models[1:]:
        model, domains = subject.load(case.device), compared.setdefault(subject.name, [])
        for environment in case.environments:
            name = environment.domain.name
            found = answers(case, model, environment, config.samples, TEMPERATURE)
            model_base, _ = _along(case, base, model, environment, found)
            _, base_model = _along(case, base, model, environment, of_base[name])
            gain_I = found.scores_I - of_base[name].scores_I
            domains.append(Compared(name, found.scores_I, gain_I, model_base, base_model))
            tell(f"{subject.name} on {name}", found.scores_I)
    return {name: found.scores_I for name, found in of_base.items()}, compared


def _along(case: Case, base: Any, model: Any, environment: Environment, found: Answers) -> tuple[Along, Along]:
    """KL(model ‖ base) and KL(base ‖ model) along responses."""
    written = [
        Written(item, environment.prompts[item], response.tokens)
        for item, group in enumerate(found.responses)
        for response in group
    ]
    positions = measure(base, model, written, len(case.tokenizer), 1, case.batch)
    tokens_I, *nats = (
        np.bincount(positions.item_N, amounts_N, len(environment.items)).astype(np.float64)
        for amounts_N in (None, positions.figure("kl_other_base"), positions.figure("kl_base_other"))
    )
    of_model_I, of_base_I = nats
    return Along(of_model_I, tokens_I), Along(of_base_I, tokens_I)


@dataclass(frozen=True)
class _Measured:
    """What is found of a model."""

    name: str
    change: Change
    place: int
    """Of the model among those of the change."""
    domains: Sequence[Compared]
    seed: int

    @property
    def elsewhere(self) -> Sequence[Compared]:
        return self.domains[1:]

    def statistics(self) -> Iterator[Statistic]:
        """`score`, `gain` (score − the base's), `kl_model_base` and `kl_base_model` on every domain; `forgetting`, the
        mean over the other domains of base − model; `weight_change`, ‖δ‖/‖w‖, and `unchanged_share` of the weights,
        which nothing is resampled of.
        """
        for one in self.domains:
            yield Statistic("score", one.domain, "item", one.scores_I.tolist(), of=self.name)
            yield Statistic("gain", one.domain, "item", one.gain_I.tolist(), of=self.name)
            for kind in ("model_base", "base_model"):
                along: Along = getattr(one, kind)
                nats, tokens = along.nats_I.tolist(), along.tokens_I.tolist()
                yield Statistic(f"kl_{kind}", one.domain, "item", nats, tokens, of=self.name)
        if self.elsewhere:
            # Weights by which every domain counts alike, however many items it has.
            weights_I = np.concatenate([np.full(one.gain_I.size, 1 / one.gain_I.size) for one in self.elsewhere])
            lost_I = -np.concatenate([one.gain_I for one in self.elsewhere])
            yield Statistic("forgetting", ALL, "item", (lost_I * weights_I).tolist(), weights_I.tolist(), of=self.name)
        for name, share_M in (
            ("weight_change", self.change.relative_M),
            ("unchanged_share", self.change.unchanged_share_M),
        ):
            yield Statistic(name, ALL, "model", [float(share_M[self.place])], of=self.name)

    @cached_property
    def gain(self) -> Resampled:
        """On the domain."""
        return self.domains[0].gained(self._stream(0))

    @cached_property
    def forgetting(self) -> Resampled | None:
        """None where there is no other domain."""
        if not self.elsewhere:
            return None
        return -mean([one.gained(self._stream(place)) for place, one in enumerate(self.domains) if place])

    @cached_property
    def kl(self) -> Resampled:
        """KL(model ‖ base) on the domain."""
        return self.domains[0].model_base.resampled(self._stream(0))

    @property
    def ratios(self) -> dict[str, Resampled]:
        """`gain_per_kl:MODEL`, `forgetting_per_kl:MODEL` and `forgetting_per_gain:MODEL`; NaN for a divisor of 0."""
        found = {f"gain_per_kl:{self.name}": self.gain / self.kl}
        if self.forgetting is not None:
            found[f"forgetting_per_kl:{self.name}"] = self.forgetting / self.kl
            found[f"forgetting_per_gain:{self.name}"] = self.forgetting / self.gain
        return found

    @property
    def row(self) -> Row:
        """Of the table of models: on the domain, where nothing else is said."""
        trained, elsewhere = self.domains[0], [one.model_base.value for one in self.elsewhere]
        return {
            "model": self.name,
            "score": float(trained.scores_I.mean()),
            "gain": self.gain.value,
            "forgetting": None if self.forgetting is None else self.forgetting.value,
            "kl_model_base": self.kl.value,
            "kl_base_model": trained.base_model.value,
            "kl_model_base_elsewhere": float(np.mean(elsewhere)) if elsewhere else None,
            "weight_change": float(self.change.relative_M[self.place]),
            "unchanged_share": float(self.change.unchanged_share_M[self.place]),
        }

    def _stream(self, place: int) -> int:
        """Seed of the resamples of a domain's items, the same for every model."""
        return draws.key(self.seed, BOOTSTRAP, place)


def _kinds(names: Sequence[str], groups: Mapping[Group, Change]) -> list[Row]:
    """How much each kind of matrix changed, over all layers."""
    return [
        {
            "model": name,
            "kind": kind,
            "norm": float(change.norms_M[place]),
            "relative_norm": defined(change.relative_M[place]),
            "unchanged_share": float(change.unchanged_share_M[place]),
        }
        for place, name in enumerate(names)
        for (layer, kind), change in groups.items()
        if layer == ALL
    ]
