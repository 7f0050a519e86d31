"""What a run from the command line reads of what others have made, and what it makes no second time."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command
from toys import DECLARED, declare, stages, toy_project

from thicket.config.yamlfile import to_yaml
from thicket.plan import sweep
from thicket.stages.publish import locked
from thicket.stages.run import Targets, in_pipeline
from thicket.standing import Standing


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The artifacts of the trainings that were started; none is made."""
    started: list[Path] = []

    def note(root: Path, stage: Any, targets: Targets) -> int:
        targets.artifact.mkdir(parents=True)
        started.append(targets.artifact)
        return 0

    monkeypatch.setattr(sweep, "run_one", note)
    monkeypatch.setattr(sweep, "not_made", lambda *_: [])
    return started


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of toy sizes, which is the working folder."""
    root = toy_project(tmp_path / "toy")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("settings", [(), ("-m", "method.optimizer.lr=1e-4,1e-3")])
def test_what_is_not_made_yet_is_named_at_once(toy: Path, command: Command, settings: tuple[str, ...]) -> None:
    asked = ("specialist", "base=tiny", "domain=sort", "method=grpo", *settings)
    assert "it reads what is not here, or not whole: `dvc repro data-sort base-tiny` makes it\n" in command(*asked).err
    stage: Any = stages(toy)["base-tiny"]
    run = Standing(toy / "build/logs", "base-tiny")
    run.tells("base", 0.25, "step 5", None)
    run.log.close()
    with locked(in_pipeline(toy, stage).lock(toy, stage), "it"):
        assert "makes it; base-tiny is being made: 25%  step 5\n" in command(*asked).err
    (toy / "build/data/sort").mkdir(parents=True)
    refused = command(*asked)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.count("`dvc repro base-tiny`") == 1


def test_data_that_no_stage_makes_is_to_be_declared(toy: Path, command: Command) -> None:
    asked = ("specialist", "-m", "base=tiny", "domain=sort,odd", "method=grpo")
    said = command(*asked)
    wrong = "domains: the data of odd is not made: add odd to it and run `thicket plan`, then `dvc repro data-odd`\n"
    assert said.status == 2
    assert said.err.splitlines(keepends=True)[1].startswith("params.yaml:")
    assert said.err.splitlines(keepends=True)[1].endswith(wrong)
    assert "`dvc repro data-sort base-tiny` makes it" in said.err
    declare(toy, DECLARED | {"domains": ["sort", "reverse", "odd"]})
    assert "`dvc repro data-sort data-odd base-tiny` makes it" in command(*asked).err


def test_a_report_reads_scores_too(toy: Path, command: Command) -> None:
    asked = command("report").err
    assert "`dvc repro base-tiny " in asked
    assert " evaluate-tiny " in asked


def test_an_equal_run_is_not_repeated(toy: Path, command: Command, ran: list[Path]) -> None:
    first, again = command("specialist", "domain=sort"), command("specialist", "domain=sort")
    assert again.out == first.out.replace("\n", " (made before)\n")
    assert len(ran) == 1


def test_a_run_on_other_items_or_weights_is_another(toy: Path, command: Command, ran: list[Path]) -> None:
    command("specialist", "domain=sort")
    for path in ("data/sort/train.jsonl", "models/tiny/provenance.json"):
        (toy / "build" / path).parent.mkdir(parents=True)
        (toy / "build" / path).write_text("others\n", encoding="utf-8")
        command("specialist", "domain=sort")
    assert len(set(ran)) == 3


def lock_in_step(root: Path) -> None:
    """Writes dvc.lock as if DVC had run what sort's specialists read, with the configs of now."""
    configs = {"data-sort": "build/config/data/sort.yaml", "base-tiny": "build/config/models/tiny.yaml"}
    read = {name: {"params": {path: yaml.safe_load((root / path).read_text())}} for name, path in configs.items()}
    (root / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": read}), encoding="utf-8")


def test_what_was_made_of_another_config_is_told(toy: Path, command: Command, ran: list[Path]) -> None:
    assert command("compose").status == 0
    lock_in_step(toy)
    assert "Note" not in command("specialist", "domain=sort").out
    declare(toy, {**DECLARED, "values": {**DECLARED["values"], "domain": {"sort": {"splits.train": 25}}}})
    said = command("specialist", "domain=sort", "seed=5").out
    assert said.startswith(
        "Note: data-sort was made with another config or other code: `dvc repro data-sort` makes it anew.\n"
    )
    assert said.count("Note") == 1


def test_a_report_with_scores_of_earlier_weights_says_so(
    toy: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "not_made", lambda *_: [])
    models = ("tiny", "sort-grpo", "reverse-grpo", "opd")
    for name in models:
        for kind, file in {"evaluation": "model.json", "models": "provenance.json"}.items():
            path = toy / "build" / kind / name / file
            path.parent.mkdir(parents=True)
            weights = "old" if (name, kind) == ("opd", "evaluation") else "new"
            path.write_text(json.dumps({"weights": weights, "answering": None}), encoding="utf-8")
    said = command("report").out
    assert said.startswith("Note: evaluate-opd scored earlier weights: `dvc repro evaluate-opd` scores those of now.\n")
    assert said.count("Note") == 1
