"""The card of a model: what it is made of and how, its data, its scores and its licence, for the Hugging Face hub."""

import json
from collections.abc import Iterator
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from thicket.commands import recipe
from thicket.commands.about import about
from thicket.commands.figures import facts
from thicket.commands.made import Made
from thicket.commands.models import parents_of
from thicket.commands.prompt_forms import asked_domains, prompt_forms
from thicket.config.base import HubBase, PretrainedBase
from thicket.config.never_right import in_words, noted_in
from thicket.config.resolve import Resolved
from thicket.config.source import DatasetSource
from thicket.config.stages import BaseStage, DataStage
from thicket.plan.objective import SELECTION
from thicket.reporting.inputs import PASS_AT_1, interval_of
from thicket.reporting.markdown import escaped
from thicket.reporting.results import GREEDY
from thicket.reporting.text import duration, percent, percent_interval, si

UNSTATED = "not stated"
HASH_DIGITS = 12
USE = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{0}")
tokenizer = AutoTokenizer.from_pretrained("{0}")
{1}```"""
ASK = """asked = tokenizer("…", return_tensors="pt")  # as “Prompts” says
answer = model.generate(**asked, max_new_tokens={0}{1})
print(tokenizer.decode(answer[0, asked.input_ids.shape[1] :], skip_special_tokens=True))
"""


class Card:
    """What a card says of a model."""

    def __init__(self, model: Made, data: dict[str, DataStage], license: str | None):
        """`data`: domain → what its items come from; `license`: an id of the hub's; None: the base's."""
        self.model, self.name, self.resolved, self.base, self.data = model, model.name, model.resolved, model.base, data
        self.license = license or getattr(self.base.base, "license", None)
        known, self.outdated = facts(model.targets, model.scores), model.outdated
        self.made, self.scores = known["origin"], None if self.outdated else known["scores"]
        self.ledger, self.times = known["ledger"] or {}, known["times"] or {}

    @property
    def text(self) -> str:
        """The whole file. Raises: ValueError where a score is not one that the hub takes."""
        parts = [f"# {self.name}", *self._words(), "## Lineage", "\n".join(self._lineage(self.name, self.resolved, 0))]
        parts += ["## How it was trained", "\n".join(self._training())]
        parts += ["## Data", *self._data_words(), "## Scores", *self._score_words()]
        parts += ["## Use", self._use(), "## Prompts", *self._prompt_words(), "## Licence", self._license_words()]
        return str(ModelCard(f"---\n{self.header.to_yaml()}\n---\n\n" + "\n\n".join(parts) + "\n"))

    @property
    def header(self) -> ModelCardData:
        """What the hub reads."""
        merged, base = recipe.is_merged(self.resolved.stage), self.base.base
        hub_base = base.id if isinstance(base, HubBase) else None
        known: dict[str, Any] = {"license": self.license} if self.license else {}
        if hub_base:
            known |= {"base_model": hub_base, "base_model_relation": "merge" if merged else "finetune"}
        datasets = sorted({one.path for one in self._sources() if one.path})
        tags = ["thicket", self._method, *(["mergekit", "merge"] if merged else [])]
        results = list(self._results())
        return ModelCardData(
            library_name="transformers",
            pipeline_tag="text-generation",
            tags=list(dict.fromkeys(tags)),
            datasets=datasets or None,
            model_name=self.name if results else None,
            eval_results=results or None,
            **known,
        )

    @property
    def _method(self) -> str:
        stage: Any = self.resolved.stage
        return stage.base.type if isinstance(stage, BaseStage) else stage.method.type

    def _results(self) -> Iterator[EvalResult]:
        settings = self.scores["settings"] if self.scores else {}
        for domain, figures in (self.scores["domains"] if self.scores else {}).items():
            source = self.data[domain].domain.source
            place = source.path if isinstance(source, DatasetSource) and source.path else f"thicket/{domain}"
            for figure in (PASS_AT_1, GREEDY):
                if figure in figures:
                    found = interval_of(figures, figure)
                    bounds = f"{settings['confidence'] * 100:g} % interval {percent_interval(found)}"
                    way = "greedy" if figure == GREEDY else f"{settings['samples']} samples an item"
                    yield EvalResult(
                        task_type="text-generation",
                        dataset_type=place,
                        dataset_name=domain,
                        dataset_split=settings["split"],
                        metric_type=PASS_AT_1 if figure == PASS_AT_1 else "accuracy",
                        metric_name=f"{figure}, % ({way}, {bounds})",
                        metric_value=float(percent(found.value)),
                    )

    def _words(self) -> list[str]:
        words = f"A {self.resolved.kind}: {escaped(about(self.resolved.stage))}, over the base `{self.base.name}`."
        commit = self.times.get("commit")
        at = f" at commit `{commit}`" if commit else ""
        weights = self.made["weights"][:HASH_DIGITS]
        told = [f"{words} Made by thicket{at}; weights `{weights}`, seed {self.made['seed']}."]
        if others := self.model.made_anew():
            named = ", ".join(f"`{name}`" for name in others)
            told.append(f"It was made of earlier weights of {named}: the lineage has the configs of later ones.")
        return told

    def _lineage(self, name: str, resolved: Resolved, depth: int) -> Iterator[str]:
        yield f"{'  ' * depth}- `{name}`: {escaped(about(resolved.stage))}{self._origin(resolved.stage)}"
        for parent in parents_of(resolved):
            yield from self._lineage(parent, self.model.models[parent], depth + 1)

    def _origin(self, stage: Any) -> str:
        if not isinstance(stage, BaseStage):
            return ""
        base = stage.base
        if isinstance(base, HubBase):
            return f", `{base.id}` at revision `{base.revision}`"
        if isinstance(base, PretrainedBase):
            tasks = ", ".join(task.task for task in base.corpus.tasks)
            return f", {base.steps} steps from scratch on a made corpus ({escaped(tasks)})"
        return f", `{getattr(base, 'file', None) or getattr(base, 'path', '')}`"

    def _training(self) -> Iterator[str]:
        ledger = self.ledger
        stage: Any = self.resolved.stage
        if recipe.is_merged(stage):
            yield f"- merged by weights, nothing trained; `{recipe.FILE}` is the recipe"
        if ledger:
            yield f"- {ledger['steps']} steps{self._time()}"
            yield f"- {si(ledger['tokens_generated'])} tokens generated, {si(ledger['tokens_trained'])} trained on"
            total = sum(self.made["cost"].values())
            if (selection := ledger.get(SELECTION)) is not None:
                yield f"- pass@1 of {percent(selection)} % on the selection items, which its making has seen"
            yield f"- {si(ledger['flops'])} FLOPs; {si(total)} with all models that it rests on, the base left out"
        versions = ", ".join(f"{name} {version}" for name, version in self.made["versions"].items())
        yield f"- config `{self.made['config_hash'][:HASH_DIGITS]}`, which `provenance.json` has whole"
        yield f"- {escaped(versions)}"

    def _time(self) -> str:
        """How long it took and on what, where that is known here."""
        if not self.times:
            return ""
        return f", {duration(self.times['wall_seconds'])} on {escaped(str(self.times['device']))}"

    def _trained_on(self) -> list[str]:
        """The domains that this model, or one behind it, was trained or chosen on."""
        return list(dict.fromkeys(domain for one in self.model.behind() for domain in one.domains))

    def _sources(self) -> list[DatasetSource]:
        sources = [self.data[domain].domain.source for domain in self._trained_on()]
        return [source for source in sources if isinstance(source, DatasetSource)]

    def _data_words(self) -> list[str]:
        lines = ["| domain | from | licence |", "| --- | --- | --- |"]
        for domain in self._trained_on():
            source = self.data[domain].domain.source
            if isinstance(source, DatasetSource):
                place = f"`{source.path}` at `{source.revision}`" if source.path else f"`{source.data_files}`"
                lines.append(f"| {domain} | {place} | {source.license or UNSTATED} |")
            else:
                task = getattr(source, "task", "")
                lines.append(f"| {domain} | {source.type}{f' ({escaped(task)})' if task else ''} | made by a program |")
        return ["\n".join(lines)] if len(lines) > 2 else ["None beside the base's."]

    def _score_words(self) -> list[str]:
        if not self.scores:
            why = "Not scored with these weights" if self.outdated else "Not scored"
            return [f"{why}: `{self.model.scored_by}` does it."]
        settings, domains = self.scores["settings"], self.scores["domains"]
        named = (PASS_AT_1, *(f"pass@{k}" for k in settings["ks"] if k > 1), GREEDY)
        figures = [key for key in named if any(key in found for found in domains.values())]
        lines = [f"| domain, % | {' | '.join(figures)} | items |", f"| --- |{' --- |' * (len(figures) + 1)}"]
        for domain, found in domains.items():
            cells = [_scored(found, key) for key in figures]
            lines.append(f"| {domain} | {' | '.join(cells)} | {found['items']} |")
        samples = f"{settings['samples']} samples an item at temperature {settings['temperature']:g}"
        told = f"{samples} on {settings['split']} items"
        lost = in_words(noted_in(self.scores), settings["split"])
        intervals = f"{settings['confidence'] * 100:g} % intervals over items (bootstrap)."
        return ["\n".join(lines), f"{told}; {intervals}", *([f"{lost}."] if lost else [])]

    def _use(self) -> str:
        domains = asked_domains(self._stages(), self._trained_on())
        if not domains:
            return USE.format(self.name, "")
        stops = sorted({one.stop for one in domains if one.stop})
        ends = f", stop_strings={json.dumps(stops, ensure_ascii=False)}, tokenizer=tokenizer" if stops else ""
        return USE.format(self.name, ASK.format(max(one.window.response for one in domains), ends))

    def _prompt_words(self) -> list[str]:
        return prompt_forms(self._stages(), self.data, self._trained_on())

    def _stages(self) -> list[Any]:
        return [one.stage for one in self.model.behind()]

    def _license_words(self) -> str:
        if self.license:
            return f"{self.license}. The data's licences stand above."
        return "Not stated: the base names none, and `thicket export --license ID` sets one."


def _scored(found: dict[str, Any], figure: str) -> str:
    if figure not in found:
        return "—"
    return f"{percent(found[figure])} {percent_interval(interval_of(found, figure))}"
