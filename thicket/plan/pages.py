"""The pages of docs/ on params.yaml, methods, domains and analyses, made of the code's own docstrings.

`thicket config pages` writes them; a test holds the committed ones to what it would write.
"""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from thicket.config.analysis import Analysis
from thicket.config.base import Architecture, Base, Corpus
from thicket.config.described import description
from thicket.config.distillation import Gap, Reward, Signal
from thicket.config.domain import Domain, Effort, Prompt, Splits, Window
from thicket.config.fields import Strict
from thicket.config.library import Library
from thicket.config.loggers import DvcLive, Loggers, MlFlow, TensorBoard, Wandb
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.on_policy import Lora
from thicket.config.optimizer import Optimizer
from thicket.config.params import (
    AnalysisNode,
    BaseNode,
    Declared,
    Params,
    Product,
    SpecialistNode,
    StudentNode,
    TeacherEntry,
)
from thicket.config.policy_gradient import TopShare, Weighting
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.schema import members, tags
from thicket.config.source import Source
from thicket.config.verifier import Verifier
from thicket.plan.outputs import OUTPUTS
from thicket.plan.source import docstring

HEADER = "<!-- Written by `thicket config pages` from the docstrings of thicket/. Change those, then run it again. -->"

PARAMS = (
    "The file that declares an experiment: which models there are, what each is made of, and which values differ from "
    "those of `conf/`. [README](../README.md#declare) has an example, `conf/experiment/` all that ship. `thicket "
    "check` composes all of it and names every mistake at once, `thicket config show STAGE` says what a stage's values "
    "come to and where each was set, `thicket config schema > params.schema.json` writes the JSON Schema with which "
    "editors check and complete the file (VS Code's YAML extension by the setting "
    '`"yaml.schemas": {"params.schema.json": "params.yaml"}`).\n\n'
    "A model's values are those of its option in `conf/`, then `values` over them, then its own `set`; each stands "
    "nested or as a path (`method.optimizer.lr: 1e-4`)."
)
DECLARATIONS: dict[str, type[BaseModel]] = {
    "bases": BaseNode,
    "products": Product,
    "specialists": SpecialistNode,
    "students": StudentNode,
    "teachers of a student": TeacherEntry,
    "analyses": AnalysisNode,
    "Declared": Declared,
}
"""Heading → what an entry of that field holds; the last is what several of them share."""
OTHER_GROUPS = (
    "Methods and samplers are in [docs/methods.md](methods.md), domains in [docs/domains.md](domains.md), analyses in "
    "[docs/analyses.md](analyses.md). `values: {GROUP: {OPTION: {…}}}` changes an option's values."
)
GROUPS: dict[str, list[type[BaseModel]]] = {
    "base": [*members(Base), Architecture, Corpus],
    "trainer": [Trainer],
    "evaluation": [Evaluation],
}
METHODS = (
    "A method is an option of `conf/method`; its `type` says which of these it is. What the report says of an option "
    "is the comment that its file begins with, or else what its type says of itself."
)
SAMPLERS = (
    "A sampler is an option of `conf/sampler`: what writes the responses of rollouts and of evaluations. `sampler: "
    "vllm` in params.yaml chooses it for all stages, `sampler=vllm` on the command line for one."
)
ANALYSES = (
    "An analysis measures something about models beside their scores. `analyses` of params.yaml declares those of the "
    "pipeline (`NAME: {analysis: OPTION, models: […], domains: […]}`; the claims are judged by them), and `thicket "
    "analyze OPTION model_a=… model_b=… domain=…` runs one on any models: names of the project, folders, or ids of the "
    "hub. The files lie in `build/analysis/NAME/`, or where the command says."
)
ANALYSIS_FILES = {
    "result.json": "`statistics`, each with `name`, `domain`, `of` (a model or pair, where there are several), "
    "`value`, `low` and `high` (its interval; null: undefined), `unit` and `units` (what is resampled, and how many "
    "there are); `figures`, the rest",
    "metrics.json": "the statistics' values alone, for `dvc metrics`",
    "units.json": "the statistics unit by unit, Σ `amounts_U` / Σ `weights_U`: what intervals and the claims resample",
    "TABLE.csv": "the tables below; an empty field is undefined",
    "picture.png": "a figure of the tables; `picture.svg` the same, `build/pictures/NAME.png` a copy for `dvc plots`",
}
CAPITALS = (
    "Below, words in capitals stand for something: `SIGMA` for a σ, `DOMAIN` for a domain. Shares and mean verdicts "
    "are between 0 and 1."
)


def write_pages(root: Path, library: Library) -> int:
    """Writes each page into docs/."""
    (root / "docs").mkdir(exist_ok=True)
    for name, text in pages(library).items():
        (root / "docs" / name).write_text(text, encoding="utf-8")
        print(f"docs/{name} is written.")
    return 0


def pages(library: Library) -> dict[str, str]:
    """File → text of each page."""
    return {
        "params.md": _params(library),
        "methods.md": _methods(library),
        "domains.md": _domains(library),
        "analyses.md": _analyses(library),
    }


def _params(library: Library) -> str:
    parts = [HEADER, "# params.yaml", PARAMS, *_table(Params)]
    for title, model in DECLARATIONS.items():
        parts += [f"## {title}", _text(model), *_table(model, own=True), *_inherited(model)]
    parts += ["## loggers", f"{_text(Loggers)} [docs/watching.md](watching.md) has an example."]
    for name, model in (("tensorboard", TensorBoard), ("dvclive", DvcLive), ("wandb", Wandb), ("mlflow", MlFlow)):
        parts += [f"### {name}", _text(model), *_table(model)]
    parts += ["## Options of other groups", OTHER_GROUPS]
    for group, models in GROUPS.items():
        parts.append(f"### conf/{group}")
        parts.append(f"Options: {_code(library.options(group))}.")
        for model in models:
            parts += [f"**{_kind(model)}**: {_text(model)}", *_table(model)]
    return "\n\n".join(parts) + "\n"


def _kind(model: type[BaseModel]) -> str:
    """What a config's `type` says, where there are several; else its name."""
    return f"`type: {tags(model)[0]}`" if "type" in model.model_fields else model.__name__


def _methods(library: Library) -> str:
    options = {name: library.option("method", name).value for name in library.options("method")}
    parts = [HEADER, "# Methods", METHODS]
    shown = set[str]()
    for title, union in (("Ways to a specialist", SpecialistMethod), ("Ways to a student", StudentMethod)):
        parts.append(f"## {title}")
        for model in members(union):
            (tag,) = tags(model)
            if tag in shown:
                parts.append(f"[`{tag}`](#{tag}), of its teachers' texts: as above.")
                continue
            shown.add(tag)
            named = [name for name, value in options.items() if value.get("type") == tag]
            parts += [f"### `{tag}`", docstring(f"thicket.methods.{tag}"), f"Options: {_code(named)}."]
            parts += [*_table(model, own=True), *_inherited(model)]
    parts += ["## Samplers", SAMPLERS]
    for model in members(Sampler):
        (tag,) = tags(model)
        parts += [f"### `{tag}`", _text(model), *_table(model)]
    parts.append("## What methods share")
    for model in (*_shared(), Optimizer, Weighting, TopShare, Lora, *members(Signal), Gap, Reward):
        parts += [f"### {model.__name__}", _text(model), *_table(model, own=True), *_inherited(model)]
    return "\n\n".join(parts) + "\n"


def _domains(library: Library) -> str:
    parts = [HEADER, "# Domains", "A domain is an option of `conf/domain`: a source of items, a prompt, a verifier."]
    parts += ["## Ready domains", _table_of_options(library), "## A domain's fields"]
    for model in (Domain, Prompt, Splits, Window, Effort):
        parts += [f"### {model.__name__}", _text(model), *_table(model)]
    for title, union, kind in (("Sources", Source, "sources"), ("Verifiers", Verifier, "verifiers")):
        parts.append(f"## {title}")
        for model in members(union):
            (tag,) = tags(model)
            module = f"thicket.domains.{kind}.{tag.replace('-', '_')}"
            parts += [f"### `{tag}`", docstring(module) or _text(model), *_table(model)]
    return "\n\n".join(parts) + "\n"


def _analyses(library: Library) -> str:
    parts = [HEADER, "# Analyses", ANALYSES, _meanings("file", ANALYSIS_FILES), CAPITALS]
    options = {name: library.option("analysis", name).value for name in library.options("analysis")}
    for model in members(Analysis):
        (tag,) = tags(model)
        named = [name for name, value in options.items() if value["type"] == tag]
        parts += [f"## `{tag}`", f"**{OUTPUTS[tag].question}**", docstring(f"thicket.analysis.{tag}")]
        parts += [f"Options: {_code(named)}. {_models(model)} {_fed(tag)}", *_table(model), *_outputs(tag)]
    return "\n\n".join(parts) + "\n"


def _models(model: Any) -> str:
    """How many models an analysis takes."""
    few, most = model.fewest_models, model.most_models
    return f"Models: {few}{'' if few == most else ' or more' if most is None else f' to {most}'}."


def _fed(tag: str) -> str:
    """The claims that need an analysis."""
    from thicket.reporting.claims.page import SECTIONS  # which loads what draws

    names = [claim.name for claims in SECTIONS.values() for claim in claims if f"`{tag}`" in claim.needs]
    return f"Claims judged by it: {_code(names)}." if names else "No claim is judged by it."


def _outputs(tag: str) -> Iterable[str]:
    """What it writes: its picture, statistics, tables and figures."""
    found = OUTPUTS[tag]
    yield f"`picture.png`: {docstring(f'thicket.reporting.pictures.{tag}')}"
    if found.statistics:
        yield _meanings("statistic", found.statistics)
    for name, columns in found.tables.items():
        yield f"`{name}.csv`:"
        yield _meanings("column", columns)
    if found.values or found.figures:
        values = {f"values.{name}": text for name, text in found.values.items()}
        yield _meanings("of `figures`", {**values, **found.figures})


def _meanings(head: str, words: Mapping[str, str]) -> str:
    rows = [f"| `{name}` | {_cell(text)} |" for name, text in words.items()]
    return "\n".join([f"| {head} | meaning |", "|---|---|", *rows])


def _table_of_options(library: Library) -> str:
    rows = ["| domain | source | verifier | prompt | what it is |", "|---|---|---|---|---|"]
    for name in library.options("domain"):
        value = library.option("domain", name).value
        source, style = value["source"], value.get("prompt", {}).get("style", "raw")
        task = source.get("task") or source.get("path") or ""
        said = library.about("domain", name)
        rows.append(f"| `{name}` | {source['type']} {task} | {value['verifier']['type']} | {style} | {_cell(said)} |")
    return "\n".join(rows)


def _text(model: type[BaseModel]) -> str:
    return inspect.cleandoc(model.__doc__ or "")


def _shared() -> list[type[BaseModel]]:
    """What several methods have in common: the classes that theirs derive from, the most general first."""
    methods = [model for union in (SpecialistMethod, StudentMethod) for model in members(union)]
    chains = [reversed(model.__mro__[1 : model.__mro__.index(Strict)]) for model in methods]
    return list(dict.fromkeys(one for chain in chains for one in chain))


def _inherited(model: type[BaseModel]) -> Iterable[str]:
    """Where a method's further fields are described."""
    (parent,) = model.__bases__
    if parent is not Strict:
        yield f"And the fields of [{parent.__name__}](#{parent.__name__.lower()})."


def _table(model: type[BaseModel], own: bool = False) -> Iterable[str]:
    """A model's fields, or those that its parent does not have or has otherwise, as a table; nothing without any."""
    known = inspect.get_annotations(model) if own else model.model_fields
    fields = {name: field for name, field in model.model_fields.items() if name != "type" and name in known}
    if fields:
        rows = [f"| `{name}` | {_default(field)} | {_cell(_meaning(model, name))} |" for name, field in fields.items()]
        yield "\n".join(["| field | default | meaning |", "|---|---|---|", *rows])


def _meaning(model: type[BaseModel], name: str) -> str:
    """What is said of a field, or of what it holds."""
    kind: Any = model.model_fields[name].annotation
    if said := description(model, name):
        return said
    if inspect.isclass(kind) and issubclass(kind, BaseModel):
        return _text(kind).partition(". ")[0].partition(":")[0].removesuffix(".") + "."
    return f"One of {_code(tag for model in members(kind) for tag in tags(model))}."


def _default(field: FieldInfo) -> str:
    allowed = _choices(field.annotation)
    if field.default is PydanticUndefined:
        kind: Any = field.annotation
        nested = inspect.isclass(kind) and issubclass(kind, BaseModel)
        return f"required, see {kind.__name__}" if nested else f"required{allowed}"
    value = field.default
    if isinstance(value, BaseModel):
        return f"see {type(value).__name__}"
    shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else repr(value)
    return f"`{shown}`{allowed}"


def _choices(annotation: Any) -> str:
    """The words that a field may hold, where they are few and named."""
    words = [word for word in get_args(annotation) if isinstance(word, str)]
    return f" of {_code(words)}" if words else ""


def _code(words: Iterable[str]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
