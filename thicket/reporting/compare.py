"""From the files of a run to its results: every model against its base, every student against its specialists."""

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from thicket.config.never_right import noted_in
from thicket.config.stages import ReportedModel, ReportStage
from thicket.config.useful import USEFUL
from thicket.reporting.consolidation import Held, by_students
from thicket.reporting.inputs import PASS_AT_1, Inputs, interval_of
from thicket.reporting.methods import by_method, root_of
from thicket.reporting.results import (
    GREEDY,
    Answers,
    Cell,
    Cost,
    Level,
    ModelResult,
    Origin,
    Recovered,
    Results,
)
from thicket.reporting.settings import Settings
from thicket.reporting.ssd_points import ssd_maps
from thicket.reporting.taught import best_of
from thicket.statistics.intervals import Interval, difference_interval
from thicket.statistics.recovery import recovery, sum_interval


def compare(stage: ReportStage, inputs: dict[str, Inputs]) -> Results:
    """The results of an experiment. `inputs` are those of every model of the stage, scored on equal items."""
    first = inputs[stage.models[0].name]
    scored = first.metrics["settings"]
    shown = {field.name: scored[field.name] for field in fields(Settings) if field.name != "seed"}
    settings = Settings(**{**shown, "ks": tuple(scored["ks"])}, seed=stage.seed)
    comparison = _Comparison(tuple(stage.domains), inputs, settings)
    return Results(
        experiment=stage.experiment,
        domains=comparison.domains,
        items={domain: len(first.items[domain].ids) for domain in stage.domains},
        settings=settings,
        models={model.name: comparison.result(model) for model in stage.models},
        methods=stage.methods,
        ways=by_method(inputs, comparison.domains, settings),
        consolidations=by_students(inputs, comparison.domains, settings, comparison.difference, comparison.held),
        maps=ssd_maps(inputs, comparison.domains),
    )


class _Comparison:
    def __init__(self, domains: tuple[str, ...], inputs: dict[str, Inputs], settings: Settings):
        self.domains, self.inputs, self.settings = domains, inputs, settings

    def result(self, model: ReportedModel) -> ModelResult:
        name, root = model.name, root_of(model, self.inputs)
        is_base, count = model.kind == "base", len(self.domains)
        values = [self._values(name, domain) / count for domain in self.domains]
        differences = [self.difference(name, domain) / count for domain in self.domains]
        return ModelResult(
            model=model,
            root=root,
            cells={domain: self._cell(model, domain) for domain in self.domains},
            mean=sum_interval(values, *self.settings.bootstrap),
            mean_difference=None if is_base else sum_interval(differences, *self.settings.bootstrap),
            recovered=self._recovered(model),
            cost=self._cost(name),
            answers=self._answers(name, root),
            origin=self._origin(name),
            curve=self.inputs[name].curve,
            shown=self.inputs[name].shown,
            never_right=noted_in(self.inputs[name].metrics),
        )

    def _values(self, name: str, domain: str) -> NDArray[np.float64]:
        return self.inputs[name].items[domain].pass_at_1_N

    def difference(self, name: str, domain: str) -> NDArray[np.float64]:
        """Each item's difference to the model's base."""
        return self._values(name, domain) - self._values(root_of(self.inputs[name].model, self.inputs), domain)

    def _cell(self, model: ReportedModel, domain: str) -> Cell:
        figures = self.inputs[model.name].metrics["domains"][domain]
        own, reference = self._values(model.name, domain), self._values(root_of(model, self.inputs), domain)
        named = [name for name in (*(f"pass@{k}" for k in self.settings.ks), GREEDY) if name in figures]
        return Cell(
            scores={name: interval_of(figures, name) for name in named},
            difference=None if model.kind == "base" else difference_interval(own, reference, *self.settings.bootstrap),
            greedy_difference=self._greedy_difference(model.name, domain),
            length=figures["length"],
            truncated=figures["truncated"],
            levels={
                level: Level(interval_of(values, PASS_AT_1), values["items"])
                for level, values in figures["level"].items()
            },
        )

    def _greedy_difference(self, name: str, domain: str) -> Interval | None:
        way = self.inputs[name].metrics["answering"]
        sampled = way["temperature"] > 0 and way["votes"] == 1
        reference = self.inputs[root_of(self.inputs[name].model, self.inputs)].items[domain].greedy_N
        if sampled or reference is None:
            return None
        return difference_interval(self._values(name, domain), reference, *self.settings.bootstrap)

    def _recovered(self, model: ReportedModel) -> Recovered | None:
        found = self.held(model.name) if model.kind == "student" else None
        if found is None:
            return None
        shared = recovery(found.student_DN, found.specialist_DN, *self.settings.bootstrap)
        counted, taught = self._specialists(model.name), self._taught(model.name)
        beside = {domain: tuple(one for one in taught[domain] if one not in names) for domain, names in counted.items()}
        return Recovered(shared, counted, {domain: names for domain, names in beside.items() if names})

    def held(self, name: str) -> Held | None:
        """A student against the specialists of its domains; None where it has none."""
        specialists, root = self._specialists(name), root_of(self.inputs[name].model, self.inputs)
        if not specialists:
            return None
        gains = [
            np.mean([self._values(one, domain) - self._values(root, domain) for one in names], axis=0)
            for domain, names in specialists.items()
        ]
        return Held([self.difference(name, domain) for domain in specialists], gains)

    def _specialists(self, name: str) -> dict[str, tuple[str, ...]]:
        """Domain → the models that a student is held against: its teacher there, or the best of them."""
        return {domain: best_of(names, domain, self.inputs) for domain, names in self._taught(name).items()}

    def _taught(self, name: str) -> dict[str, tuple[str, ...]]:
        """Domain → the teachers that judge it."""
        pairs = self._teachers(name)
        found = {domain: tuple(one for one, judged in pairs if judged == domain) for domain in self.domains}
        return {domain: names for domain, names in found.items() if names}

    def _teachers(self, name: str) -> list[tuple[str, str]]:
        """(teacher, domain) of a student; for one without teachers, those of the model whose cost it may spend."""
        config = self.inputs[name].provenance["config"]
        pairs = [(teacher["name"], teacher["domain"]) for teacher in config["teachers"] if teacher["weight"] > 0]
        return pairs if pairs or config["budget_of"] is None else self._teachers(config["budget_of"])

    def _cost(self, name: str) -> Cost:
        ledger, provenance = self.inputs[name].ledger, self.inputs[name].provenance
        budget_of = provenance["config"].get("budget_of")
        method = provenance["config"].get("method", {})
        kind, share = method.get("budget", "whole"), method.get("share", 1.0)
        allowed = dict(self.inputs[budget_of].provenance["cost"]) if budget_of else {}
        if kind == "teachers":
            allowed.pop(budget_of)
        times = self.inputs[name].times
        return Cost(
            **{count: ledger[count] for count in ("tokens_generated", "tokens_trained", "flops", "steps")},
            wall_seconds=times.get("wall_seconds"),
            peak_memory_bytes=times.get("peak_memory_bytes"),
            total_flops=_total(self.inputs[name]),
            budget_of=budget_of,
            budget=kind,
            budget_share=share,
            budget_flops=share * sum(allowed.values()) if budget_of else None,
            useful=ledger.get(USEFUL),
        )

    def _answers(self, name: str, root: str) -> Answers:
        own, base = self._mean_figures(name), self._mean_figures(root)
        return Answers(**{**self.inputs[name].metrics["answering"], **own}, times=own["flops"] / base["flops"])

    def _mean_figures(self, name: str) -> dict[str, float]:
        """What an answer of a model takes, the mean over domains."""
        shown = self.inputs[name].metrics["domains"]
        names = "calls", "prompt", "tokens", "flops"
        return {figure: float(np.mean([shown[domain][figure] for domain in self.domains])) for figure in names}

    def _origin(self, name: str) -> Origin:
        times, provenance = self.inputs[name].times, self.inputs[name].provenance
        return Origin(
            seed=provenance["seed"],
            config_hash=provenance["config_hash"],
            weights=provenance["weights"],
            commit=times.get("commit"),
            device=times.get("device"),
        )


def _total(inputs: Inputs) -> float:
    return float(sum(inputs.provenance["cost"].values()))
