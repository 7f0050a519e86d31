"""`thicket compare` of folders and of several seeds, and `thicket evaluate` of folders."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line_scores import ALWAYS, NEVER, SOMETIMES
from commands import Command, Said
from reporting_run import SETTINGS, figures, write_items

from thicket.statistics.intervals import bootstrap_means
from thicket.statistics.resampled import Resampled
from thicket.statistics.seeds import difference_over_seeds, over_seeds

MIXED = [4, 4, 4, 4, 4, 4, 2, 2, 2, 0, 0, 0]
RUNS = {
    ("grpo", 0): SOMETIMES,
    ("grpo", 1): MIXED,
    ("grpo", 2): SOMETIMES[::-1],
    ("dapo", 0): ALWAYS,
    ("dapo", 1): MIXED[::-1],
    ("dapo", 2): ALWAYS,
}
"""Method and seed → correct samples of each item."""
SWEEP = "build/runs/sweeps/2026-01-02_03-04-05-6"
ASKED = ["+stage=specialist", "+objective=null", "++run.domain=sort", "++run.method=grpo,dapo", "++run.seed=0,1,2"]
MULTIRUN = {
    "hydra": {
        "overrides": {"task": ASKED, "hydra": []},
        "launcher": {"_target_": "BasicLauncher"},
        "sweeper": {"_target_": "BasicSweeper"},
    }
}
"""What Hydra writes of a sweep, as far as thicket reads it."""


def folder_of(method: str, seed: int) -> str:
    return f"build/runs/specialist/sort-{method}-{seed}/specialist"


@pytest.fixture
def swept(scored: Path, command: Command) -> Path:
    """The sample project with a sweep of two methods over three seeds, scored."""
    for number, (method, seed) in enumerate(RUNS):
        folder = scored / folder_of(method, seed)
        folder.mkdir(parents=True)
        config = {"name": f"sort-{method}", "seed": seed, "method": {"type": method, "steps": 5}}
        made = {"name": f"sort-{method}", "seed": seed, "config": config}
        (folder / "provenance.json").write_text(json.dumps(made), encoding="utf-8")
        run = scored / SWEEP / str(number)
        run.mkdir(parents=True)
        overrides = ["domain=sort", f"method={method}", f"seed={seed}"]
        result = {"overrides": overrides, "value": 0.5, "artifact": folder_of(method, seed), "error": ""}
        (run / "result.json").write_text(json.dumps(result), encoding="utf-8")
    (scored / SWEEP / "multirun.yaml").write_text(json.dumps(MULTIRUN), encoding="utf-8")
    found = compared(command, SWEEP)
    for model in (model for side in found["sides"] for model in side["models"]):
        method, seed = Path(model["model"]).parent.name.split("-")[1:]
        write_scores(Path(model["scores"]), RUNS[method, int(seed)])
    return scored


def write_scores(folder: Path, correct: list[int]) -> None:
    domains = {"sort": correct, "reverse": NEVER}
    folder.mkdir(parents=True)
    scores = {name: figures(counts) for name, counts in domains.items()}
    (folder / "metrics.json").write_text(json.dumps({"settings": SETTINGS, "domains": scores}), encoding="utf-8")
    write_items(folder / "items.csv", domains)


def compared(command: Command, *sides: str) -> dict[str, Any]:
    said = command("compare", *sides, "--json")
    assert (said.status, said.err) == (0, "")
    return json.loads(said.out)


def resampled(counts: list[int]) -> Resampled:
    values = np.array(counts) / 4
    return Resampled(float(values.mean()), bootstrap_means(values, 400, 0))


def sort_pass_at_1(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (one for one in pairs if (one["domain"], one["figure"]) == ("sort", "pass@1"))
    return found


def test_a_sweep_falls_into_its_methods_paired_by_seed(swept: Path, command: Command) -> None:
    found = compared(command, SWEEP)
    assert (found["left"], found["right"]) == ("method=grpo", "method=dapo")
    assert [[one["seed"] for one in side["models"]] for side in found["sides"]] == [[0, 1, 2], [0, 1, 2]]
    assert found["comparisons"][0]["paired_by_seed"]
    gaps = [resampled(RUNS["dapo", seed]) - resampled(RUNS["grpo", seed]) for seed in range(3)]
    pair = sort_pass_at_1(found["scores"])
    assert pair["difference"] == pytest.approx(vars(over_seeds(gaps).interval(0.9)), abs=1e-6)
    left = over_seeds([resampled(RUNS["grpo", seed]) for seed in range(3)]).interval(0.9)
    assert pair["left"] == pytest.approx(vars(left), abs=1e-6)
    assert pair["right"]["low"] > 0.3
    assert pair["right"]["high"] == 1.0, "Student's t would reach beyond"
    assert {one["path"] for one in found["config"]} == {"name", "method.type"}  # the seeds of a side differ


def test_a_sweep_over_seeds_alone_is_called_by_what_they_share(swept: Path, command: Command) -> None:
    for number in (3, 4, 5):
        shutil.rmtree(swept / SWEEP / str(number))
    path = swept / SWEEP / "multirun.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("method=grpo,dapo", "method=grpo"), encoding="utf-8")
    assert compared(command, "tiny", SWEEP)["right"] == "domain=sort method=grpo"


def test_where_scores_end_is_said(swept: Path, command: Command) -> None:
    note = "An interval that comes to 0 or 100 % is cut off there, where scores end."
    assert note in command("compare", SWEEP).out
    assert note not in command("compare", "tiny", "sort-grpo").out


def test_groups_of_other_seeds_are_independent(swept: Path, command: Command) -> None:
    ones = f"{folder_of('grpo', 0)},{folder_of('grpo', 1)}"
    found = compared(command, ones, "build/runs/specialist/sort-dapo-*")
    assert found["right"] == "sort-dapo-*"
    assert not found["comparisons"][0]["paired_by_seed"]
    rights = [resampled(RUNS["dapo", seed]) for seed in range(3)]
    lefts = [resampled(RUNS["grpo", seed]) for seed in range(2)]
    expected = difference_over_seeds(rights, lefts).interval(0.9)
    assert sort_pass_at_1(found["scores"])["difference"] == pytest.approx(vars(expected), abs=1e-6)


def test_all_are_held_against_the_first(swept: Path, command: Command) -> None:
    found = compared(command, "tiny", SWEEP, "reverse-grpo")
    assert [one["right"] for one in found["comparisons"]] == ["method=grpo", "method=dapo", "reverse-grpo"]
    noted = figures(SOMETIMES)
    left = {"value": noted["pass@1"], "low": noted["pass@1_low"], "high": noted["pass@1_high"]}
    assert sort_pass_at_1(found["scores"])["left"] == pytest.approx(left, abs=1e-6), "one model's is its evaluation's"
    said = command("compare", "tiny", SWEEP)
    assert (said.status, said.err) == (0, "")
    rows = [line.split() for line in said.out.replace("\N{NO-BREAK SPACE}", "").splitlines()]
    (grpo, *_) = [row for row in rows if row[:1] == ["method=grpo"] and len(row) > 4]
    gap = 100 * (np.mean([np.mean(RUNS["grpo", seed]) for seed in range(3)]) - np.mean(SOMETIMES)) / 4
    assert grpo[3] == f"{gap:+.1f}"
    assert "tiny is one model: what another seed of it would score is not counted." in said.out
    assert "method=grpo: sort-grpo-0, sort-grpo-1, sort-grpo-2, seeds 0, 1, 2" in said.out


def test_names_by_a_pattern(swept: Path, command: Command) -> None:
    found = compared(command, "tiny", "build/runs/specialist/sort-grpo-*")
    assert [one["seed"] for one in found["sides"][1]["models"]] == [0, 1, 2]
    assert found["right"] == "sort-grpo-*"


@pytest.mark.parametrize(
    ("side", "wrong"),
    [
        ("*-grpo", "in more than the seed: domain.name is 'sort' of sort-grpo, 'reverse' of reverse-grpo"),
        ("opd,soup", "method.type is 'opd' of opd, 'soup' of soup"),
        (
            f"{folder_of('grpo', 0)},{folder_of('dapo', 1)}",
            "method.type is 'grpo' of sort-grpo-0, 'dapo' of sort-dapo-1",
        ),
        (
            f"{folder_of('grpo', 1)},build/runs/specialist/again",
            "sort-grpo-1 and again both have the seed 1: that is one",
        ),
    ],
)
def test_what_are_no_seeds_of_one_way(side: str, wrong: str, swept: Path, command: Command) -> None:
    shutil.copytree(swept / folder_of("grpo", 1), swept / "build/runs/specialist/again/specialist")
    said = command("compare", "tiny", side)
    assert (said.status, said.out) == (2, "")
    assert wrong in said.err
    assert "allowed: seeds of one way, each once; or each a side" in said.err


def test_seeds_with_equal_weights_are_one(swept: Path, command: Command) -> None:
    """As means of the same models are, whatever their seed."""
    for seed in (0, 2):
        (scored,) = swept.glob(f"build/runs/evaluate/sort-dapo-{seed}-*/evaluate")
        (scored / "model.json").write_text(json.dumps({"weights": "ab", "answering": None}), encoding="utf-8")
    words = "sort-dapo-0, sort-dapo-1, seeds 0, 1; sort-dapo-2 has the weights of sort-dapo-0: no other seed"
    assert words in command("compare", SWEEP).out
    side = compared(command, SWEEP)["sides"][1]
    assert (len(side["models"]), side["same_weights"]) == (2, {"sort-dapo-2": "sort-dapo-0"})


def test_what_is_not_scored_names_the_command(swept: Path, command: Command) -> None:
    found = compared(command, SWEEP)
    shutil.rmtree(Path(found["sides"][1]["models"][2]["scores"]).parent)
    wrong, does = "1 of the 3 models of method=dapo is not scored yet", f"`thicket evaluate -m model={SWEEP}` does it"
    said = command("compare", SWEEP)
    assert (said.status, f"No scores to compare: {wrong} as params.yaml now says: {does}\n" in said.out) == (0, True)
    said = command("compare", "tiny", SWEEP)
    words = f"\nNot compared: on sort and reverse, {wrong} as params.yaml now says; {does}.\n"
    assert (said.status, words in said.out) == (0, True)


def test_scores_are_no_model(swept: Path, command: Command) -> None:
    scores = Path(compared(command, SWEEP)["sides"][0]["models"][0]["scores"]).relative_to(swept)
    for folder in (scores, scores.parent):
        said = command("show", str(folder))
        words = f"'{folder}': scores of a model, and none: name the run or the sweep that made it\n"
        assert (said.status, words in said.err) == (2, True)


def test_a_sweep_of_which_nothing_is_done(swept: Path, command: Command) -> None:
    for result in swept.glob(f"{SWEEP}/*/result.json"):
        result.unlink()
    for words in (["compare", SWEEP], ["evaluate", "-m", f"model={SWEEP}"]):
        said = command(*words)
        assert said.status == 2
        assert "none of this sweep's runs is done: `thicket show " in said.err


def test_a_run_that_failed_is_told(swept: Path, command: Command) -> None:
    path = swept / SWEEP / "5/result.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**run, "artifact": "", "error": "out of memory"}), encoding="utf-8")
    assert "method=dapo: sort-dapo-0, sort-dapo-1, seeds 0, 1; 1 more without a model" in command("compare", SWEEP).out
    for number in (3, 4):
        (swept / SWEEP / str(number) / "result.json").write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    said = command("compare", SWEEP)
    assert (said.status, "method=dapo: none of its runs has a model" in said.err) == (2, True)


def test_a_sweep_that_was_stopped_says_what_is_missing(swept: Path, command: Command) -> None:
    (swept / SWEEP / "5/result.json").unlink()
    said = command("compare", SWEEP)
    assert "method=dapo: sort-dapo-0, sort-dapo-1, seeds 0, 1; 1 more not made" in said.out
    assert f"1 of the 6 runs of {SWEEP} is not made: `thicket show {SWEEP}` says how far they are." in said.out
    assert "method=dapo and method=grpo have other seeds (0, 1 against 0, 1, 2), which are not paired." in said.out
    found = compared(command, SWEEP)
    assert [side["runs_not_made"] for side in found["sides"]] == [0, 1]
    for number in (3, 4):
        (swept / SWEEP / str(number) / "result.json").unlink()
    words = f"3 of the 6 runs of {SWEEP} are not made, so that nothing is compared of method=dapo: "
    assert words in command("compare", "tiny", SWEEP).out
    said = command("compare", SWEEP)
    assert (said.status, said.out) == (2, "")
    assert f"nothing to compare it with yet: {words}`thicket show {SWEEP}` says how far they are\n" in said.err


def test_of_a_sweep_the_best_is_named(swept: Path, command: Command) -> None:
    words = f"a sweep: name one of its runs, which `thicket show {SWEEP}` lists"
    assert f"'{SWEEP}': {words}\n" in command("export", SWEEP).err, "without an objective none is the best"
    hydra = (swept / SWEEP / "multirun.yaml").read_text(encoding="utf-8").replace("objective=null", "objective=flops")
    (swept / SWEEP / "multirun.yaml").write_text(hydra, encoding="utf-8")

    def write(number: int, **values: Any) -> None:
        path = swept / SWEEP / str(number) / "result.json"
        run = json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**run, **values}), encoding="utf-8")

    for number, flops in enumerate([1, 9, 9, 3, 2, 4]):
        write(number, value=flops, domains="sort")
    best = folder_of("dapo", 1)
    assert f"'{SWEEP}': {words}; by flops the best is {best}\n" in command("export", SWEEP).err, "by the seeds' mean"
    write(0, domains="reverse")
    assert f"the best is {folder_of('grpo', 0)} on reverse, {best} on sort\n" in command("export", SWEEP).err


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (["tiny"], "nothing to compare it with"),
        ([folder_of("grpo", 0)], f"compare = '{folder_of('grpo', 0)}': nothing to compare it with"),
        (["tiny", "x*"], "'x*': there is no such model"),
        (["tiny", "build/runs/specialist/sort-grpo-7"], "did you mean: build/runs/specialist/sort-grpo-"),
        (["tiny", "sort-grpo-1"], "did you mean: build/runs/specialist/sort-grpo-1\n"),
        (["tiny", "build/runs/nothing-*"], "no folder of this pattern"),
        (["tiny", "build/runs"], "there is no model in this folder"),
        (["tiny", "build/runs/evaluate/sort-grpo-0/evaluate"], "name the run or the sweep that made it"),
    ],
)
def test_what_is_no_side(sides: list[str], message: str, swept: Path, command: Command) -> None:
    said = command("compare", *sides)
    assert (said.status, said.out) == (2, "")
    assert message in said.err


# -- evaluated for real ------------------------------------------------------------------------------------------------


def test_a_folder_is_scored_as_the_projects_own_models_are(
    made: Path, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Path(shutil.copytree(made / "build/models/soup", tmp_path / "it's a copy" / "Soup 1"))
    shutil.copytree(elsewhere, made / "build/runs/student/soup-1/student", dirs_exist_ok=True)
    (made / "notes").mkdir(exist_ok=True)

    def below(*arguments: str) -> Said:
        monkeypatch.chdir(made / "notes")
        return command(*arguments)

    for model, name in (("../build/runs/student/soup-1", "soup-1"), (str(elsewhere), "soup-1"), ("soup", "soup")):
        said = below("evaluate", f"model={model}")
        assert (said.status, said.err) == (0, "")
        folder = made / said.out.splitlines()[-1].split(": ")[1].removesuffix(" (made before)")
        assert folder.parent.name.rpartition("-")[0] == name
        assert (folder / "items.csv").read_bytes() == (made / "build/evaluation/soup/items.csv").read_bytes()
        found = json.loads(below("compare", "soup", model, "--json").out)
        assert {tuple(one["difference"].values()) for one in found["scores"]} == {(0.0, 0.0, 0.0)}
    assert below("evaluate", "model=../build/models/soup").out.startswith("evaluate soup")


def test_a_sweep_of_folders(made: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)
    for number in (1, 2):
        shutil.copytree(
            made / "build/models/soup", made / f"build/runs/student/soup-{number}/student", dirs_exist_ok=True
        )
    said = command("evaluate", "model=build/runs/student/soup-*")
    assert (said.status, "several values are a sweep: add -m" in said.err) == (2, True)
    said = command("evaluate", "-m", "model=build/runs/student/nothing-*")
    assert said.err.startswith("command line: model = 'build/runs/student/nothing-*': no folder of this pattern\n")
    said = command("evaluate", "-m", "model=build/runs/student/soup-*")
    assert (said.status, said.err) == (0, "")
    assert "model=build/runs/student/soup-2/student" in said.out


def test_values_that_only_one_side_has_are_named(swept: Path, command: Command) -> None:
    path = swept / folder_of("dapo", 0) / "provenance.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    made["config"] |= {"teachers": [{"name": "a", "weight": 1.0}, {"name": "b", "weight": 2.0}]}
    made["config"]["method"] |= {"rounds": 4, **{f"value_{n}": n for n in range(12)}}
    path.write_text(json.dumps(made), encoding="utf-8")
    said = command("compare", folder_of("dapo", 0), folder_of("grpo", 0)).out
    named = ", ".join(f"method.value_{n}" for n in range(10))
    assert f"\nOnly sort-dapo-0 has method.rounds, {named} and 3 more.\n`--json` lists their values.\n" in said
    assert "Only sort-grpo-0" not in said
    del made["config"]["method"]
    path.write_text(json.dumps(made), encoding="utf-8")
    said = command("compare", folder_of("dapo", 0), folder_of("grpo", 0)).out
    assert "Only sort-dapo-0 has teachers.\nOnly sort-grpo-0 has method.\n" in said, "parts, not all that is in them"


def test_a_value_on_which_a_side_does_not_agree(swept: Path, command: Command) -> None:
    said = command("compare", f"{folder_of('dapo', 0)},{folder_of('dapo', 1)}", folder_of("dapo", 0)).out
    assert [line.split() for line in said.splitlines() if line.startswith("seed ")] == [["seed", "several", "0"]]
    assert "Only " not in said


def test_what_lists_the_values_of_declared_models(scored: Path, command: Command) -> None:
    said = command("compare", "tiny", "opd").out
    assert "\n`thicket config diff base-tiny student-opd` lists their values.\n" in said
