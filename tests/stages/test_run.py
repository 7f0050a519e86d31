"""Runs of single stages: what is reported, what is refused, and that both ways to a stage make the same."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from toys import DECLARED, VALUES, changed, declare, run, stages, toy_project

from thicket.cli import main
from thicket.config.verifier import WritingVerifier
from thicket.stages.launch import FAILED, run_one
from thicket.stages.machine import forget_peak_memory
from thicket.stages.run import in_pipeline, on_its_own, run_stage
from thicket.times import read_times


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


def test_the_command_line_makes_what_the_pipeline_makes(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project)
    assert main(["specialist", "domain=sort"]) == 0
    stage = stages(project)["specialist-sort-grpo"]
    by_pipeline, by_hand = in_pipeline(project, stage).artifact, on_its_own(project, stage).artifact
    for path in by_pipeline.iterdir():
        assert (by_hand / path.name).read_bytes() == path.read_bytes(), path.name


def test_provenance_is_the_same_in_every_run(project: Path) -> None:
    path = project / "build/models/reverse-grpo/provenance.json"
    before = path.read_bytes()
    run(project, "specialist-reverse-grpo")
    assert path.read_bytes() == before
    made = json.loads(before)
    assert made["config"]["method"]["type"] == "grpo"
    assert list(made["parents"]) == ["tiny"]
    assert list(made["data"]) == ["reverse"]
    assert made["cost"] == {"reverse-grpo": made["spent"]["flops"]}
    assert "torch" in made["versions"]


def test_a_run_of_its_own_is_known_by_all_that_it_reads(project: Path, tmp_path: Path) -> None:
    """Another budget, or another judge, is another run."""
    root = Path(shutil.copytree(project, tmp_path / "project"))
    student = stages(root)["student-opd"]
    mixed = student.model_copy(update={"budget_of": "reverse-grpo"})
    assert on_its_own(root, mixed) != on_its_own(root, student)
    before = on_its_own(root, mixed)
    provenance = root / "build/models/reverse-grpo/provenance.json"
    provenance.write_text(provenance.read_text().replace('"cost"', ' "cost"'))
    assert on_its_own(root, mixed) != before
    judge = {"folder": "judge", "template": "{response}"}
    domain = student.domains[0].model_copy(update={"verifier": WritingVerifier(type="writing", judge=judge)})  # type: ignore[arg-type]
    judged = student.model_copy(update={"domains": [domain]})
    before = on_its_own(root, judged)
    (root / "judge").mkdir()
    (root / "judge/model.safetensors").write_text("weights")
    assert on_its_own(root, judged) != before


def test_the_ledger_says_what_the_run_took(project: Path) -> None:
    ledger = json.loads((project / "build/metrics/sort-grpo.json").read_text())
    assert ledger["steps"] == 6
    assert ledger["tokens_generated"] > 0
    # Each response is trained on together with its prompt.
    assert ledger["tokens_trained"] > ledger["tokens_generated"]
    assert 0 <= ledger["selection_pass@1"] <= 1
    times = read_times(project / "build/times/sort-grpo.json", project / "build/models/sort-grpo")
    assert times["wall_seconds"] > 0
    assert times["peak_memory_bytes"] > 10**7
    assert read_times(project / "build/times/sort-grpo.json", project / "build/models/reverse-grpo") == {}


def test_the_distilled_students_cost_counts_its_teachers(project: Path) -> None:
    run(project, "student-opd")
    made = {
        name: json.loads((project / "build/models" / name / "provenance.json").read_text())
        for name in ("opd", "sort-grpo", "reverse-grpo")
    }
    assert made["opd"]["cost"] == {name: provenance["spent"]["flops"] for name, provenance in made.items()}


def test_mixed_rl_spends_the_students_whole_cost_and_stops(project: Path) -> None:
    mixed = {"base": "tiny", "method": "mixed", "domains": ["sort", "reverse"], "budget_of": "opd"}
    declare(project, {**DECLARED, "students": {**DECLARED["students"], "mixed": mixed}})
    run(project, "student-opd", "student-mixed")
    made = [json.loads((project / f"build/models/{name}/provenance.json").read_text()) for name in ("opd", "mixed")]
    budget, spent = sum(made[0]["cost"].values()), made[1]["spent"]["flops"]
    rows = (project / "build/curves/mixed.csv").read_text().splitlines()[1:]
    before_last = float(rows[-2].split(",")[1])
    assert before_last < budget <= spent


def test_mixed_rl_at_the_cost_of_the_teachers_alone(project: Path) -> None:
    mixed = {"base": "tiny", "method": "mixed-teachers", "domains": ["sort", "reverse"], "budget_of": "opd"}
    values = {**DECLARED["values"], "method": {**VALUES["method"], "mixed-teachers": VALUES["method"]["mixed"]}}
    students = {**DECLARED["students"], "mixed": mixed}
    declare(project, {**DECLARED, "students": students, "values": values})
    run(project, "student-opd", "student-mixed")
    cost = json.loads((project / "build/models/opd/provenance.json").read_text())["cost"]
    rows = (project / "build/curves/mixed.csv").read_text().splitlines()[1:]
    last, before_last = (float(row.split(",")[1]) for row in (rows[-1], rows[-2]))
    assert before_last < cost["sort-grpo"] + cost["reverse-grpo"] <= last


def test_a_soup_of_one_is_that_model(project: Path) -> None:
    soup = {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "reverse-grpo"]}
    declare(project, {**DECLARED, "students": {"soup": soup}})
    stage = stages(project)["student-soup"]
    run_stage(project, changed(stage, "teachers", stage.teachers[:1]), in_pipeline(project, stage))
    models = project / "build/models"
    own = load_file(models / "soup/model.safetensors")
    other = load_file(models / "sort-grpo/model.safetensors")
    assert all(own[name].equal(other[name]) for name in other)


@pytest.mark.parametrize("missing", ["models/tiny", "data/sort"])
def test_a_missing_input_is_one_line(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "project"))
    shutil.rmtree(copy / "build" / missing)
    stage = stages(copy)["specialist-sort-grpo"]
    assert run_one(copy, stage, in_pipeline(copy, stage)) == FAILED
    printed = capsys.readouterr().err
    assert printed.startswith("Error: ")
    assert missing in printed
    assert "Traceback" not in printed


def test_another_vocabulary_can_not_teach(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    declare(project, DECLARED)
    copy = Path(shutil.copytree(project, tmp_path / "project"))
    path = copy / "build/models/sort-grpo/tokenizer.json"
    path.write_text(path.read_text().replace('"z"', '"Z"'))
    stage = stages(copy)["student-opd"]
    assert run_one(copy, stage, in_pipeline(copy, stage)) == FAILED
    assert "sort-grpo can't teach tiny: their vocabularies differ" in capsys.readouterr().err


@pytest.mark.parametrize("opened", [False, True])
def test_a_stage_that_has_not_met_the_gpu_does_not_open_it(opened: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    called = list[bool]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: opened)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: called.append(True))
    forget_peak_memory()
    assert called == [True] * opened


@pytest.mark.parametrize("name", ["base-tiny", "specialist-sort-grpo", "student-opd", "evaluate-tiny"])
def test_without_a_gpu(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Asked for, it is missed in a line; what is set up for one and may do without says so."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    declared = stages(project)[name]
    stage = changed(declared, "trainer.accelerator", "gpu")
    assert run_one(project, stage, on_its_own(project, stage)) == FAILED
    wrong = "trainer.accelerator = gpu, and torch sees no GPU; `auto` takes one if there is one"
    assert capsys.readouterr().err == f"Error: {wrong}\n"
    on_cpu = f"Note: {name} runs on the CPU: torch sees no GPU"
    for accelerator, precision, said in (("auto", "bf16-mixed", 1), ("auto", "32-true", 0), ("cpu", "bf16-mixed", 0)):
        stage = changed(changed(declared, "trainer.accelerator", accelerator), "trainer.precision", precision)
        assert run_one(project, stage, on_its_own(project, stage)) == 0
        assert capsys.readouterr().out.count(on_cpu) == said
