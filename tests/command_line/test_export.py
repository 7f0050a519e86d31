"""`thicket export`: a folder that transformers loads, with a card that the hub reads."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Command
from huggingface_hub import ModelCard
from safetensors.torch import load_file
from toys import DECLARED, declare
from transformers import AutoModelForCausalLM, AutoTokenizer

from thicket.commands.card import Card
from thicket.commands.made import made_model
from thicket.config.project import Project
from thicket.config.stages import DataStage
from thicket.config.yamlfile import to_yaml
from thicket.plan.pipeline import resolve


@pytest.fixture
def project(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made)
    return made


def test_a_soup(project: Path, command: Command, tmp_path: Path) -> None:
    said = command("export", "soup", "--out", str(tmp_path / "out"), "--license", "apache-2.0")
    assert (said.status, said.err) == (0, "")
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == {
        "README.md",
        "mergekit_config.yml",
        *(path.name for path in (project / "build/models/soup").iterdir()),
    }
    assert AutoTokenizer.from_pretrained(out).eos_token == "</s>"
    loaded: Any = AutoModelForCausalLM.from_pretrained(out)
    written = load_file(project / "build/models/soup/model.safetensors")
    assert all(torch.equal(loaded.state_dict()[name], tensor) for name, tensor in written.items())
    assert command("export", "soup", "--out", str(out)).status == 0  # once more


def test_what_its_card_says_of_its_use_runs(
    project: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("export", "sort-grpo", "--out", str(tmp_path / "sort-grpo")).status == 0
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "sort-grpo/README.md").read_text(encoding="utf-8"), re.S)
    monkeypatch.chdir(tmp_path)
    exec(code.replace("…", "sort 312="), {})
    assert len(capsys.readouterr().out) > 1
    assert "max_new_tokens=" in code


def test_prompts_of_its_training_stay(project: Path, command: Command, tmp_path: Path) -> None:
    shown = project / "build/models/soup/samples.jsonl"
    shown.write_text("{}\n", encoding="utf-8")
    try:
        assert command("export", "soup", "--out", str(tmp_path / "out")).status == 0
    finally:
        shown.unlink()
    assert (tmp_path / "out/model.safetensors").is_file()
    assert not (tmp_path / "out/samples.jsonl").exists()


def test_what_the_hub_reads(project: Path, command: Command, tmp_path: Path) -> None:
    command("export", "soup", "--out", str(tmp_path / "out"), "--license", "apache-2.0")
    card = ModelCard.load(tmp_path / "out/README.md")
    header: Any = card.data
    assert (header.license, header.library_name) == ("apache-2.0", "transformers")
    assert {"thicket", "merge", "mergekit"} <= set(header.tags or [])
    scores = json.loads((project / "build/evaluation/soup/metrics.json").read_text())["domains"]
    found = {(one.dataset_name, one.metric_type): one.metric_value for one in header.eval_results or []}
    assert found.keys() == {(domain, metric) for domain in scores for metric in ("pass@1", "accuracy")}
    sampled = {domain: value for (domain, metric), value in found.items() if metric == "pass@1"}
    assert sampled == {domain: pytest.approx(100 * figures["pass@1"], abs=0.05) for domain, figures in scores.items()}
    text = card.text
    assert "- `soup`: soup of sort-grpo, reverse-grpo\n  - `tiny`: pretrain, 6 steps from scratch" in text
    assert "| sort | procedural (sort) | made by a program |" in text
    provenance = json.loads((project / "build/models/soup/provenance.json").read_text())
    assert provenance["weights"][:12] in text


def test_where_the_base_is_of_the_hub_and_the_data_too(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "project"))
    hub = {"base": "hub", "set": {"base.id": "OWNER/SMALL", "base.revision": "a" * 40, "base.context": 4096}}
    hub["set"] |= {"base.license": "mit"}  # type: ignore[operator]
    asked: dict[str, Any] = {"base": "tiny", "domain": "gsm8k", "method": "grpo"}
    declared = {**DECLARED, "domains": ["gsm8k"], "bases": {"tiny": hub}, "students": {}}
    declare(root, {**declared, "specialists": {"sort-grpo": asked}})
    resolved = resolve(Project(root), with_code=False)
    data = {made.stage.name: made.stage for made in resolved if isinstance(made.stage, DataStage)}
    shutil.rmtree(root / "build/evaluation", ignore_errors=True)
    card = Card(made_model(root, resolved, "sort-grpo"), data, None)
    header = card.header
    assert (header.base_model, header.license, header.datasets) == ("OWNER/SMALL", "mit", ["openai/gsm8k"])
    assert header["base_model_relation"] == "finetune"
    assert "| gsm8k | `openai/gsm8k` at `e53f048856ff4f594e959d75785d2c2d37b678ee` | mit |" in card.text
    assert "Not scored: `dvc repro evaluate-sort-grpo` does it." in card.text


def test_scores_that_can_not_reach_100_say_so(project: Path, command: Command, tmp_path: Path) -> None:
    path = project / "build/evaluation/soup/metrics.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "never_right": {"sort": {"items": 2, "of": 6}}}))
    try:
        command("export", "soup", "--out", str(tmp_path / "out"))
    finally:
        path.write_text(before)
    told = "2 of 6 test answers of sort can never be right: they hold characters that no response of the model can."
    assert told in ModelCard.load(tmp_path / "out/README.md").text


def test_scores_of_earlier_weights_are_left_out(project: Path, command: Command, tmp_path: Path) -> None:
    path = project / "build/evaluation/soup/model.json"
    before = path.read_text()
    path.write_text(json.dumps({"weights": "ef" * 32, "answering": None}))
    try:
        said = command("export", "soup", "--out", str(tmp_path / "out"))
    finally:
        path.write_text(before)
    assert said.status == 0
    assert "The scores of soup are of earlier weights: `dvc repro evaluate-soup` scores those of now" in said.out
    card = ModelCard.load(tmp_path / "out/README.md")
    header: Any = card.data
    assert header.eval_results is None
    assert "Not scored with these weights: `dvc repro evaluate-soup` does it." in card.text
    assert "pass@1" not in card.text


def test_scores_by_other_settings_than_those_of_now_are_told_of(
    project: Path, command: Command, tmp_path: Path
) -> None:
    locked = {"evaluate-soup": {"cmd": "", "params": {"build/config/evaluate/soup.yaml": {"seed": 7}}}}
    try:
        (project / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": locked}), encoding="utf-8")
        out = command("export", "soup", "--out", str(tmp_path / "out")).out
    finally:
        (project / "dvc.lock").unlink()
    assert "Note: The scores of soup are not those of now (" in out
    assert "Note: The scores" not in command("export", "soup", "--out", str(tmp_path / "out")).out


def test_what_has_no_weights(project: Path, command: Command) -> None:
    said = command("export", "sort-randopt")
    assert said.status == 1
    assert "`thicket model materialize sort-randopt` writes its members as models" in said.err
    assert not (project / "build/export").exists()


def test_by_its_folder(project: Path, command: Command, tmp_path: Path) -> None:
    assert command("export", "build/models/soup", "--out", str(tmp_path / "out")).status == 0
    assert ModelCard.load(tmp_path / "out/README.md").text.strip().startswith("# soup")


OWN = "build/runs/specialist/own-12345678"


@pytest.fixture
def run(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run by itself, which trained as sort-grpo does."""
    root = Path(shutil.copytree(project, tmp_path / "project"))
    shutil.copytree(root / "build/models/sort-grpo", root / OWN / "specialist")
    shutil.copy(root / "build/metrics/sort-grpo.json", root / OWN / "ledger.json")
    monkeypatch.chdir(root)
    return root


@pytest.mark.parametrize("given", [OWN, f"{OWN}/specialist"])
def test_a_run_by_itself(run: Path, command: Command, given: str) -> None:
    said = command("export", given)
    assert (said.status, said.err) == (0, "")
    assert "`hf upload OWNER/own-12345678 build/export/own-12345678` pushes it." in said.out
    card = ModelCard.load(run / "build/export/own-12345678/README.md")
    header: Any = card.data
    assert header.eval_results is None
    assert "# own-12345678" in card.text
    assert "- `own-12345678`: grpo on sort\n  - `tiny`: pretrain, 6 steps from scratch" in card.text
    assert "- 6 steps\n" in card.text
    assert f"Not scored: `thicket evaluate model={OWN}/specialist` does it." in card.text
    assert "`sort`: plain text, which the model goes on with" in card.text


def test_the_scores_of_a_run(run: Path, command: Command) -> None:
    assert command("evaluate", f"model={OWN}").status == 0
    assert command("export", OWN).status == 0
    header: Any = ModelCard.load(run / "build/export/own-12345678/README.md").data
    assert {one.dataset_name for one in header.eval_results or []} == {"sort", "reverse"}
    weights = run / OWN / "specialist/model.safetensors"
    weights.touch()  # These may be others.
    command("export", OWN)
    header = ModelCard.load(run / "build/export/own-12345678/README.md").data
    assert header.eval_results is None


def test_a_run_that_is_made_of_what_is_gone(run: Path, command: Command) -> None:
    provenance = run / "build/models/tiny/provenance.json"
    made = json.loads(provenance.read_text())
    provenance.unlink()
    provenance.write_text(json.dumps(made | {"weights": "ef" * 32}), encoding="utf-8")
    said = command("export", OWN)
    assert "Note: own-12345678 was made of earlier weights of tiny, which the card says." in said.out
    card = ModelCard.load(run / "build/export/own-12345678/README.md")
    assert "It was made of earlier weights of `tiny`: the lineage has the configs of later ones." in card.text


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"base": "big"}, "it was made of big, which params.yaml declares no more"),
        ({"of_another_version": 1}, "another version of thicket has made it"),
        (None, "it has no provenance.json, which says how it was made"),
    ],
)
def test_where_nothing_says_how_it_was_made(run: Path, command: Command, changed: Any, wrong: str) -> None:
    path = run / OWN / "specialist/provenance.json"
    made = json.loads(path.read_text())
    path.unlink()
    if changed:
        path.write_text(json.dumps(made | {"config": made["config"] | changed}), encoding="utf-8")
    said = command("export", OWN)
    assert (said.status, wrong in said.err) == (2, True)
    assert not (run / "build/export").exists()


@pytest.mark.parametrize("there", ["model", "other"])
def test_another_folder_is_not_written_over(project: Path, command: Command, tmp_path: Path, there: str) -> None:
    out = tmp_path / "there" if there == "other" else project / "build/models/tiny"
    out.mkdir(exist_ok=True)
    before = sorted(out.iterdir())
    said = command("export", "soup", "--out", str(out))
    place = "build/models/tiny" if there == "model" else out
    assert (said.status, f"--out = {place}: there already, and no export of a model's" in said.err) == (2, True)
    assert sorted(out.iterdir()) == before


def test_one_that_is_not_made(project: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(shutil.copytree(project, tmp_path / "project"))
    shutil.rmtree(root / "build/models/soup")
    monkeypatch.chdir(root)
    for arguments in (["export", "soup"], ["chat", "soup"]):
        said = command(*arguments)
        assert said.status == 2
        assert "not here: `dvc repro student-soup` makes it" in said.err


@pytest.mark.parametrize("lost", ["model.safetensors", "tokenizer.json", "config.json", "provenance.json"])
def test_one_that_is_not_whole(
    project: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    root = Path(shutil.copytree(project, tmp_path / "project"))
    (root / "build/models/soup" / lost).unlink()
    monkeypatch.chdir(root)
    for arguments in (["export", "soup"], ["chat", "soup"], ["analyze", "density", "model=soup", "domain=sort"]):
        said = command(*arguments)
        assert (said.status, said.out) == (2, "")
        assert "model = 'soup': no " in said.err
        assert "`dvc repro student-soup` makes it" in said.err
    assert not (root / "build/export").exists()


def test_one_whose_weights_are_damaged(
    project: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(project, tmp_path / "project"))
    weights = root / "build/models/soup/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    monkeypatch.chdir(root)
    said = command("export", "soup")
    assert (said.status, said.out) == (1, "")
    assert "its weights are not those that its provenance.json names" in said.err


def test_what_a_vote_answers_with_has_to_be_there(
    project: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(shutil.copytree(project, tmp_path / "project"))
    shutil.rmtree(root / "build/models/tiny")
    monkeypatch.chdir(root)
    for arguments in (["chat", "sort-randopt"], ["model", "materialize", "sort-randopt"]):
        said = command(*arguments)
        assert said.status == 2
        assert "model = 'tiny': not here: `dvc repro base-tiny` makes it" in said.err
