"""`thicket show`, `compare` and `tables` on scores that are known."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from command_line_scores import CORRECT
from commands import Command

from thicket.commands import tables
from thicket.config.yamlfile import to_yaml
from thicket.statistics.intervals import difference_interval


def test_paired_differences(scored: Path, command: Command) -> None:
    said = command("compare", "tiny", "opd", "--json")
    assert (said.status, said.err) == (0, "")
    found = json.loads(said.out)
    sampled = {one["domain"]: one for one in found["scores"] if one["figure"] == "pass@1"}
    left, right = (np.array(CORRECT[name]["sort"]) / 4 for name in ("tiny", "opd"))
    expected = difference_interval(right, left, 400, 0.9, 0)
    assert sampled["sort"]["difference"] == pytest.approx(vars(expected), abs=1e-6)
    assert sampled["reverse"]["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert sampled["mean"]["difference"]["value"] == pytest.approx(expected.value / 2, abs=1e-6)
    assert found["divergence_command"] == "thicket analyze divergence model_a=tiny model_b=opd domain=sort"


def test_a_comparison_in_words(scored: Path, command: Command) -> None:
    lines = command("compare", "sort-grpo", "reverse-grpo").out.splitlines()
    (sort,) = [line.split() for line in lines if line.startswith("sort ") and "pass@1" in line]
    assert " ".join(sort) == "sort pass@1 100.0 [90.0, 100.0] 0.0 [0.0, 10.0] −100.0 [−100.0, −100.0] ▼"
    (name,) = [line.split() for line in lines if line.startswith("domain.name")]
    assert name == ["domain.name", '"sort"', '"reverse"']
    assert lines[-1].startswith("Not measured: `thicket analyze divergence")


def test_a_divergence_that_was_measured(scored: Path, command: Command) -> None:
    folder = scored / "build/runs/analyze/divergence-0/analyze"
    folder.mkdir(parents=True)
    statistic = {"name": "js_mean", "domain": "sort", "of": "along-other", "value": 0.5, "low": 0.25, "high": 0.75}
    result = {"models": ["tiny", "opd"], "statistics": [statistic, {**statistic, "name": "changed_rare"}]}
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    said = command("compare", "opd", "tiny")
    last = " ".join(said.out.splitlines()[-1].split())
    assert last == "mean JS divergence, nats sort by opd 0.5 [0.25, 0.75] build/runs/analyze/divergence-0/analyze"
    assert "js_mean" not in command("compare", "opd", "sort-grpo", "--json").out


def test_without_scores(scored: Path, command: Command) -> None:
    said = command("compare", "tiny", "mixed")
    assert said.status == 0
    assert "No scores to compare: mixed is not scored yet: `dvc repro evaluate-mixed` does it\n" in said.out


def test_scores_by_other_settings_and_the_command_that_makes_them_alike(scored: Path, command: Command) -> None:
    path = scored / "build/evaluation/opd/metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["settings"] |= {"samples": 8, "top_p": 0.9}
    path.write_text(json.dumps(metrics), encoding="utf-8")
    out = command("compare", "tiny", "opd").out
    wrong = "on sort and reverse, opd is not scored as tiny is (samples 8, not 4 and top_p 0.9, not 1.0)"
    assert f"{wrong}; to score them by the tests of now: `dvc repro evaluate-tiny evaluate-opd`\n" in out


@pytest.mark.parametrize("arguments", [["show", "odp"], ["compare", "tiny", "odp"], ["chat", "odp"], ["export", "odp"]])
def test_an_unknown_model(arguments: list[str], scored: Path, command: Command) -> None:
    said = command(*arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("command line: model = 'odp': there is no such model\n")
    assert "did you mean: opd\n" in said.err


def test_show(scored: Path, command: Command) -> None:
    said = command("show", "opd")
    assert (said.status, said.err) == (0, "")
    lines = [line.rstrip() for line in said.out.replace("\N{NO-BREAK SPACE}", " ").splitlines()]
    assert lines[0] == "opd: student, opd of sort-grpo, reverse-grpo"
    assert "├── sort-grpo  grpo on sort" in lines
    assert "│   └── tiny  pretrain" in lines
    sort = next(line for line in lines if line.startswith("sort "))
    assert "100.0 [90.0, 100.0]" in sort
    assert "+50.0" in sort
    assert any(line.startswith("time") and "1 min 1 s (updates 1 min 0 s)" in line for line in lines)
    assert any(line.split() == ["teachers[1].weight", "2.0", "params.yaml:13"] for line in lines)
    assert not any(line.startswith("budget_of") for line in lines)  # nobody set it


def test_a_teacher_that_a_greedy_soup_left_out(scored: Path, command: Command) -> None:
    (scored / "conf/method/soup.yaml").write_text("type: greedy_soup\n", encoding="utf-8")
    params = scored / "params.yaml"
    text = params.read_text(encoding="utf-8").replace("reverse-grpo]}", "reverse-grpo], domains: [sort, reverse]}")
    params.write_text(text, encoding="utf-8")
    assert json.loads(command("show", "soup", "--json").out)["lineage"]["left_out"] == []
    curve = "step,teacher,taken\n1,1,0\n2,2,1\n3,1,0\n"
    (scored / "build/curves/soup.csv").write_text(curve, encoding="utf-8")
    lines = command("show", "soup").out.splitlines()
    assert "├── sort-grpo  grpo on sort  (left out)" in lines
    assert "└── reverse-grpo  grpo on reverse" in lines
    assert json.loads(command("show", "soup", "--json").out)["lineage"]["left_out"] == ["sort-grpo"]


def test_a_training_that_was_never_rewarded_differently_is_told_of(scored: Path, command: Command) -> None:
    wrong = "the rewards of a group never differed, so nothing was learnt from them"
    assert wrong not in command("show", "sort-grpo").out
    ledger = scored / "build/metrics/sort-grpo.json"
    ledger.write_text(json.dumps({**json.loads(ledger.read_text(encoding="utf-8")), "useful": 0.0}), encoding="utf-8")
    lines = command("show", "sort-grpo").out.splitlines()
    assert f"Note: {wrong}." in lines
    assert any(line.startswith("useful") and "0.0 % of the groups of rewards differ" in line for line in lines)
    assert command("status").out.count(wrong) == 1
    notes = {one["stage"]: one["note"] for one in json.loads(command("status", "--json").out)["stages"]}
    assert {name: note for name, note in notes.items() if note} == {"specialist-sort-grpo": wrong}
    ledger.write_text("{", encoding="utf-8")
    assert command("status").status == 0, "what is broken here is of no interest"


def test_answers_that_can_never_be_right_are_told_of(scored: Path, command: Command) -> None:
    lost = {"never_right": {"sort": {"items": 3, "of": 12}}}
    for path in [*scored.glob("build/evaluation/*/metrics.json"), scored / "build/metrics/sort-grpo.json"]:
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **lost}), encoding="utf-8")
    wrong = "of sort can never be right: they hold characters that no response of the model can"
    lines = [line.rstrip() for line in command("show", "sort-grpo").out.splitlines()]
    assert f"3 of 12 test answers {wrong}." in lines
    assert f"out of reach  3 of 12 train answers {wrong}" in lines
    (noted,) = [line for line in command("status").out.splitlines() if wrong in line]
    assert " tiny " in noted, "what goes for all that starts from a base stands there"
    notes = {one["stage"]: one["note"] for one in json.loads(command("status", "--json").out)["stages"]}
    assert {name for name, note in notes.items() if note} == {f"evaluate-{name}" for name in CORRECT}
    alike = (
        "3 of 12 test answers of sort can never be right: they hold characters that no response of tiny and opd can."
    )
    assert alike in command("compare", "tiny", "opd").out.splitlines()
    (scored / "build/evaluation/tiny/metrics.json").unlink()
    assert command("status").out.count(wrong) == len(CORRECT) - 1, "each says it that stands under none that does"


def test_show_for_programs(scored: Path, command: Command) -> None:
    found: dict[str, Any] = json.loads(command("show", "opd", "--json").out)
    assert list(found) == [
        "name",
        "about",
        "state",
        "lineage",
        "scores",
        "against_base",
        "against_base_missing",
        "scores_outdated",
        "scores_stale",
        "ledger",
        "times",
        "origin",
        "config",
    ]
    assert found["lineage"] == {
        "base": "tiny",
        "parents": ["tiny", "sort-grpo", "reverse-grpo"],
        "domains": ["sort", "reverse"],
        "left_out": [],
    }
    assert found["scores"]["domains"]["sort"]["pass@1"] == 1.0
    assert found["config"]["teachers[1].weight"] == 2.0


def test_a_vote_and_a_model_without_scores(scored: Path, command: Command) -> None:
    assert "a vote of 4 for each item, test items." in command("show", "soup").out
    assert "None yet: `dvc repro evaluate-mixed` makes them." in command("show", "mixed").out


@pytest.fixture
def outdated(scored: Path) -> Path:
    """The same, `opd` made anew since, of which there are no scores yet."""
    path = scored / "build/models/opd/provenance.json"
    made = json.loads(path.read_text(encoding="utf-8")) | {"weights": "ef" * 32}
    path.write_text(json.dumps(made), encoding="utf-8")
    return scored


OUTDATED = "The scores of opd are of earlier weights: `dvc repro evaluate-opd` scores what build/models holds now.\n"


@pytest.mark.parametrize("arguments", [["show", "opd"], ["compare", "tiny", "opd"]])
def test_scores_of_earlier_weights(arguments: list[str], outdated: Path, command: Command) -> None:
    assert OUTDATED in command(*arguments).out
    said = command(arguments[0], "sort-grpo", *arguments[2:-1], *(["tiny"] if arguments[2:] else []))
    assert (said.status, "earlier weights" in said.out) == (0, False)


def test_scores_of_earlier_weights_are_marked_where_they_stand(outdated: Path, command: Command) -> None:
    assert command("compare", "tiny", "opd").out.splitlines()[0].split("  ")[-2].strip() == "opd (earlier weights)"
    lines = command("compare", "tiny", "sort-grpo", "opd").out.splitlines()
    assert all("opd (earlier weights)  " in line for line in lines if line.startswith(" ") and "opd" in line)


def test_scores_of_a_model_that_is_gone(outdated: Path, command: Command) -> None:
    shutil.rmtree(outdated / "build/models/opd")
    out = command("show", "opd").out
    assert "are of weights that build/models holds no more: `dvc repro evaluate-opd` makes what is missing and" in out
    assert "\nScores, % (weights not here)\n" in out
    assert "holds now" not in out


def test_scores_of_earlier_weights_for_programs(outdated: Path, command: Command) -> None:
    assert json.loads(command("show", "opd", "--json").out)["scores_outdated"]
    sides = json.loads(command("compare", "tiny", "opd", "--json").out)["sides"]
    assert [side["models"][0]["scores_outdated"] for side in sides] == [False, True]
    said = command("tables", "scores", "--format", "csv")
    rows = csv.DictReader(io.StringIO(said.out))
    assert {row["model"] for row in rows if row["scores_outdated"] == "1"} == {"opd"}
    assert said.err == OUTDATED
    assert "| opd (earlier weights) | opd of sort-grpo, reverse-grpo | sort |" in command("tables").out


def test_why_a_model_is_not_held_against_its_base(scored: Path, command: Command) -> None:
    assert "Not held against" not in command("show", "opd").out
    for name, hash in (("tiny", "a"), ("opd", "b")):
        test = {domain: {"verifier": hash} for domain in ("sort", "reverse")}
        (scored / f"build/evaluation/{name}/test.json").write_text(json.dumps(test), encoding="utf-8")
    out = command("show", "opd").out
    wrong = (
        "on sort and reverse, opd is not scored as tiny is (another verifier); to score them by the tests of now: "
        "`dvc repro evaluate-tiny evaluate-opd`"
    )
    assert f"\nNot held against tiny: {wrong}.\n" in out
    assert "pass@1 − tiny's" not in out
    assert f"No scores to compare: {wrong}\n" in command("compare", "tiny", "opd").out
    found = json.loads(command("show", "opd", "--json").out)
    assert (found["against_base"], found["against_base_missing"]) == (None, wrong)


def analysed(root: Path) -> None:
    """Declares an analysis, so that the project has claims."""
    params = root / "params.yaml"
    look = {"analysis": "capability", "models": ["tiny", "opd"], "domains": ["sort"]}
    declared = yaml.safe_load(params.read_text(encoding="utf-8"))
    params.write_text(to_yaml({**declared, "analyses": {"look": look}}), encoding="utf-8")


def test_claims_that_another_experiment_left_are_not_shown(scored: Path, command: Command) -> None:
    claimed(scored)
    whose = (
        "The claims in build/report/claims.json are of the experiment 'earlier' and not shown: params.yaml declares no "
        "analyses to judge by.\n"
    )
    said = command("tables", "claims")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith(f"{whose}Error: no claim is judged: ")
    said = command("tables")
    assert (said.status, said.err) == (0, whose)
    assert "## Scores, %" in said.out
    assert "Claims" not in said.out


def test_claims_of_earlier_scores(scored: Path, command: Command) -> None:
    claimed(scored)
    analysed(scored)
    said = command("tables", "claims", "--format", "csv")
    assert said.err.startswith("The claims are not those of now: ")
    assert said.err.endswith(" (`dvc repro claims` judges anew).\n")
    (shown,) = csv.DictReader(io.StringIO(said.out))
    assert (shown["verdict"], shown["outdated"]) == ("supported", "1")
    for form in ("markdown", "latex"):
        assert "supported (not of now) " in command("tables", "claims", "--format", form).out


def test_scores_as_csv(scored: Path, command: Command) -> None:
    rows = list(csv.DictReader(io.StringIO(command("tables", "scores", "--format", "csv").out)))
    assert len(rows) == 2 * len(CORRECT)
    opd = next(row for row in rows if (row["model"], row["domain"]) == ("opd", "sort"))
    assert (opd["kind"], opd["pass@1"], opd["pass@1_low"], opd["items"]) == ("student", "1.0", "0.9", "12")
    soup = next(row for row in rows if row["model"] == "soup")
    assert soup["greedy"] == ""


def test_scores_of_other_tests_and_settings_are_told_apart(scored: Path, command: Command) -> None:
    assert "scored as" not in command("tables", "scores").out
    for name, hash in (("tiny", "a"), ("opd", "b")):
        test = {domain: {"verifier": hash if domain == "sort" else "a"} for domain in ("sort", "reverse")}
        (scored / f"build/evaluation/{name}/test.json").write_text(json.dumps(test), encoding="utf-8")
    path = scored / "build/evaluation/reverse-grpo/metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["settings"] |= {"temperature": 0.5, "ks": [1]}
    path.write_text(json.dumps(metrics), encoding="utf-8")

    note = (
        "Scores that can't be held against each other, by the column “scored as”: "
        "sort: 2 is not scored as 1 is (temperature 0.5, not 1.0); sort: 3 is not scored as 1 is (another verifier); "
        "reverse: 2 is not scored as 1 is (temperature 0.5, not 1.0)."
    )
    said = command("tables", "scores", "--format", "csv")
    ways = {(row["model"], row["domain"]): row["scored_as"] for row in csv.DictReader(io.StringIO(said.out))}
    assert {place: way for place, way in ways.items() if way != "1"} == {
        ("reverse-grpo", "sort"): "2",
        ("reverse-grpo", "reverse"): "2",
        ("opd", "sort"): "3",
    }
    assert said.err == f"{note}\n"
    text = command("tables", "scores").out
    assert text.endswith(f"\n\n{note}\n")
    assert "| model | what it is | domain | pass@1 | pass@2 | greedy | scored as |" in text
    assert f"% {note}" in command("tables", "scores", "--format", "latex").out


def claimed(root: Path) -> None:
    """Writes a table of one claim, as the stage would."""
    row = {
        "statement": "δ_i is above 50 % & more",
        "value": {"value": 0.5, "low": 0.25, "high": 0.75},
        "control": None,
        "effect": None,
        "adjusted": 0.01,
        "verdict": "supported",
        "seeds": [0, 1, 2],
    }
    path = root / "build/report/claims.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"experiment": "earlier", "claims": {"grows": row}}), encoding="utf-8")


def test_claims_in_every_form(scored: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    claimed(scored)
    monkeypatch.setattr(tables, "_why_outdated", lambda _: "")
    (shown,) = csv.DictReader(io.StringIO(command("tables", "claims", "--format", "csv").out))
    assert (shown["claim"], shown["measured_high"], shown["effect"], shown["p_holm"]) == ("grows", "0.75", "", "0.01")
    assert shown["outdated"] == "0"
    latex = command("tables", "claims", "--format", "latex").out
    assert r"$\delta$\_i is above 50 \% \& more & 0.5 [0.25, 0.75] & --- & --- & 0.01 & supported \\" in latex
    text = command("tables").out
    assert "## Scores, %" in text
    assert r"| δ_i is above 50 % \& more | 0.5 [0.25, 0.75] | — | — | 0.01 | supported |" in text


def test_one_table_in_a_csv_file(scored: Path, command: Command) -> None:
    """The one that there is, else the one that is asked for."""
    assert command("tables", "--format", "csv").out == command("tables", "scores", "--format", "csv").out != ""
    claimed(scored)
    analysed(scored)
    said = command("tables", "--format", "csv")
    assert (said.status, said.out) == (2, "")
    assert "allowed: scores, claims" in said.err


def test_no_table_yet(sample: Path, command: Command) -> None:
    said = command("tables")
    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("Error: nothing is scored yet")
