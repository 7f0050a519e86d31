"""Analyses as stages and from the command line, on toy models: files, figures by hand, errors for people."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command
from toys import DECLARED, declare, run, toy_project

from thicket.config.project import Project
from thicket.plan.dvcfile import dvcfile
from thicket.plan.pipeline import pipeline

LOOK = {"analysis": "capability", "models": ["tiny", "sort-grpo"], "domains": ["sort"]}
LOOK |= {"set": {"analysis.items": 3, "analysis.ks": [1, 4], "analysis.samples": 2, "analysis.solves": 1e-9}}
LOOKING = {**DECLARED, "analyses": {"look": LOOK, "twin": {**LOOK, "domains": ["reverse"], "seed": 7}}}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project", LOOKING)
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "analyze-look")
    return root


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_its_files(project: Path) -> None:
    folder = project / "build/analysis/look"
    names = {"result.json", "metrics.json", "units.json", "pass_at_k.csv", "picture.png", "picture.svg"}
    assert {path.name for path in folder.iterdir()} == names
    assert (project / "build/pictures/look.png").read_bytes() == (folder / "picture.png").read_bytes(), "for dvc plots"
    result, units, metrics = (read(folder / f"{name}.json") for name in ("result", "units", "metrics"))
    assert (result["models"], result["domains"], result["seed"]) == (["tiny", "sort-grpo"], ["sort"], 0)
    for one, unit in zip(result["statistics"], units, strict=True):
        assert (one["name"], one["of"], one["units"]) == (unit["name"], unit["of"], 3)
        weights = unit["weights_U"] or [1.0] * 3
        value = sum(unit["amounts_U"]) / sum(weights) if sum(weights) else None
        assert one["value"] == (None if value is None else pytest.approx(value))
        place = metrics["sort"][one["of"]] if one["of"] else metrics["sort"]
        assert place[one["name"]] == one["value"]
    with (folder / "pass_at_k.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["model"], row["k"]) for row in rows] == [("tiny", "1"), ("tiny", "4"), ("sort-grpo", "1")]


def test_equal_runs_give_equal_bytes(project: Path) -> None:
    folder = project / "build/analysis/look"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(project, "analyze-look")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_pipeline_has_it(project: Path) -> None:
    stages = {planned.resolved.id: planned for planned in pipeline(Project(project))}
    look = stages["analyze-look"]
    assert [path.as_posix() for path in look.reads] == [
        "build/models/tiny",
        "build/models/sort-grpo",
        "build/data/sort",
    ]
    claims = stages["claims"]
    assert Path("build/analysis/twin") in claims.reads
    assert list(stages)[-1] == "report"
    text = dvcfile(project, list(stages.values()))
    for name in ("build/report/claims.json", "build/report/index.html", "build/analysis/look/metrics.json"):
        assert name in text
    written = yaml.safe_load(text)
    outs = {out for stage in written["stages"].values() for out in stage["outs"]}
    pictures = {plot for plot in written["plots"] if isinstance(plot, str)}
    assert "build/pictures/look.png" in pictures
    assert pictures <= outs, "dvc plots draws nothing where a picture lies in a folder that was never built"
    assert "build/analysis" not in "".join(path.as_posix() for path in stages["report"].reads)
    assert stages["analyze-twin"].resolved.stage.seed == 7


def test_without_analyses_there_are_no_claims(project: Path, tmp_path: Path) -> None:
    root = toy_project(tmp_path / "project")
    assert "claims" not in {planned.resolved.id for planned in pipeline(Project(root))}


def test_a_declared_one_by_its_name(project: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    monkeypatch.chdir(project)
    said = command("analyze", "look")
    assert (said.status, said.err) == (0, "")
    folder = project / said.out.splitlines()[-1].partition(": ")[2]
    assert (folder / "units.json").read_bytes() == (project / "build/analysis/look/units.json").read_bytes()
    assert "(made before)" in command("analyze", "look").out


def test_two_folders_and_no_project(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """In an empty folder, with the library that is installed; the domain's items are made there."""
    monkeypatch.chdir(tmp_path)
    models = project / "build/models"
    values = ["analysis.items=2", "analysis.ks=[1,2]", "analysis.samples=2", "domain.splits.test=4"]
    said = command(
        "analyze", "capability", f"model_a={models}/tiny", f"model_b={models}/sort-grpo", "domain=odd", *values
    )
    assert (said.status, said.err) == (0, "")
    result = read(tmp_path / said.out.splitlines()[-1].partition(": ")[2] / "result.json")
    assert result["models"] == ["tiny", "sort-grpo"]
    assert (tmp_path / "build/data/odd/test.jsonl").is_file()


def test_a_name_is_a_model_s_beside_a_folder_of_the_name(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """A plug-in's package may lie there."""
    monkeypatch.chdir(project)
    (project / "tiny").mkdir()
    values = ["analysis.items=2", "analysis.ks=[1,2]", "analysis.samples=2"]
    said = command("analyze", "capability", "model_a=tiny", "model_b=sort-grpo", "domain=sort", *values)
    (project / "tiny").rmdir()
    assert (said.status, said.err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["capability", "model_a=tiny", "domain=sort"], "`capability` takes 2 models, not 1"),
        (["capability", "model_a=tiny", "model_b=tinny", "domain=sort"], "did you mean: tiny"),
        (["capability", "model_a=tiny", "model_b=sort-grpo"], "which items? say domain=NAME"),
        (["capabilty", "model_a=tiny", "domain=sort"], "did you mean: capability"),
        (["capability", "modell=tiny"], "unknown key"),
        (
            ["capability", "model_a=tiny", "model_b=sort-grpo", "domain=sort", "analysis.sample=3"],
            "did you mean: samples",
        ),
        (["capability", "model_a=tiny,sort-grpo", "domain=sort"], "an analysis is no sweep"),
        (["capability", "model_a=tiny", "model_b=sort-grpo", "domain=srot"], "did you mean: sort"),
        (["capability", "model_a=tiny", "model_b=tiny", "domain=sort"], "stands here a second time"),
        (["capability", "model_a=tiny", "model_b=sort-grpo", "domain=sort", "seed=abc"], "a whole number from 0 on"),
        (
            ["capability", "model_a=tiny", "model_b=sort-grpo", "domain=sort", "domain.splits.test=2"],
            "its items are there already",
        ),
    ],
)
def test_what_is_wrong(
    arguments: list[str], said: str, project: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    monkeypatch.chdir(project)
    found = command("analyze", *arguments)
    assert found.status == 2
    assert said in found.err
    assert "Traceback" not in found.err


def test_an_ensemble_has_no_weights(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    specialists = {**DECLARED["specialists"], "vote": {"base": "tiny", "domain": "sort", "method": "randopt"}}
    look = {"analysis": "capability", "models": ["tiny", "vote"]}
    root = toy_project(tmp_path / "project")
    (root / "params.yaml").write_text(
        json.dumps({**DECLARED, "specialists": specialists, "analyses": {"look": look}}), encoding="utf-8"
    )
    monkeypatch.chdir(root)
    found = command("check")
    assert found.status == 2
    assert "of an ensemble, look at a `member`" in found.err


def test_models_of_other_words_are_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    """A tokenizer with another token."""
    import shutil

    other = Path(shutil.copytree(project / "build/models/tiny", tmp_path / "other"))
    path = other / "tokenizer.json"
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    first = next(token for token in vocabulary if len(token) == 1)
    tokenizer["model"]["vocab"] = {("é" if token == first else token): place for token, place in vocabulary.items()}
    path.write_text(json.dumps(tokenizer), encoding="utf-8")
    monkeypatch.chdir(project)
    found = command("analyze", "capability", "model_a=tiny", f"model_b={other}", "domain=sort")
    assert found.status == 1
    assert "tiny and other can't be compared: their vocabularies differ" in found.err


def test_nothing_is_left_of_a_stage_that_failed(project: Path, tmp_path: Path) -> None:
    root = toy_project(tmp_path / "project", LOOKING)
    declare(root, LOOKING)
    run(root, "data-sort")
    with pytest.raises(ValueError, match=r"tiny: .*"):
        run(root, "analyze-look")
    assert not (root / "build/analysis/look").exists()
