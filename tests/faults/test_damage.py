"""Files that were damaged, or are gone: what can be made again is, and said; else one line names the file."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from breaking import End, Killed, break_step, kill
from commands import Run
from safetensors.torch import load_file
from toys import changed, stages

from thicket.stages.run import in_pipeline, run_stage
from thicket.training.loop import Steps

Damage = Callable[[Path], None]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def flip(path: Path) -> None:
    """One bit, three quarters into the file: of the weights, not of the head."""
    held = bytearray(path.read_bytes())
    held[len(held) * 3 // 4] ^= 0x10
    path.write_bytes(held)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    path.write_bytes(b"no checkpoint, and no weights" * 99)


def break_off(project: Path, stage: Any, monkeypatch: pytest.MonkeyPatch, at: int = 5) -> None:
    """Kills a training at a step."""
    with monkeypatch.context() as patched:
        break_step(patched, at, End(kill, Killed))
        with pytest.raises(Killed):
            run_stage(project, stage, in_pipeline(project, stage))


def weights(project: Path, name: str) -> Path:
    return project / "build/models" / name / "model.safetensors"


@pytest.mark.parametrize("damage", [cut, flip, empty, other])
def test_a_damaged_checkpoint_is_set_aside_and_the_training_begins_anew(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: Run, damage: Damage
) -> None:
    before = load_file(weights(project, "sort-grpo"))
    stage = stages(project)["specialist-sort-grpo"]
    break_off(project, stage, monkeypatch)
    (checkpoint,) = (project / "build/resume").glob("specialist-sort-grpo-*/last.ckpt")
    damage(checkpoint)
    again = said(project, stage)
    assert again.status == 0
    assert f"specialist sort-grpo: {checkpoint} is broken (" in again.err
    assert "set aside as last.ckpt.broken" in again.err
    assert "goes on from" not in again.out
    after = load_file(weights(project, "sort-grpo"))
    assert all(after[key].equal(before[key]) for key in before)
    assert not checkpoint.parent.exists()


@pytest.mark.parametrize(
    ("name", "kept"), [("sort-ssd", "samples/*.jsonl"), ("sort-self-consistency", "candidates.json")]
)
def test_damaged_work_in_progress_is_done_again(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: Run, name: str, kept: str
) -> None:
    stage = small(project, name)
    assert said(project, stage).status == 0
    artifact = in_pipeline(project, stage).artifact
    before = {path.name: path.read_bytes() for path in artifact.iterdir()}
    with monkeypatch.context() as patched:
        patched.setattr("thicket.stages.run.shutil.rmtree", lambda *_, **__: None)  # What is kept stays.
        run_stage(project, stage, in_pipeline(project, stage))
    held = sorted((project / "build/resume").glob(f"specialist-{name}-*/{kept}"))
    cut(held[0])
    again = said(project, stage)
    assert again.status == 0
    assert f"{held[0]} is broken (" in again.err
    assert {path.name: path.read_bytes() for path in artifact.iterdir()} == before


def small(project: Path, name: str) -> Any:
    """A stage of another method, on the toy's sizes."""
    from toys import DECLARED, declare

    method = name.removeprefix("sort-")
    more = {name: {"base": "tiny", "domain": "sort", "method": method}}
    sizes = {"ssd": {"steps": 4, "batch": 4, "select_samples": 2}, "self-consistency": {"items": 4}}
    values = {**DECLARED["values"], "method": {**DECLARED["values"]["method"], method: sizes[method]}}
    declare(project, {**DECLARED, "specialists": {**DECLARED["specialists"], **more}, "values": values})
    return stages(project)[f"specialist-{name}"]


PARENTS = {
    "cut weights": ("models/tiny/model.safetensors", cut, "broken, not a whole safetensors file"),
    "a flipped bit": ("models/tiny/model.safetensors", flip, "its weights are not those that its provenance.json"),
    "other weights": ("models/tiny/model.safetensors", other, "broken, not a whole safetensors file"),
    "cut config": ("models/tiny/config.json", cut, "build/models/tiny: its"),
    "cut tokenizer": ("models/tiny/tokenizer.json", cut, "build/models/tiny: its tokenizer can't be loaded"),
    "cut provenance": ("models/tiny/provenance.json", cut, "its provenance.json is broken"),
    "cut items": ("data/sort/train.jsonl", cut, "train.jsonl:"),
}


@pytest.mark.parametrize(("path", "damage", "message"), PARENTS.values(), ids=PARENTS)
def test_damaged_inputs_are_named(project: Path, said: Run, path: str, damage: Damage, message: str) -> None:
    damage(project / "build" / path)
    stage = changed(stages(project)["specialist-sort-grpo"], "method.steps", 2)
    before = weights(project, "sort-grpo").read_bytes()
    failed = said(project, stage)
    assert failed.status == 1
    assert failed.err.count("\n") == 1
    assert message in failed.err
    assert weights(project, "sort-grpo").read_bytes() == before


def test_a_teacher_that_vanishes_while_it_teaches(
    project: Path, monkeypatch: pytest.MonkeyPatch, said: Run, tmp_path: Path
) -> None:
    stage = stages(project)["student-opd"]
    assert said(project, stage).status == 0
    unbroken = load_file(weights(project, "opd"))
    teacher, aside = project / "build/models/reverse-grpo", tmp_path / "aside"
    step = Steps.one_step

    def one_step(self: Steps) -> None:
        if self.step == 3:
            shutil.move(teacher, aside)
        step(self)

    with monkeypatch.context() as patched:
        patched.setattr(Steps, "one_step", one_step)
        failed = said(project, stage)
    assert failed.status == 1
    assert failed.err == f"Error: {teacher}: there is no such folder\n"
    assert load_file(weights(project, "opd")).keys() == unbroken.keys()
    shutil.move(aside, teacher)
    again = said(project, stage)
    assert "goes on from step 2" in again.out
    after = load_file(weights(project, "opd"))
    assert all(after[key].equal(unbroken[key]) for key in unbroken)
    assert json.loads((project / "build/metrics/opd.json").read_text(encoding="utf-8"))["steps"] == 6
