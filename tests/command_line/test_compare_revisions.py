"""`thicket compare REV:MODEL …`: models of other commits, by what their dvc.lock has and DVC's cache holds."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line_scores import ALWAYS, CORRECT, SOMETIMES
from commands import Command
from reporting_run import base, write_items, write_run

from thicket.config.yamlfile import to_yaml
from thicket.plan.recorded import CACHE, hash_of

MADE = {"student-opd": "build/models/opd", "evaluate-opd": "build/evaluation/opd"}
CONFIG = {"name": "opd", "seed": 3, "method": {"type": "opd", "steps": 5}, "code": {"thicket.a": "0"}}


def git(root: Path, *arguments: str) -> None:
    own = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    subprocess.run(["git", *own, *arguments], cwd=root, check=True, capture_output=True)


def kept(root: Path, path: str) -> dict[str, Any]:
    """A folder's entry in dvc.lock, its files in the cache."""
    files = [file for file in (root / path).rglob("*") if file.is_file()]
    listed = [{"md5": hash_of(file), "relpath": file.relative_to(root / path).as_posix()} for file in files]
    md5 = hash_of(root / path)
    for file, one in zip(files, listed, strict=True):
        copy(file, root / CACHE / one["md5"][:2] / one["md5"][2:])
    place = root / CACHE / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(listed), encoding="utf-8")
    return {"path": path, "md5": md5, "size": 1, "nfiles": len(files)}


def copy(file: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, place)


def note_test(root: Path, verifier: str) -> None:
    tests = {domain: {"verifier": verifier, "answers": "same"} for domain in ("sort", "reverse")}
    (root / MADE["evaluate-opd"] / "test.json").write_text(json.dumps(tests), encoding="utf-8")


@pytest.fixture
def committed(scored: Path) -> Path:
    """A commit with a student that solves `sort`; in the working tree it doesn't, and its cost is known."""
    model = scored / MADE["student-opd"] / "provenance.json"
    spent = {"tokens_generated": 1000, "tokens_trained": 2000, "flops": 1e9}
    model.write_text(json.dumps(json.loads(model.read_text()) | {"spent": spent}), encoding="utf-8")
    note_test(scored, "first")
    outs = {stage: kept(scored, path) for stage, path in MADE.items()}
    params = {"build/config/models/opd.yaml": CONFIG}
    locked = {
        "student-opd": {"cmd": "", "params": params, "outs": [outs["student-opd"]]},
        "evaluate-opd": {"cmd": "", "deps": [outs["student-opd"]], "outs": [outs["evaluate-opd"]]},
    }
    (scored / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": locked}), encoding="utf-8")
    git(scored, "init", "-b", "main")
    git(scored, "add", "dvc.lock")
    git(scored, "commit", "-m", "made")
    write_run(scored, [base("tiny")], CORRECT, {})
    write_items(scored / "build/evaluation/opd/items.csv", {"sort": SOMETIMES, "reverse": SOMETIMES})
    return scored


def test_the_same_model_of_another_commit(committed: Path, command: Command) -> None:
    said = command("compare", "main:opd", "opd", "--json")
    assert (said.status, said.err) == (0, "")
    found = json.loads(said.out)
    (sort,) = (one for one in found["scores"] if (one["domain"], one["figure"]) == ("sort", "pass@1"))
    lost = (sum(SOMETIMES) - sum(ALWAYS)) / 4 / len(ALWAYS)
    assert sort["difference"]["value"] == pytest.approx(lost)
    (earlier,) = found["sides"][0]["models"]
    assert earlier["scores"] == "main:build/evaluation/opd"
    assert (earlier["seed"], earlier["scores_outdated"]) == (3, False)
    assert {"path": "method.steps", "main:opd": "5", "opd": "60"}.keys() == found["config"][0].keys()
    assert found["divergence_command"] is None
    lines = command("compare", "main:opd", "opd").out.splitlines()
    row = next(line for line in lines if line.startswith("main:opd "))
    assert row.split() == ["main:opd", "1.00", "k", "2.00", "k", "1.00", "G", "3.00", "G"]
    config = lines[lines.index("Config") + 1 :]
    assert any(line.split()[:2] == ["method.steps", "5"] for line in config)
    assert "code" not in "".join(config)


def provenance(root: Path, **more: Any) -> None:
    path = root / "build/models/opd/provenance.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | more), encoding="utf-8")


def test_the_config_is_that_of_the_model_which_was_scored(committed: Path, command: Command) -> None:
    """params.yaml says another number of steps by now; no such model is made yet."""
    provenance(committed, config=CONFIG, seed=3)
    out = command("compare", "main:opd", "opd").out
    assert out.endswith("Config\nNo difference.\n")
    assert "opd is stale (" in out
    assert "): what is said here is of the one that was made; `dvc repro evaluate-opd` makes it anew, and sc" in out
    found = json.loads(command("compare", "main:opd", "opd", "--json").out)
    assert (found["config"], found["inputs"], found["code"]) == ([], [], [])
    assert any(why.startswith("config: method.steps 5 → ") for why in found["stale"]["opd"])
    assert "opd is stale" not in command("compare", "tiny", "soup").out


def test_other_inputs_and_other_code(committed: Path, command: Command) -> None:
    data = committed / "build/data/sort"
    data.mkdir(parents=True)

    def made(seed: str) -> dict[str, Any]:
        """The student anew, of other train items, another teacher and by other code."""
        (data / "train.jsonl").write_text(seed, encoding="utf-8")
        (data / "test.jsonl").write_text("the same", encoding="utf-8")
        config = {**CONFIG, "code": {"thicket.cli": seed, "thicket.disk": "same"}}
        provenance(committed, config=config, data={"sort": seed, "reverse": "same"}, parents={"sort-grpo": seed})
        read = kept(committed, "build/data/sort")
        outs, params = [kept(committed, MADE["student-opd"])], {"build/config/models/opd.yaml": config}
        lock = committed / "dvc.lock"
        locked = yaml.safe_load(lock.read_text(encoding="utf-8"))
        locked["stages"]["student-opd"] |= {"params": params, "deps": [read], "outs": outs}
        lock.write_text(to_yaml(locked), encoding="utf-8")
        return read

    made("1")
    git(committed, "commit", "-am", "first")
    read = made("2")
    out = command("compare", "main:opd", "opd").out
    assert out.endswith("\nInputs: data-sort (train items), weights of sort-grpo\nCode: thicket/cli.py\n")
    found = json.loads(command("compare", "main:opd", "opd", "--json").out)
    assert found["inputs"] == ["data-sort (train items)", "weights of sort-grpo"]
    assert found["code"] == ["thicket/cli.py"]
    (committed / CACHE / read["md5"][:2] / read["md5"][2:]).unlink()  # which files it had
    assert "\nInputs: data-sort, weights of sort-grpo\n" in command("compare", "main:opd", "opd").out
    (committed / "build/models/opd/provenance.json").unlink()
    out = command("compare", "main:opd", "opd").out
    assert "The inputs of opd are not known: no provenance.json of it is here." in out


def test_an_experiment_of_dvcs_by_its_name(committed: Path, command: Command) -> None:
    git(committed, "update-ref", "refs/exps/ab/cdef/seed-1", "HEAD")
    assert command("compare", "seed-1:o?d", "opd").status == 0


@pytest.mark.parametrize(
    ("side", "wrong", "close"),
    [
        ("nobody:opd", "'nobody': git has no such commit, and DVC no such experiment", ""),
        ("main:odp", "'main:odp': there is no such model in that commit", "did you mean: opd"),
    ],
)
def test_what_there_is_not(committed: Path, command: Command, side: str, wrong: str, close: str) -> None:
    said = command("compare", side, "opd")
    assert (said.status, said.out) == (2, "")
    assert wrong in said.err
    assert close in said.err


def test_what_the_commit_declares_no_more_is_not_offered(committed: Path, command: Command) -> None:
    (committed / "dvc.yaml").write_text(to_yaml({"stages": {"base-tiny": {"cmd": ""}}}), encoding="utf-8")
    git(committed, "add", "dvc.yaml")
    git(committed, "commit", "-m", "without the student")
    assert "allowed: opd" not in command("compare", "main:odp", "opd").err
    assert "there is no such model in that commit" in command("compare", "main:o*", "opd").err
    assert command("compare", "main:opd", "opd").status == 0  # what it made is known by its name


def test_a_commit_without_a_lock_and_a_cache_without_the_files(committed: Path, command: Command) -> None:
    shutil.rmtree(committed / CACHE)
    said = command("compare", "main:opd", "opd")
    assert said.status == 1
    assert "the evaluation of main:opd is not in DVC's cache: `dvc fetch --all-commits evaluate-opd`" in said.err
    git(committed, "rm", "--cached", "-q", "dvc.lock")
    git(committed, "commit", "-m", "none")
    assert "'main': that commit has no dvc.lock" in command("compare", "main:opd", "opd").err


def test_scores_by_another_test_and_the_commands_that_make_them_of_one(committed: Path, command: Command) -> None:
    note_test(committed, "second")
    said = command("compare", "main:opd", "opd")
    wrong = "on sort and reverse, opd is not scored as main:opd is (another verifier); to score them by the tests of"
    (line,) = (line for line in said.out.splitlines() if line.startswith(f"No scores to compare: {wrong} now: "))
    assert "`dvc repro evaluate-opd`; `dvc get . build/models/opd --rev main -o build/opd-main && thicket ev" in line
    assert line.endswith("` (build/opd-main in place of main:opd)")


def test_one_that_the_commit_has_not_scored(committed: Path, command: Command) -> None:
    path = committed / "dvc.lock"
    head, _ = path.read_text(encoding="utf-8").split("  evaluate-opd:")
    path.write_text(head, encoding="utf-8")
    git(committed, "commit", "-am", "not scored")
    said = command("compare", "main:opd", "opd")
    does = "`dvc get . build/models/opd --rev main -o build/opd-main && thicket evaluate model=build/opd-main`"
    words = f"No scores to compare: main:opd is not scored yet: {does} (build/opd-main in place of main:opd) does it\n"
    assert (said.status, words in said.out) == (0, True)
    assert "\nConfig\n" in said.out
    assert (
        "\nNot compared: on sort and reverse, main:opd is not scored"
        in command("compare", "tiny", "opd", "main:opd").out
    )


def test_scores_that_the_commit_had_of_earlier_weights(committed: Path, command: Command) -> None:
    path = committed / "dvc.lock"
    text = path.read_text(encoding="utf-8")
    head, scores = text.split("  evaluate-opd:")
    path.write_text(f"{head}  evaluate-opd:{scores.replace('md5: ', 'md5: 0', 1)}", encoding="utf-8")
    git(committed, "commit", "-am", "retrained")
    said = command("compare", "main:opd", "opd")
    assert "The scores of main:opd are of earlier weights than the commit has." in said.out
