"""Every option that ships is sound by itself, and every resolved config is read as it was written."""

from pathlib import Path
from typing import Any

import pytest

from thicket.config.analysis import Analysis
from thicket.config.base import Base
from thicket.config.domain import Domain
from thicket.config.fields import Strict
from thicket.config.layers import Layered
from thicket.config.library import GROUPS, Library
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.schema import tags
from thicket.config.stages import STAGE_TYPES, DataStage, Stage, read_stage, write_stage
from thicket.config.validate import validate
from thicket.plan.pipeline import resolve

ROOT = Path(__file__).parents[2]
LIBRARY = Library(ROOT / "conf")
SHIPPED = [(group, name) for group in GROUPS for name in LIBRARY.options(group)]


class OfBase(Strict):
    base: Base


class OfDomain(Strict):
    domain: Domain


class OfSpecialist(Strict):
    method: SpecialistMethod


class OfStudent(Strict):
    method: StudentMethod


class OfRun(Strict):
    sampler: Sampler | None = None
    trainer: Trainer | None = None
    evaluation: Evaluation | None = None
    analysis: Analysis | None = None


def problems(group: str, name: str) -> list[Problem]:
    """What is wrong with an option, but for the values that it leaves open."""
    option = LIBRARY.option(group, name)
    of_method = OfSpecialist if option.value.get("type") in tags(SpecialistMethod) else OfStudent
    model = {"base": OfBase, "domain": OfDomain, "method": of_method}.get(group, OfRun)
    try:
        validate(model, Layered().graft(option, (group,)))
    except ConfigError as error:
        return [problem for problem in error.problems if problem.given != "'???'"]
    return []


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_options(group: str, name: str) -> None:
    assert problems(group, name) == []


@pytest.mark.parametrize("name", LIBRARY.options("domain"))
def test_a_domain_is_named_as_its_file(name: str) -> None:
    assert LIBRARY.option("domain", name).value["name"] == name


def configs() -> list[Stage]:
    domains = [Domain.model_validate(LIBRARY.option("domain", name).value) for name in LIBRARY.options("domain")]
    data: list[Stage] = [DataStage(name=domain.name, domain=domain.data_part()) for domain in domains]
    return [*data, *(made.stage for made in resolve(Project(ROOT)))]


def test_a_config_is_read_as_it_was_written(tmp_path: Path) -> None:
    stages: list[Any] = configs()
    assert {stage.stage for stage in stages} == set(STAGE_TYPES)
    for stage in stages:
        write_stage(tmp_path / "stage.yaml", stage)
        assert read_stage(tmp_path / "stage.yaml") == stage


def test_equal_configs_are_equal_files(tmp_path: Path) -> None:
    for place, stage in enumerate([*configs(), *configs()]):
        write_stage(tmp_path / f"{place}.yaml", stage)
    count = len(configs())
    for place in range(count):
        assert (tmp_path / f"{place}.yaml").read_bytes() == (tmp_path / f"{place + count}.yaml").read_bytes()
