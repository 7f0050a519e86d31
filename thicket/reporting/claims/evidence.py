"""What an experiment measured, as figures with resamples: scores of models by item, costs, and analyses."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from thicket.config.places import ANALYSIS
from thicket.config.stages import ClaimsStage, ReportedAnalysis, ReportedModel, ReportStage
from thicket.reporting.inputs import Inputs, read_inputs
from thicket.statistics.intervals import bootstrap_means
from thicket.statistics.ratios import bootstrap_ratios, ratio
from thicket.statistics.resampled import SHARE, Resampled, constant, mean

RL = ("grpo", "simplerl", "dapo", "dr_grpo", "gspo", "ppo")
"""Methods that reinforce."""
ALL = "all"
LENGTHS, UNTOLD = ("steps", "share"), ("name", "code")
"""Of a method and of a stage: what may differ between points of one course."""


@dataclass(frozen=True)
class AnalysisResult:
    """An analysis and what it found."""

    made: ReportedAnalysis
    result: dict[str, Any]
    units: list[dict[str, Any]]
    resamples: int
    streams: dict[str, int]
    """Domain → the seed of its draws, the same for models' scores and for every analysis."""
    seed: int
    """That the second of its models was made with, which the first is held beside. Of one model, a base perhaps that is
    there once, that of the analysis: its draws are what is made anew."""

    def names(self, prefix: str) -> list[str]:
        """Statistics whose names begin so."""
        return list(dict.fromkeys(one["name"] for one in self.units if one["name"].startswith(prefix)))

    def statistic(
        self, name: str, domain: str | None = None, of: str = "", within: Collection[str] | None = None
    ) -> Resampled | None:
        """A statistic of a domain; None: the mean over domains (`within` these). None: it has no value."""
        found = [
            self._resampled(one)
            for one in self.units
            if one["name"] == name
            and one["of"] == of
            and domain in (None, one["domain"])
            and (within is None or one["domain"] in within)
        ]
        known = [one for one in found if one is not None]
        return mean(known) if known else None

    def share(
        self, name: str, domain: str | None = None, of: str = "", within: Collection[str] | None = None
    ) -> Resampled | None:
        """A statistic that lies between 0 and 1 whatever is measured: of units, of tokens, of correct responses."""
        found = self.statistic(name, domain, of, within)
        return found and replace(found, bounds=SHARE)

    def value(self, name: str, domain: str, of: str) -> float | None:
        """A statistic without its resamples. None: it has no value."""
        found = [one for one in self.units if (one["name"], one["domain"], one["of"]) == (name, domain, of)]
        return ratio(found[0]["amounts_U"], found[0]["weights_U"]) if found else None

    def half(self, name: str, which: int) -> Resampled | None:
        """A share over every second unit, from the first (0) or the second (1) on: the mean over domains."""
        found = [
            self._resampled({**one, **{key: one[key] and one[key][which::2] for key in ("amounts_U", "weights_U")}})
            for one in self.units
            if one["name"] == name
        ]
        known = [replace(one, bounds=SHARE) for one in found if one is not None]
        return mean(known) if known else None

    def domains(self, name: str, of: str = "") -> list[str]:
        """Domains, or what stands for them, that a statistic was measured on."""
        return [one["domain"] for one in self.units if one["name"] == name and one["of"] == of]

    def replicates(self, key: str) -> Resampled | None:
        """A figure that came with resamples of its own; None where there is none with a value."""
        value = self.result["figures"].get("values", {}).get(key)
        if value is None:
            return None
        given = self.result["figures"]["replicates"][key]
        drawn = np.array([np.nan if one is None else one for one in given], dtype=np.float64)
        chosen = np.random.default_rng(self.streams[ALL]).integers(0, drawn.size, size=self.resamples)
        return Resampled(float(value), drawn[chosen])

    def keys(self, prefix: str) -> list[str]:
        """Figures with resamples whose keys begin so."""
        return [key for key in self.result["figures"].get("replicates", {}) if key.startswith(prefix)]

    def parameters(self, model: str) -> int:
        return int(self.result["parameters"][model])

    def _resampled(self, one: dict[str, Any]) -> Resampled | None:
        value = ratio(one["amounts_U"], one["weights_U"])
        if value is None:
            return None
        stream = self.streams.get(one["domain"], self.streams[ALL])
        return Resampled(value, bootstrap_ratios(one["amounts_U"], one["weights_U"], self.resamples, stream))


class Evidence:
    """The artifacts of an experiment. Raises: ValueError where one is missing or broken."""

    def __init__(self, stage: ClaimsStage, root: Path):
        self.stage, self.root = stage, root
        self.inputs: dict[str, Inputs] = read_inputs(
            ReportStage(name="report", experiment=stage.experiment, domains=stage.domains, models=stage.models), root
        )
        self.models = {model.name: model for model in stage.models}
        places = enumerate([*stage.domains, ALL])
        self.streams = {
            name: int(np.random.SeedSequence([stage.seed, place]).generate_state(1)[0]) for place, name in places
        }

    @cached_property
    def analyses(self) -> list[AnalysisResult]:
        return [
            AnalysisResult(
                made,
                self._json(made, "result"),
                self._json(made, "units"),
                self.stage.resamples,
                self.streams,
                self.models[made.models[1]].seed if len(made.models) > 1 else made.seed,
            )
            for made in self.stage.analyses
        ]

    def _json(self, made: ReportedAnalysis, name: str) -> Any:
        path = self.root / ANALYSIS / made.name / f"{name}.json"
        if not path.is_file():
            raise ValueError(f"{path}: there is no such file; `dvc repro analyze-{made.name}` makes it")
        return json.loads(path.read_text(encoding="utf-8"))

    def of_type(self, kind: str) -> list[AnalysisResult]:
        """Analyses of a type."""
        return [one for one in self.analyses if one.made.type == kind]

    # -- models --------------------------------------------------------------------------------------------------------

    @property
    def seeds(self) -> list[int]:
        """The seeds that models were made with, bases aside."""
        return sorted({model.seed for model in self.models.values() if model.kind != "base"})

    @cached_property
    def on_the_way(self) -> frozenset[str]:
        """Models that took fewer steps than another of the same declaration: points of its course."""
        courses: dict[str, dict[str, int]] = {}
        for model in self.models.values():
            if model.kind != "base":
                courses.setdefault(self._declared(model), {})[model.name] = int(self.inputs[model.name].ledger["steps"])
        return frozenset(name for steps in courses.values() for name, own in steps.items() if own < max(steps.values()))

    def _declared(self, model: ReportedModel) -> str:
        """All that makes a model but for how long it is trained."""
        config = dict(self.inputs[model.name].provenance["config"])
        method = {key: value for key, value in config.pop("method", {}).items() if key not in LENGTHS}
        told = {key: value for key, value in config.items() if key not in UNTOLD}
        about = (model.kind, model.method, model.base, model.domain, model.effort, *model.teachers, model.seed)
        return json.dumps([about, told, method], sort_keys=True)

    def select(self, **wanted: Any) -> list[ReportedModel]:
        """Models with these values, but for those on the way to another; of a tuple, one of them."""
        return [
            model
            for model in self.models.values()
            if model.name not in self.on_the_way
            and all(
                getattr(model, key) in value if isinstance(value, tuple) else getattr(model, key) == value
                for key, value in wanted.items()
            )
        ]

    def root_of(self, name: str) -> str:
        """The base that a model goes back to."""
        base = self.models[name].base
        return name if base is None else self.root_of(base)

    def score(self, name: str, domain: str) -> Resampled:
        """Sampled pass@1 on the test items, or of the vote."""
        items = self.inputs[name].items[domain].pass_at_1_N
        draws_R = bootstrap_means(items, self.stage.resamples, self.streams[domain])
        return Resampled(float(items.mean()), draws_R, SHARE)

    def mean_score(self, name: str, domains: Sequence[str] | None = None) -> Resampled:
        """The mean over domains; None: over all."""
        return mean([self.score(name, domain) for domain in domains or self.stage.domains])

    def gain(self, name: str, domain: str) -> Resampled:
        """Against the base that it goes back to."""
        return self.score(name, domain) - self.score(self.root_of(name), domain)

    def own_gain(self, model: ReportedModel) -> Resampled:
        """A specialist's, on its own domain."""
        assert model.domain is not None
        return self.gain(model.name, model.domain)

    def gain_elsewhere(self, model: ReportedModel) -> Resampled | None:
        """A specialist's, on the others; None where there are none."""
        others = [domain for domain in self.stage.domains if domain != model.domain]
        return mean([self.gain(model.name, domain) for domain in others]) if others else None

    def flops(self, name: str) -> float:
        """Of its own training and of that of every model that it rests on, the bases left out."""
        return float(sum(self.inputs[name].provenance["cost"].values()))

    def own_flops(self, name: str) -> float:
        """Of its own training alone."""
        return float(self.inputs[name].provenance["cost"].get(name, 0.0))

    def size(self, base: str) -> int:
        """A base's weights that a token meets: as an analysis counted them, else as its own making did."""
        counted = [look.parameters(base) for look in self.analyses if base in look.made.models]
        return counted[0] if counted else int(self.inputs[base].provenance.get("spent", {}).get("parameters", 0))

    def one_recipe(self, bases: Collection[str]) -> list[str]:
        """Bases with the pretraining that most of them have, small to large; those of unknown size are left out."""
        recipes = {base: (self.models[base].steps, self.models[base].corpus) for base in sorted(set(bases))}
        counts = list(recipes.values())
        usual = max(counts, key=lambda recipe: (counts.count(recipe), recipe[0] or 0), default=None)
        kept = [base for base, recipe in recipes.items() if recipe == usual and self.size(base) > 0]
        return sorted(kept, key=lambda base: (self.size(base), base))

    def curve(self, name: str, column: str) -> list[float]:
        """A column of a learning curve; empty where there is none."""
        return [row[column] for row in self.inputs[name].curve if column in row]

    def constant(self, value: float) -> Resampled:
        """A figure without resamples of its own."""
        return constant(value, self.stage.resamples)

    def by_seed(self, models: Sequence[ReportedModel]) -> Iterator[tuple[int, list[ReportedModel]]]:
        """Models of one seed together."""
        for seed in self.seeds:
            if found := [model for model in models if model.seed == seed]:
                yield seed, found
