"""Commands, their output and their exit status."""

import re
import shutil
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import yaml
from commands import Command

import thicket
from thicket.arguments import NAMES
from thicket.cli import parser
from thicket.config.yamlfile import to_yaml
from thicket.plan.by_hand import BY_DVC, REPRO
from thicket.stages.publish import locked
from thicket.warm import OWNER

STAGES = ("data", "base", "specialist", "student", "evaluate", "report")


COMMANDS = ("check", "plan", "repro", "compose", "run", "experiment", "config", "model", "analyze", *NAMES, *STAGES)


def test_help(command: Command) -> None:
    said = command("--help")
    assert (said.status, said.err) == (0, "")
    listed = re.findall(r"^    (\w+) +\w", said.out, re.MULTILINE)
    assert set(COMMANDS) <= {*listed}, "each with what it does in the same line"


PARTS = ("experiment list", "experiment use", "config show", "config diff", "config schema", "model materialize")


@pytest.mark.parametrize("name", [*COMMANDS, *PARTS])
def test_help_of_each_command(name: str, command: Command) -> None:
    """What it does stands at its head, what it takes is explained, and an example takes what it takes."""
    said = command(*name.split(), "--help")
    assert said.status == 0
    usage, does, *rest = said.out.split("\n\n")
    assert usage.startswith(f"usage: thicket {name}")
    assert re.match(r"[A-Z].*\.(\nWhat it makes lies in build/runs/.*\.)?$", does), does
    bare = [line for line in "\n".join(rest).splitlines() if re.fullmatch(r"  [A-Z]+(=[A-Z]+)?", line)]
    assert bare in ([], ["  COMMAND"], ["  ACTION"])
    for line in re.findall(r"^ *(?:example: )?(thicket .*?)(?: >.*)?$", said.out, re.MULTILINE):
        taken = parser().parse_args(line.split()[1:])
        assert taken.command == name.split()[0]


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["chekc"], "invalid choice: 'chekc'"),
        (["config"], "the following arguments are required: {show,diff,schema,pages}"),
        (["config", "shwo"], "invalid choice: 'shwo'"),
        (["run"], "the following arguments are required: CONFIG"),
        (["check", "--all"], "unrecognized arguments: --all"),
        (["plan", "seed=1"], "unrecognized arguments: seed=1"),
        (["data", "domain=sort", "--all"], "unrecognized arguments: --all"),
        (["chat", "tiny", "--tokens", "0"], "--tokens: '0': allowed are whole numbers from 1"),
        (["repro", "--jobs", "two"], "--jobs: 'two': allowed are whole numbers from 1"),
        (["report", "-m"], "unrecognized arguments: -m"),
        (["analyze"], "the following arguments are required: ANALYSIS\n"),
    ],
)
def test_a_wrong_command(arguments: list[str], wrong: str, command: Command) -> None:
    said = command(*arguments)
    assert (said.status, said.out) == (2, "")
    assert wrong in said.err
    assert "Traceback" not in said.err
    known = [arguments[0]] if arguments[0] in COMMANDS else []
    assert said.err.startswith(" ".join(["usage: thicket", *known, ""]))


def test_overrides_on_both_sides_of_an_option(sample: Path, command: Command) -> None:
    said = command("specialist", "domain=sort", "-m", "method.lr=1", "method.stesp=2")
    assert said.status == 2
    assert "did you mean: optimizer.lr" in said.err
    assert "did you mean: steps" in said.err


def test_check(sample: Path, command: Command) -> None:
    said = command("check")
    assert (said.status, said.err) == (0, "")
    assert said.out == (
        "All 15 stages are sound: 2 data, 1 base, 2 specialist, 3 student, 6 evaluate, 1 report.\n"
        "dvc.yaml is out of step with params.yaml: run `thicket plan`.\n"
    )
    assert command("plan").status == 0
    assert len(command("check").out.splitlines()) == 1
    assert not (sample / "build").exists()


def test_from_a_folder_below(sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    (sample / "notes").mkdir()
    monkeypatch.chdir(sample / "notes")
    assert command("check").status == 0
    assert command("plan").status == 0
    assert (sample / "dvc.yaml").is_file()
    assert command("compose").status == 0
    monkeypatch.chdir(sample / "build/config")
    assert command("run", "data/sort.yaml").status == 0
    assert (sample / "build/data/sort/train.jsonl").is_file()


def test_a_clone_that_runs_the_code_of_another_says_so_in_a_line(
    sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = sample / "thicket"
    own.mkdir()
    assert command("check").err == "", "a folder of this name that is no copy of the code"
    (own / "cli.py").touch()
    running = Path(thicket.__file__).parent
    assert command("check").err.startswith(f"Note: the code that runs is {running}, not this clone's {own}; ")
    assert command("check").err.count("\n") == 1
    monkeypatch.setenv(OWNER, "1")
    assert command("check").err == "", "a stage of `thicket repro`"
    monkeypatch.delenv(OWNER)
    shutil.rmtree(own)
    own.symlink_to(running)
    assert command("check").err == ""


def test_compose(sample: Path, command: Command) -> None:
    said = command("compose")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("dvc.yaml: out of step with params.yaml: run `thicket plan`\n")
    command("plan")
    stale = sample / "build/config/models/gone.yaml"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert command("compose").out == "build/config: 15 resolved configs\n"
    found = {path.relative_to(sample / "build/config").as_posix() for path in (sample / "build").rglob("*.yaml")}
    models = ("tiny", "sort-grpo", "reverse-grpo", "opd", "soup", "mixed")
    assert found == {
        "data/sort.yaml",
        "data/reverse.yaml",
        *(f"models/{name}.yaml" for name in models),
        *(f"evaluate/{name}.yaml" for name in models),
        "report.yaml",
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (None, "build/config/x.yaml: there is no such file"),
        ("name: x\n", "build/config/x.yaml: stage: a value is missing"),
        ("stage: trian\n", "build/config/x.yaml:1: stage = 'trian': not one of the options"),
        ("stage: report\nname: report\n", "build/config/x.yaml: experiment: a value is missing"),
    ],
)
def test_a_config_that_is_no_stage(text: str | None, wrong: str, sample: Path, command: Command) -> None:
    path = sample / "build/config/x.yaml"
    path.parent.mkdir(parents=True)
    if text is not None:
        path.write_text(text, encoding="utf-8")
    said = command("run", "build/config/x.yaml")
    assert (said.status, said.out) == (2, "")
    assert wrong in said.err.splitlines()


def test_several_stages_run_in_turn_up_to_one_that_fails(sample: Path, command: Command) -> None:
    command("plan")
    command("compose")
    folder = sample / "build/data"
    said = command(
        "run", "build/config/data/sort.yaml", "build/config/models/opd.yaml", "build/config/data/reverse.yaml"
    )
    assert said.status == 1
    assert "build/models/sort-grpo: not a model of this pipeline" in said.err
    assert [path.name for path in folder.iterdir()] == ["sort"]
    assert command("run", *(f"build/config/data/{name}.yaml" for name in ("reverse", "sort"))).status == 0
    assert sorted(path.name for path in folder.iterdir()) == ["reverse", "sort"]


def test_by_hand_what_dvc_is_at_is_left_alone_and_what_is_done_is_told(sample: Path, command: Command) -> None:
    command("plan")
    command("compose")
    config = "build/config/data/sort.yaml"
    assert "Note" not in command("run", config).out
    values = yaml.safe_load((sample / config).read_text(encoding="utf-8"))
    locked = {"data-sort": {"cmd": "", "params": {config: values}, "outs": [{"path": "build/data/sort"}]}}
    (sample / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": locked}), encoding="utf-8")
    note = "Note: data-sort is done, and made once more: `dvc repro data-sort` makes just what has changed.\n"
    assert command("run", config).out.startswith(note)
    with locked_by_repro(sample):
        said = command("run", config)
    assert (said.status, said.out) == (1, "")
    assert said.err == "Error: a repro is running: wait for its end, or stop it\n"


def test_dvc_itself_is_not_asked(sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    command("plan")
    command("compose")
    monkeypatch.setenv(BY_DVC, str(sample))
    with locked_by_repro(sample):
        assert command("run", "build/config/data/sort.yaml").status == 0


def locked_by_repro(root: Path) -> AbstractContextManager[None]:
    return locked(root / REPRO, "the pipeline")


def test_the_data_stage_by_itself_makes_what_the_pipeline_makes(sample: Path, command: Command) -> None:
    command("plan")
    command("compose")
    assert command("run", "build/config/data/sort.yaml").status == 0
    said = command("data", "domain=sort")
    assert said.status == 0
    place = said.out.splitlines()[-1].removeprefix("data sort: ")
    for split in ("train", "selection", "test"):
        assert (sample / place / f"{split}.jsonl").read_text() == (
            sample / f"build/data/sort/{split}.jsonl"
        ).read_text()
