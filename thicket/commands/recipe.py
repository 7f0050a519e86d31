"""A merged student as a file that mergekit merges again."""

from pathlib import Path
from typing import Any

from thicket.config.merging import Dare, GreedySoup, Merging, Soup, TaskVectors, Ties
from thicket.config.places import MODELS
from thicket.config.stages import StudentStage, Teacher
from thicket.config.yamlfile import to_yaml
from thicket.reporting.inputs import read_curve
from thicket.reporting.kept import kept

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
    curve = read_curve(curves)
    if not curve:
        raise ValueError(f"{curves}: there is no such file, which says what was chosen; making {stage.name} writes it")
    if isinstance(method, TaskVectors):
        return given, next(row["scale"] for row in curve if row["taken"])
    names = kept([teacher.name for teacher in stage.teachers], curve)
    return [teacher for teacher in stage.teachers if teacher.name in names], 1.0
