"""The pages of docs/ on methods, domains and analyses, made of the schema's and the methods' own docstrings.

`thicket config pages` writes them; a test holds the committed ones to what it would write.
"""

import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from thicket.config.analysis import Analysis
from thicket.config.distillation import Gap, Reward, Signal
from thicket.config.domain import Domain, Effort, Prompt, Splits, Window
from thicket.config.fields import Strict
from thicket.config.library import Library
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.on_policy import Lora
from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import TopShare, Weighting
from thicket.config.run import Sampler
from thicket.config.schema import members, tags
from thicket.config.source import Source
from thicket.config.verifier import Verifier
from thicket.plan.source import docstring

HEADER = "<!-- Written by `thicket config pages` from the docstrings of thicket/. Change those, then run it again. -->"

SAMPLERS = (
    "A sampler is an option of `conf/sampler`: what writes the responses of rollouts and of evaluations. `sampler: "
    "vllm` in params.yaml chooses it for all stages, `sampler=vllm` on the command line for one."
)
ANALYSES = (
    "An analysis measures something about models beside their scores. `analyses` of params.yaml declares those of the "
    "pipeline (`NAME: {analysis: OPTION, models: […], domains: […]}`; the claims are judged by them), and `thicket "
    "analyze OPTION model_a=… model_b=… domain=…` runs one on any models: names of the project, folders, or ids of the "
    "hub. Each writes `result.json` (every statistic with its interval), `units.json` (what can be resampled), a CSV "
    "of each table, and its picture."
)


def write_pages(root: Path, library: Library) -> int:
    """Writes docs/methods.md, docs/domains.md and docs/analyses.md."""
    (root / "docs").mkdir(exist_ok=True)
    for name, text in pages(library).items():
        (root / "docs" / name).write_text(text, encoding="utf-8")
        print(f"docs/{name} is written.")
    return 0


def pages(library: Library) -> dict[str, str]:
    """File → text of each page."""
    return {"methods.md": _methods(library), "domains.md": _domains(library), "analyses.md": _analyses(library)}


def _methods(library: Library) -> str:
    options = {name: library.option("method", name).value for name in library.options("method")}
    parts = [HEADER, "# Methods", "A method is an option of `conf/method`; its `type` says which of these it is."]
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
    parts = [HEADER, "# Analyses", ANALYSES]
    options = {name: library.option("analysis", name).value for name in library.options("analysis")}
    for model in members(Analysis):
        (tag,) = tags(model)
        named = [name for name, value in options.items() if value["type"] == tag]
        parts += [f"## `{tag}`", _text(model), docstring(f"thicket.analysis.{tag}"), f"Options: {_code(named)}."]
        parts += [*_table(model)]
    return "\n\n".join(parts) + "\n"


def _table_of_options(library: Library) -> str:
    rows = ["| domain | source | verifier | prompt | what it is |", "|---|---|---|---|---|"]
    for name in library.options("domain"):
        value = library.option("domain", name).value
        source, style = value["source"], value.get("prompt", {}).get("style", "raw")
        task = source.get("task") or source.get("path") or ""
        said = " ".join(_comment(library.root / "domain" / f"{name}.yaml"))
        rows.append(f"| `{name}` | {source['type']} {task} | {value['verifier']['type']} | {style} | {_cell(said)} |")
    return "\n".join(rows)


def _comment(path: Path) -> Iterator[str]:
    """The lines of the comment that a file begins with."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            return
        yield line.removeprefix("#").strip()


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
        rows = [
            f"| `{name}` | {_default(field)} | {_cell(field.description or '')} |" for name, field in fields.items()
        ]
        yield "\n".join(["| field | default | meaning |", "|---|---|---|", *rows])


def _default(field: FieldInfo) -> str:
    allowed = _choices(field.annotation)
    if field.default is PydanticUndefined:
        return f"required{allowed}"
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
