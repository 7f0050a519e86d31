"""Ways to compute the same thing: micro-batches and one batch, one teacher and several, a soup of one."""

from pathlib import Path
from typing import Any

import pytest
from breaking import assert_close, make
from safetensors.torch import load_file
from toys import changed, stages

from thicket.config.distillation import SampledToken
from thicket.config.stages import Teacher

SAMPLED = {"method.signal": SampledToken(type="sampled_token"), "method.updates": 2}


@pytest.mark.parametrize(
    ("name", "changes"),
    [("specialist-sort-grpo", {}), ("student-opd", {}), ("student-opd", SAMPLED)],
    ids=["grpo", "opd", "opd, the sampled token, two updates"],
)
def test_micro_batches_equal_one_batch(project: Path, name: str, changes: dict[str, Any]) -> None:
    """One step: afterwards Adam turns rounding of gradients near zero into steps of full size."""
    stage = changed(stages(project)[name], "method.steps", 1)
    for path, value in changes.items():
        stage = changed(stage, path, value)
    stage = changed(stage, "method.optimizer.lr", 1e-3)
    whole = make(project, changed(stage, "method.micro_batch", 1_000))
    start = load_file(project / "build/models/tiny/model.safetensors")
    assert any(not whole[key].equal(start[key]) for key in whole)
    for size in (1, 3):
        assert_close(make(project, changed(stage, "method.micro_batch", size)), whole, atol=1e-5)


def test_one_teacher_equals_several_with_weights_one_and_zero(project: Path) -> None:
    stage = stages(project)["student-opd"]
    domain = stage.domains[0]
    one = changed(stage, "domains", [domain])
    alone = make(project, changed(one, "teachers", [Teacher(name="sort-grpo", domain="sort")]))
    several = [
        Teacher(name="sort-grpo", domain="sort", weight=1.0),
        Teacher(name="reverse-grpo", domain="sort", weight=0.0),
        Teacher(name="tiny", domain="sort", weight=0.0),
    ]
    assert_close(make(project, changed(one, "teachers", several)), alone, atol=0.0)


def test_a_teacher_split_in_two_equals_the_whole(project: Path) -> None:
    stage = changed(changed(stages(project)["student-opd"], "method.steps", 1), "method.optimizer.lr", 1e-3)
    one = changed(stage, "domains", [stage.domains[0]])
    halves = [Teacher(name="sort-grpo", domain="sort", weight=weight) for weight in (0.25, 0.75)]
    whole = make(project, changed(one, "teachers", [Teacher(name="sort-grpo", domain="sort")]))
    assert_close(make(project, changed(one, "teachers", halves)), whole, atol=1e-5)


def test_a_student_of_its_own_base_stays_where_it_is(project: Path) -> None:
    """KL(π ‖ π) is 0 and so is its gradient: what moves is rounding, scaled up by Adam."""
    stage = changed(stages(project)["student-opd"], "method.optimizer.lr", 1e-4)
    teachers = [Teacher(name="tiny", domain=domain.name) for domain in stage.domains]
    student = make(project, changed(stage, "teachers", teachers))
    curve = (project / "build/curves/opd.csv").read_text().splitlines()
    place = curve[0].split(",").index("loss")
    assert all(abs(float(row.split(",")[place])) < 1e-4 for row in curve[1:])
    start = load_file(project / "build/models/tiny/model.safetensors")
    assert_close(student, start, atol=6 * 1e-4)


def test_the_batch_of_the_sampler_changes_nothing(project: Path) -> None:
    stage = changed(stages(project)["specialist-sort-grpo"], "method.steps", 1)
    assert_close(
        make(project, changed(stage, "sampler.batch", 4)), make(project, changed(stage, "sampler.batch", 64)), atol=1e-5
    )
