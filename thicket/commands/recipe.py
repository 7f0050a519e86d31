"""A merged student as a file that mergekit merges again."""

import csv
from pathlib import Path
from typing import Any

from thicket.config.merging import Dare, GreedySoup, Merging, Soup, TaskVectors, Ties
from thicket.config.places import MODELS
from thicket.config.stages import StudentStage, Teacher
from thicket.config.yamlfile import to_yaml

FILE = "mergekit_config.yml"
"""The name that mergekit itself gives such a file."""


def is_merged(stage: Any) -> bool:
    """Whether a model's weights are computed from others'."""
    return isinstance(stage, StudentStage) and isinstance(stage.method, Merging)


def mergekit_file(stage: StudentStage, curves: Path) -> str:
    """The text of the file, for `mergekit-yaml` in the project's folder.

    Merged as thicket does, in float64. `curves`: the file of its learning curve, which names what was chosen.
    Raises: ValueError where that is needed and not there.
    """
    method, (teachers, scale) = stage.method, _chosen(stage, curves)
    models = [{"model": _path(teacher.name), "parameters": {"weight": teacher.weight}} for teacher in teachers]
    made: dict[str, Any] = {"merge_method": "linear", "models": models, "parameters": {"normalize": True}}
    if isinstance(method, TaskVectors):
        made |= {"merge_method": method.type, "base_model": _path(stage.base), "parameters": {"lambda": scale}}
    head = f"# {stage.name}: mergekit-yaml {FILE} FOLDER, in the project's folder.\n"
    if isinstance(method, Ties):
        made["parameters"] |= {"density": method.density, "normalize": True}
    if isinstance(method, Dare):
        made["merge_method"] = "dare_ties" if method.then == "ties" else "dare_linear"
        made["parameters"]["density"] = 1 - method.drop
        head += (
            "# mergekit draws which differences it drops in its own way: its weights are others of the same recipe.\n"
        )
    return head + to_yaml({**made, "dtype": "float64", "out_dtype": "float32"})


def _path(model: str) -> str:
    return f"./{(MODELS / model).as_posix()}"


def _chosen(stage: StudentStage, curves: Path) -> tuple[list[Teacher], float]:
    """The teachers that went in, and λ. Of a choice, the learning curve's rows say which were taken."""
    given, method = [teacher for teacher in stage.teachers if teacher.weight > 0], stage.method
    scales = method.scales if isinstance(method, TaskVectors) else [1.0]
    if isinstance(method, Soup) or (len(scales) == 1 and not isinstance(method, GreedySoup)):
        return given, scales[0]
    if not curves.is_file():
        raise ValueError(f"{curves}: there is no such file, which says what was chosen; making {stage.name} writes it")
    with curves.open(newline="", encoding="utf-8") as file:
        taken = [row for row in csv.DictReader(file) if float(row["taken"])]
    if isinstance(method, TaskVectors):
        return given, float(taken[0]["scale"])
    places = {int(float(row["teacher"])) - 1 for row in taken}
    return [teacher for place, teacher in enumerate(stage.teachers) if place in places], 1.0
