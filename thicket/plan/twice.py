"""Models that are declared a second time under another name."""

from collections.abc import Iterable

from thicket.config.stages import BaseStage, SpecialistStage, Stage, StudentStage


def declared_twice(stages: Iterable[Stage]) -> dict[str, str]:
    """Model → the first one that is made by equal values, with an equal seed and of the same models.

    Each stage comes after those that it needs.
    """
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    for stage in stages:
        if isinstance(stage, BaseStage | SpecialistStage | StudentStage):
            name = first.setdefault(_made_of(stage, same), stage.name)
            if name != stage.name:
                same[stage.name] = name
    return same


def _made_of(stage: BaseStage | SpecialistStage | StudentStage, same: dict[str, str]) -> str:
    """All that a model is made of; those among it that are declared twice by their first names."""
    parts: dict[str, object] = {}
    if not isinstance(stage, BaseStage):
        parts["base"] = same.get(stage.base, stage.base)
    if isinstance(stage, StudentStage):
        named = [
            teacher.model_copy(update={"name": same.get(teacher.name, teacher.name)}) for teacher in stage.teachers
        ]
        parts |= {"teachers": named, "budget_of": same.get(stage.budget_of or "", stage.budget_of)}
    return stage.model_copy(update=parts).model_dump_json(exclude={"name", "code"})
