"""The commands config show, config diff and config schema."""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from thicket.config.base import Base
from thicket.config.domain import Domain
from thicket.config.layers import Layered, Path_
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.params import Params
from thicket.config.problems import ConfigError, Problem, dotted, nearest
from thicket.config.project import PARAMS, Project
from thicket.config.resolve import Resolved
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.yamlfile import read_yaml
from thicket.plan.pipeline import resolve

SCHEMAS: dict[str, Any] = {
    "params": Params,
    "base": Base,
    "domain": Domain,
    "method": SpecialistMethod | StudentMethod,
    "sampler": Sampler,
    "trainer": Trainer,
    "evaluation": Evaluation,
}


def show(root: Path, stage: str | None) -> int:
    """Prints a stage's resolved config with the origin of each value, or the stages there are."""
    stages = {resolved.id: resolved for resolved in resolve(Project(root))}
    if stage is None:
        print("\n".join(stages))
        return 0
    resolved = _pick(stages, stage)
    flat = leaves(resolved.stage.model_dump(mode="json", exclude={"code"}))
    width = max(len(f"{dotted(path)}: {_shown(value)}") for path, value in flat)
    for path, value in flat:
        text = f"{dotted(path)}: {_shown(value)}"
        print(f"{text:<{min(width, 70)}}  # {_origin(resolved.layers, path)}")
    return 0


def _pick(stages: dict[str, Resolved], name: str) -> Resolved:
    if name not in stages:
        problem = Problem("command line", "stage", repr(name), "there is no such stage")
        close = nearest(name, list(stages))
        raise ConfigError(
            [Problem(problem.where, problem.path, problem.given, problem.wrong, ", ".join(stages), close)]
        )
    return stages[name]


def diff(root: Path, left: str, right: str) -> int:
    """Prints the values in which two stages, or two experiments, differ."""
    project = Project(root)
    options = project.library.options("experiment")
    if left in options and right in options:
        folder = project.library.root / "experiment"
        sides = [leaves(read_yaml(folder / f"{name}.yaml", name).value) for name in (left, right)]
    else:
        stages = {resolved.id: resolved for resolved in resolve(project)}
        sides = [leaves(_pick(stages, name).stage.model_dump(mode="json", exclude={"code"})) for name in (left, right)]
    from rich.console import Console
    from rich.table import Table

    table = Table("value", left, right, box=None, pad_edge=False)
    values = [dict(side) for side in sides]
    for path in dict.fromkeys([*values[0], *values[1]]):
        pair = [_shown(side[path]) if path in side else "—" for side in values]
        if pair[0] != pair[1]:
            table.add_row(dotted(path), *pair)
    Console().print(table if table.row_count else "No difference.")
    return 0


def schema(kind: str) -> int:
    """Prints the JSON Schema of params.yaml or of a group of conf/."""
    if kind not in SCHEMAS:
        close = nearest(kind, list(SCHEMAS))
        raise ConfigError([Problem("command line", "kind", repr(kind), "no such schema", ", ".join(SCHEMAS), close)])
    print(json.dumps(TypeAdapter(SCHEMAS[kind]).json_schema(), indent=2, ensure_ascii=False))
    return 0


def leaves(value: Any, at: Path_ = ()) -> list[tuple[Path_, Any]]:
    """Every value that is not a mapping or a list of mappings, with its path."""
    if isinstance(value, dict) and value:
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*at, key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for index, inner in enumerate(value) for leaf in leaves(inner, (*at, index))]
    return [(at, value)]


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _origin(layers: Layered, path: Path_) -> str:
    """Who set a value: a line of a file, an override, the schema's default, or params.yaml's graph."""
    exact = layers.origins.get(path)
    if exact:
        return exact
    if path[0] in layers.value:
        return "default of the schema"
    return f"{PARAMS} (the graph)"
