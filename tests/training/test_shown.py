"""Samples that a training leaves for people: few, of the right steps, with the rewards that it learned from."""

import json
from pathlib import Path

import pytest
from toys import changed, stages

from thicket.config.shown import FILE, Shown, read_shown, write_shown
from thicket.stages.run import in_pipeline, run_stage
from thicket.training.rewards import reward
from thicket.training.shown import is_shown


def test_steps_are_kept_as_often_as_their_number_doubles() -> None:
    assert [step for step in range(1, 100) if is_shown(step)] == [1, 2, 4, 8, 16, 32, 64]


def test_a_training_leaves_samples_with_their_rewards(project: Path) -> None:
    stage = changed(stages(project)["specialist-sort-grpo"], "method.steps", 3)
    targets = in_pipeline(project, stage)
    run_stage(project, stage, targets)
    found = read_shown(targets.artifact)
    assert [one.step for one in found] == [1] * 4 + [2] * 4
    assert {(one.domain, one.own) for one in found} == {("sort", True)}
    for one in found:
        digits = one.prompt.removeprefix("sort ").partition("=")[0].strip()
        right = one.response.strip() == "".join(sorted(digits))
        assert one.reward == reward(right, one.tokens, stage.domain, 0), one
        assert one.tokens >= len(one.response)
    again = (targets.artifact / FILE).read_bytes()
    run_stage(project, stage, targets)
    assert (targets.artifact / FILE).read_bytes() == again


def test_any_text_comes_back(tmp_path: Path) -> None:
    shown = [Shown(1, "sort", "a\u2028b\r\n", "\x00\u202e</script>", None, 3, False)]
    write_shown(tmp_path, shown)
    assert read_shown(tmp_path) == shown
    assert read_shown(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("text", ["{", "[1]\n", json.dumps({"step": 1}) + "\n"])
def test_what_is_no_file_of_samples_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=r"samples\.jsonl: not samples of a training"):
        read_shown(tmp_path)
