"""`thicket show FOLDER`: a run that thicket started by itself, made or on its way."""

import json
import os
import shutil
from pathlib import Path

import pytest
from command_line_scores import ALWAYS, NEVER
from commands import Command
from reporting_run import PLAIN, SETTINGS, figures

from thicket.stages.publish import locked
from thicket.stages.run import lock_of
from thicket.standing import Standing

RUN = "build/runs/specialist/sort-grpo-01234567"
STAGE = "specialist-sort-grpo"


@pytest.fixture
def begun(scored: Path) -> Path:
    """With a run that was told of at a quarter."""
    run = Standing(scored / RUN, STAGE)
    run.tells("specialist", 0.25, "step 5", 100.0)
    run.log.close()
    return scored


@pytest.fixture
def made(scored: Path) -> Path:
    """With a run that is made."""
    config = {"name": "sort-grpo", "seed": 3, "method": {"type": "grpo", "steps": 5}, "code": {}}
    cost = {"cost": {"sort-grpo": 3e9}, "weights": "ab" * 32, "config_hash": "cd" * 32, "parents": {"tiny": "ef" * 32}}
    write(scored / RUN / "specialist/provenance.json", {"name": "sort-grpo", "stage": "specialist", "seed": 3} | cost)
    made = json.loads((scored / RUN / "specialist/provenance.json").read_text()) | {"config": config}
    write(scored / RUN / "specialist/provenance.json", made)
    ledger = {"steps": 5, "tokens_generated": 1000, "tokens_trained": 2000, "flops": 3e9}
    write(scored / RUN / "ledger.json", ledger)
    Standing(scored / RUN, STAGE).ends("done")
    return scored


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_one_that_runs_and_one_that_broke_off(begun: Path, command: Command) -> None:
    with locked(lock_of(begun, begun / RUN / "specialist", STAGE), "it"):
        found = json.loads(command("show", RUN, "--json").out)
        assert (found["state"], found["log"]) == ("running", f"{RUN}/{STAGE}.log")
        assert (found["progress"]["share"], found["progress"]["pid"]) == (0.25, os.getpid())
        assert "▶ 25%  step 5" in command("show", RUN).out
        said = command("chat", f"{RUN}/specialist")
        assert (said.status, "it is being made: 25%  step 5" in said.err) == (2, True)
    for arguments in (["export", RUN], ["chat", RUN]):
        said = command(*arguments)
        assert (said.status, "not made yet: broke off at 25%, and begins anew" in said.err) == (2, True)
    said = command("show", RUN)
    assert (said.status, said.err) == (0, "")
    assert f"‖ broke off at 25%, and begins anew: no checkpoint is there  ({RUN}/{STAGE}.log)" in said.out
    (begun / "build/resume" / f"{STAGE}-0123456789abcdef").mkdir()
    said = command("show", RUN)
    assert f"‖ broke off at 25%  ({RUN}/{STAGE}.log)" in said.out
    assert "goes on from its last checkpoint" in said.out
    assert command("clean", "stopped", "--yes").status == 0
    assert "begins anew" in command("show", RUN).out
    assert json.loads(command("show", RUN, "--json").out)["resumes"] is False


def test_one_that_failed(scored: Path, command: Command) -> None:
    Standing(scored / RUN, STAGE).ends("failed", ValueError("the loss is not a number"))
    assert f"✗ failed: the loss is not a number  ({RUN}/{STAGE}.log)" in command("show", RUN).out


def test_one_that_is_made(made: Path, command: Command) -> None:
    found = json.loads(command("show", RUN, "--json").out)
    assert (found["state"], found["scores"], found["ledger"]["flops"]) == ("done", None, 3e9)
    assert found["lineage"]["parents"] == ["tiny"]
    assert found["config"]["method.steps"] == 5
    lines = command("show", f"{RUN}/specialist").out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert f"✓ done  ({RUN}/specialist)" in lines
    assert f"`thicket evaluate model={RUN}/specialist` makes them." in " ".join(lines)
    (flops,) = (line for line in lines if line.startswith("FLOPs"))
    assert flops.split()[1:] == ["3.00", "G;", "3.00", "G", "with", "all", "that", "it", "rests", "on", "but", "bases"]
    assert any(line.split() == ["seed", "0", "3"] for line in lines)


def test_one_whose_model_is_gone(made: Path, command: Command) -> None:
    shutil.rmtree(made / RUN / "specialist")
    assert json.loads(command("show", RUN, "--json").out)["state"] == "gone"
    said = command("show", RUN)
    assert f"· gone: what it had made is not there  ({RUN}/{STAGE}.log)" in said.out
    assert "the same command again, makes it anew" in said.out


def test_its_scores(made: Path, command: Command) -> None:
    (side, _) = json.loads(command("compare", RUN, "tiny", "--json").out)["sides"]
    domains = {"sort": figures(ALWAYS), "reverse": figures(NEVER)}
    content = {"settings": SETTINGS, "answering": PLAIN, "domains": domains}
    write(Path(side["models"][0]["scores"]) / "metrics.json", content)
    (sort,) = (line for line in command("show", RUN).out.splitlines() if line.startswith("sort "))
    assert "100.0 [90.0, 100.0]" in sort.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize("folder", ["build/runs/specialist/none-01234567", "build/evaluation/opd"])
def test_what_is_neither(scored: Path, command: Command, folder: str) -> None:
    said = command("show", folder)
    assert (said.status, said.out) == (2, "")
    assert "a run (build/runs/specialist/…), a sweep (build/runs/sweeps/…)" in said.err


def test_a_declared_models_own_folder(scored: Path, command: Command) -> None:
    assert command("show", "build/models/opd").out == command("show", "opd").out


@pytest.mark.parametrize("text", ["", "hydra:\n  overrides: {task: [a]}\n", "hydra: [\n", "null"])
def test_a_sweep_that_was_killed_as_it_began(scored: Path, command: Command, text: str) -> None:
    folder = scored / "build/runs/sweeps/2026-11-01_10-00-00-77"
    folder.mkdir(parents=True)
    (folder / "multirun.yaml").write_text(text, encoding="utf-8")
    said = command("show", "build/runs/sweeps/2026-11-01_10-00-00-77")
    assert said.status == 1
    assert said.err.startswith("Error: ")
    assert "multirun.yaml: not what Hydra writes as a sweep begins; was it killed while it did?" in said.err
    assert said.err.count("\n") == 1
