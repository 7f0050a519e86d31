"""DVC builds what a change touches, and nothing else."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from lab import Lab
from toys import ROOT
from transformers import AutoModelForCausalLM, AutoTokenizer

MODELS = {"tiny", "sort-grpo", "reverse-grpo", "sort-long", "opd", "soup"}


def test_a_student_builds_just_what_it_needs(student_lab: tuple[Lab, set[str]]) -> None:
    assert student_lab[1] == {
        "compose",
        "data-sort",
        "data-reverse",
        "base-tiny",
        "specialist-sort-grpo",
        "specialist-reverse-grpo",
        "student-opd",
    }


def test_the_rest_builds_without_running_that_again(built_lab: tuple[Lab, set[str]]) -> None:
    assert built_lab[1] == {"specialist-sort-long", "student-soup", "report", *(f"evaluate-{name}" for name in MODELS)}


def test_nothing_runs_again(built_lab: tuple[Lab, set[str]]) -> None:
    assert built_lab[0].repro() == set()


def test_model_folders_load_by_themselves_and_say_how_they_were_made(built_lab: tuple[Lab, set[str]]) -> None:
    for name in MODELS:
        folder = built_lab[0].root / "build/models" / name
        tokens = AutoTokenizer.from_pretrained(folder)("sort 31=", return_tensors="pt")
        model: Any = AutoModelForCausalLM.from_pretrained(folder)
        generated = model.generate(**tokens, max_new_tokens=3, do_sample=False)
        assert generated.shape[1] > tokens["input_ids"].shape[1]
        provenance = json.loads((folder / "provenance.json").read_text())
        assert provenance["name"] == name
        assert provenance["config"]["code"]
        assert not list(folder.glob("*.bin"))


def test_parents_are_named_by_the_hash_of_their_weights(built_lab: tuple[Lab, set[str]]) -> None:
    models = built_lab[0].root / "build/models"
    made = {name: json.loads((models / name / "provenance.json").read_text()) for name in MODELS}
    assert made["sort-grpo"]["parents"] == {"tiny": made["tiny"]["weights"]}
    assert made["opd"]["parents"] == {name: made[name]["weights"] for name in ("tiny", "sort-grpo", "reverse-grpo")}


def test_a_length_penalty_touches_its_specialist_and_the_students_that_use_it(lab: Lab) -> None:
    def more(declared: dict[str, Any]) -> None:
        declared["values"]["domain"]["reverse"]["length_penalty"] = 0.9

    lab.edit(more)
    students = {"student-opd", "student-soup", "evaluate-opd", "evaluate-soup"}
    assert lab.repro() == {"compose", "specialist-reverse-grpo", "evaluate-reverse-grpo", *students, "report"}


def test_a_specialist_removed_from_the_graph_runs_nothing_but_the_report(lab: Lab) -> None:
    lab.edit(lambda declared: declared["specialists"].pop("sort-long"))
    printed = lab.call("dvc", "repro")
    assert re.findall(r"Running stage '(.+)'", printed) == ["compose", "report"]
    assert re.findall(r"^stage .*", printed, re.MULTILINE) == ["stage 13 of 13"]
    assert "sort-long" not in (lab.root / "build/report/results.json").read_text()
    assert "sort-long" not in (lab.root / "dvc.lock").read_text()


def test_a_teacher_taken_from_a_student(other_soup_lab: tuple[Lab, set[str]]) -> None:
    assert other_soup_lab[1] == {"compose", "student-soup", "evaluate-soup", "report"}


def test_a_second_round_runs_only_itself(lab: Lab) -> None:
    def second(declared: dict[str, Any]) -> None:
        declared["specialists"]["sort-again"] = {"base": "opd", "domain": "sort", "method": "grpo"}
        teachers = ["sort-again", {"model": "reverse-grpo"}]
        declared["students"]["opd-again"] = {"base": "opd", "method": "opd", "teachers": teachers}

    lab.edit(second)
    new = {f"{kind}-{name}" for name in ("sort-again", "opd-again") for kind in ("evaluate",)}
    assert lab.repro() == {"compose", "specialist-sort-again", "student-opd-again", *new, "report"}


def test_a_domain_added_scores_every_model_on_it_alone(lab: Lab) -> None:
    before = (lab.root / "build/evaluation/opd/items.csv").read_text()
    scores = {path.name for path in (lab.root / "build/resume/scores").iterdir()}
    lab.edit(lambda declared: declared["domains"].append("odd"))
    assert lab.repro() == {"compose", "data-odd", *(f"evaluate-{name}" for name in MODELS), "report"}
    assert (lab.root / "build/evaluation/opd/items.csv").read_text().startswith(before)
    added = {path.name for path in (lab.root / "build/resume/scores").iterdir()} - scores
    assert len(added) <= len(MODELS)  # models of equal weights share a score


def test_a_report_built_alone_says_which_models_are_not_of_what_is_declared(lab: Lab) -> None:
    def reasons() -> dict[str, str]:
        models = json.loads((lab.root / "build/report/results.json").read_text())["models"]
        return {name: "; ".join(one["outdated"]) for name, one in models.items() if one["outdated"]}

    assert reasons() == {}
    lab.edit(lambda declared: declared["values"]["base"]["tiny"].update(steps=7))
    lab.call("dvc", "repro", "-s", "compose", "report")
    assert reasons() == {"tiny": "base.steps 6 (declared 7)", **dict.fromkeys(MODELS - {"tiny"}, "built on tiny")}
    lab.call("dvc", "repro", "-s", "base-tiny", "evaluate-tiny", "report")
    assert reasons() == dict.fromkeys(MODELS - {"tiny"}, "made from other weights of tiny")


def append(lab: Lab, file: str, line: str) -> None:
    with (lab.root / "thicket" / file).open("a", encoding="utf-8") as module:
        module.write(f"\n{line}\n")


def test_code_is_a_dependency(lab: Lab) -> None:
    append(lab, "methods/opd.py", "# a comment")
    append(lab, "domains/sources/ifeval.py", "NOTHING_HERE_RUNS = 1")
    assert lab.repro() == {"compose"}
    append(lab, "methods/opd.py", "A_LINE_OF_THE_LOSS = 1")
    ran = lab.repro()
    # The student's weights come out as they were, so that DVC takes nothing after it for changed.
    assert {"compose", "student-opd"} <= ran <= {"compose", "student-opd", "evaluate-opd", "report"}


def test_a_clean_clone_pulls_everything_and_runs_nothing(built_lab: tuple[Lab, set[str]], tmp_path: Path) -> None:
    """By pull, by `repro --pull`, and without dvc.lock out of the run cache; the remote is a folder beside the project,
    which has one of its own, and a cache that others share."""
    lab = built_lab[0].copy(tmp_path / "project")
    (lab.root / ".dvc/cache").rename(tmp_path / "cache")
    config = lab.root / ".dvc/config"
    own = config.read_text(encoding="utf-8").replace("[core]\n", "[core]\n    remote = store\n")
    own = own.replace("[cache]\n", f"[cache]\n    dir = {tmp_path / 'cache'}\n")
    config.write_text(own + "['remote \"store\"']\n    url = ../../own\n", encoding="utf-8")
    lab.commit("a shared cache, and a remote")
    printed = lab.call(sys.executable, str(ROOT / "scripts/check_remote.py"), "--remote", "../store")
    assert re.search(r"[1-9]\d* files fetched", printed), "the shared cache has all of it"
    assert (tmp_path / "store").is_dir()
    assert not (tmp_path / "own").exists()
    assert "dvc repro after a pull: no stage ran, 0 came out of the run cache, 6 models are the same" in printed
    assert "dvc repro --pull in a fresh clone: no stage ran, 0 came out of the run cache, 6 models" in printed
    assert re.search(
        r"dvc repro --pull without dvc.lock: no stage ran, 1\d came out of the run cache, 6 models", printed
    )


def test_an_older_model_comes_back(
    built_lab: tuple[Lab, set[str]], other_soup_lab: tuple[Lab, set[str]], tmp_path: Path
) -> None:
    weights = (built_lab[0].root / "build/models/soup/model.safetensors").read_bytes()
    lab = other_soup_lab[0].copy(tmp_path / "project")
    old = lab.call("git", "rev-parse", "HEAD").strip()
    lab.call("git", "tag", "-a", "soup@v1.0.0", "-m", "the first soup")  # how DVC names a version of an artifact
    lab.commit("another soup")
    assert (lab.root / "build/models/soup/model.safetensors").read_bytes() != weights
    lab.call("dvc", "artifacts", "get", ".", "soup", "--rev", "v1.0.0", "-o", str(tmp_path / "soup"))
    assert (tmp_path / "soup/model.safetensors").read_bytes() == weights
    lab.call("git", "checkout", "-q", old)
    lab.call("dvc", "checkout", "-q")
    assert (lab.root / "build/models/soup/model.safetensors").read_bytes() == weights


def test_metrics_params_and_plots_differ_between_commits(other_soup_lab: tuple[Lab, set[str]], tmp_path: Path) -> None:
    lab = other_soup_lab[0].copy(tmp_path / "project")
    metrics = lab.json("dvc", "metrics", "diff", "--all", "--json", "HEAD")
    items = metrics["build/evaluation/soup/metrics.json"]["domains.sort.items"]
    assert (items["old"], items["new"]) == (6, 6)
    parameters = lab.json("dvc", "params", "diff", "--json", "HEAD")
    teachers = parameters["build/config/models/soup.yaml"]["teachers"]
    assert "reverse-grpo" in str(teachers["old"])
    assert "reverse-grpo" not in str(teachers["new"])
    lab.call("dvc", "plots", "diff", "HEAD", "-o", "plots")
    assert (lab.root / "plots/index.html").is_file()
