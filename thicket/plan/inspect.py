"""The commands config show, config diff and config schema."""

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from thicket.config.analysis import Analysis
from thicket.config.base import Base
from thicket.config.domain import Domain
from thicket.config.layers import Path_, leaves
from thicket.config.library import EXPERIMENTS
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.overrides import COMMAND_LINE
from thicket.config.params import Params
from thicket.config.problems import ConfigError, Problem, dotted, nearest, shown
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.schema import for_editors
from thicket.plan import console
from thicket.plan.folders import MAKERS
from thicket.plan.pipeline import resolve

DEFAULT = "default"
"""The origin of a value that nobody set: the schema's."""
NONE = "—"
"""Stands for a value that a side lacks."""
STAGE = "stage or model"
"""What the commands take."""
ALIGNED = 70
"""The most columns before an origin; longer lines stick out."""
SCHEMAS: dict[str, Any] = {
    "params": Params,
    "base": Base,
    "domain": Domain,
    "method": SpecialistMethod | StudentMethod,
    "sampler": Sampler,
    "trainer": Trainer,
    "evaluation": Evaluation,
    "analysis": Analysis,
}


def show(root: Path, stage: str | None) -> int:
    """Prints the resolved config of a stage or a model, with the origin of each value, or the stages there are."""
    if stage is None:
        print("\n".join(made.id for made in resolve(Project(root))))
        return 0
    resolved = pick(stage, _stages(root), STAGE)
    lines = {path: f"{dotted(path)}: {_json(value)}" for path, value in values(resolved).items()}
    width = min(max(map(len, lines.values())), ALIGNED)
    for path, line in lines.items():
        print(f"{line:<{width}}  # {resolved.layers.origins.get(path, DEFAULT)}")
    return 0


def diff(root: Path, left: str, right: str) -> int:
    """Prints the values in which two stages, two models or two experiments differ."""
    project = Project(root)
    experiments = project.library.options(EXPERIMENTS)
    if left in experiments and (right in experiments or not {left, right} <= _stages(root).keys()):
        sides = [dict(leaves(project.experiment(name).params_layers.value)) for name in (left, right)]
    else:
        stages = _stages(root)
        sides = [values(pick(name, stages, STAGE)) for name in (left, right)]
    differing = differences(*sides)
    if differing:
        console.show(side_by_side(left, right, differing))
    else:
        print("No difference.")
    return 0


def differences(left: dict[Path_, Any], right: dict[Path_, Any]) -> list[tuple[Path_, str, str]]:
    """Path, value and other value, as JSON, of all that differs; `—` where a side has none."""
    found = []
    for path in dict.fromkeys([*left, *right]):
        pair = [_json(side[path]) if path in side else NONE for side in (left, right)]
        if pair[0] != pair[1]:
            found.append((path, *pair))
    return found


def side_by_side(left: str, right: str, differing: list[tuple[Path_, str, str]]) -> Table:
    """The values that differ as a table."""
    made = console.table("value", left, right)
    for path, *pair in differing:
        made.add_row(dotted(path), *pair)
    return made


def schema(kind: str) -> int:
    """Prints the JSON Schema of params.yaml or of the options of a group of conf/."""
    model = pick(kind, SCHEMAS, "schema")
    print(json.dumps(for_editors(model, options=kind != "params"), indent=2, ensure_ascii=False))
    return 0


def _stages(root: Path) -> dict[str, Resolved]:
    return by_name(resolve(Project(root)))


def by_name(stages: list[Resolved]) -> dict[str, Resolved]:
    """Every stage by its name, and those that make models by the models' too."""
    return {made.stage.name: made for made in stages if made.kind in MAKERS} | {made.id: made for made in stages}


def values(resolved: Resolved) -> dict[Path_, Any]:
    """Every value of a stage's config by its path, its code left out."""
    return dict(leaves(resolved.stage.model_dump(exclude={"code"})))


def pick(name: str, known: dict[str, Any], what: str, meant: str = "") -> Any:
    """The entry of a name. Raises: ConfigError where there is none.

    `meant`: what the name may stand for that is no entry.
    """
    if name not in known:
        wrong, close = f"there is no such {what}", meant or nearest(name, list(known))
        raise ConfigError([Problem(COMMAND_LINE, what, shown(name), wrong, ", ".join(known), close)])
    return known[name]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
