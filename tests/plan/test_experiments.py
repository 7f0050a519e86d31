"""`thicket experiment`: lists them, and makes one the project's without losing what a person wrote."""

from pathlib import Path

import pytest
from commands import Command

from thicket.config.library import Library
from thicket.config.project import Project
from thicket.plan.by_hand import REPRO
from thicket.plan.pipeline import pipeline
from thicket.stages.publish import locked

SHIPPED = Path(__file__).parents[2]


@pytest.mark.parametrize("action", [(), ("list",)])
def test_list(sample: Path, command: Command, action: tuple[str, ...]) -> None:
    said = command("experiment", *action)
    assert (said.status, said.err) == (0, "")
    assert [line.split(maxsplit=1) for line in said.out.splitlines()] == [
        ["small", "The same without students."],
        ["*", "toy                  A project of toy sizes: what the tests edit, break and run."],
    ]


def test_use(sample: Path, command: Command) -> None:
    said = command("experiment", "use", "small")
    assert (said.status, said.err) == (0, "")
    assert said.out.startswith("params.yaml is the experiment small.\n")
    assert (sample / "params.yaml").read_bytes() == (sample / "conf/experiment/small.yaml").read_bytes()
    assert "student-opd" not in (sample / "dvc.yaml").read_text(encoding="utf-8")
    assert command("check").out.count("\n") == 1


def test_use_where_there_is_no_params(sample: Path, command: Command) -> None:
    (sample / "params.yaml").unlink()
    assert command("experiment", "use", "toy").status == 0
    assert command("check").status == 0


def test_an_edited_params_stays(sample: Path, command: Command) -> None:
    path = sample / "params.yaml"
    edited = path.read_text(encoding="utf-8") + "# mine\n"
    path.write_text(edited, encoding="utf-8")
    said = command("experiment", "use", "small")
    assert (said.status, said.out) == (2, "")
    assert "params.yaml" in said.err
    assert "--force" in said.err
    assert path.read_text(encoding="utf-8") == edited
    assert not (sample / "dvc.yaml").exists()
    assert command("experiment", "use", "small", "--force").status == 0
    assert "small" in path.read_text(encoding="utf-8")


def test_while_a_repro_reads_dvc_yaml(sample: Path, command: Command) -> None:
    assert command("plan").status == 0
    before = [(sample / name).read_bytes() for name in ("params.yaml", "dvc.yaml")]
    with locked(sample / REPRO, "the pipeline"):
        said = command("experiment", "use", "small")
        assert said.status == 2
        assert said.err.startswith("dvc.yaml: a repro is running, and reads it for each of its stages: wait for its")
        assert command("plan").status == 0, "it is as it was"
        assert [(sample / name).read_bytes() for name in ("params.yaml", "dvc.yaml")] == before
        (sample / "params.yaml").write_bytes((sample / "conf/experiment/small.yaml").read_bytes())
        assert command("plan").status == 2
    assert (sample / "dvc.yaml").read_bytes() == before[1]
    assert command("experiment", "use", "small").status == 0


@pytest.mark.parametrize("asked", [("experiment", "use"), ("check",)])
def test_an_unknown_one(sample: Path, command: Command, asked: tuple[str, ...]) -> None:
    said = command(*asked, "smal")
    assert (said.status, said.out) == (2, "")
    assert said.err == (
        "command line: experiment = 'smal': there is no such option of conf/experiment\n"
        "    allowed: small, toy\n"
        "    did you mean: small\n"
    )


PICKLE = "mine: {base: folder, set: {base.path: mine, base.context: 64}}"
"""A base in a folder that holds no model that may be loaded."""


@pytest.mark.parametrize(
    ("whole", "broken", "wrong"),
    [
        ("[grpo]", "[gpro]", "conf/experiment/small.yaml:8: products[0].methods[0] = 'gpro': there is no such"),
        ("tiny: {base: toy}", f"tiny: {{base: toy}}\n  {PICKLE}", "'mine': no model here (no *.safetensors file)"),
    ],
)
def test_a_broken_one_leaves_everything_as_it_is(
    sample: Path, command: Command, whole: str, broken: str, wrong: str
) -> None:
    path, params = sample / "conf/experiment/small.yaml", sample / "params.yaml"
    (sample / "mine").mkdir()
    (sample / "mine/model.bin").touch()
    (sample / "conf/base/folder.yaml").write_text("type: folder\npath: ???\ncontext: ???\n", encoding="utf-8")
    text = path.read_text(encoding="utf-8")
    assert whole in text
    path.write_text(text.replace(whole, broken), encoding="utf-8")
    before = params.read_bytes()
    for asked in (("experiment", "use", "small"), ("check", "small")):
        said = command(*asked)
        assert (said.status, said.out) == (2, "")
        assert wrong in said.err
    assert params.read_bytes() == before
    assert command("check").status == 0


def test_check_of_one_that_is_not_in_use(sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thicket.config.loggers.find_spec", lambda _: None)
    path = sample / "conf/experiment/small.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "loggers: {wandb: {}}\n", encoding="utf-8")
    before = {file: file.read_bytes() for file in sample.rglob("*.yaml")}
    said = command("check", "small")
    assert (said.status, said.err) == (0, "")
    first, *notes = said.out.splitlines()
    assert first == "All 9 stages of small are sound: 2 data, 1 base, 2 specialist, 3 evaluate, 1 report."
    assert notes == ["Note: wandb is not installed here, which `loggers` names: trainings would not start."]
    assert {file: file.read_bytes() for file in sample.rglob("*.yaml")} == before
    (sample / "params.yaml").write_text("nothing: sound\n", encoding="utf-8")
    assert command("check", "small").out == said.out


@pytest.mark.parametrize("name", Library(SHIPPED / "conf").options("experiment"))
def test_experiments_that_ship_are_sound(name: str, tmp_path: Path) -> None:
    (tmp_path / "conf").symlink_to(SHIPPED / "conf")
    (tmp_path / "params.yaml").write_bytes((SHIPPED / f"conf/experiment/{name}.yaml").read_bytes())
    stages = pipeline(Project(tmp_path))
    assert stages[-1].resolved.id == "report"
    assert getattr(stages[-1].resolved.stage, "experiment") == name  # noqa: B009


def test_the_projects_own_params_is_an_experiment() -> None:
    texts = [path.read_bytes() for path in (SHIPPED / "conf/experiment").glob("*.yaml")]
    assert (SHIPPED / "params.yaml").read_bytes() in texts


def test_a_description_is_its_first_sentence_whole(sample: Path, command: Command) -> None:
    long = "# Why 2.5 of them? " + "many words " * 20 + "\n# and an end. Another sentence.\nexperiment: long\n"
    (sample / "conf/experiment/long.yaml").write_text(long, encoding="utf-8")
    first, *more = command("experiment", "list").out.partition("\n  small")[0].splitlines()
    assert first.startswith("  long                 Why 2.5 of them? many words")
    assert {line[:23] for line in more} == {" " * 23}
    assert " ".join([first[23:], *(line[23:] for line in more)]).endswith("many words and an end.")
    assert all(len(line) <= 160 for line in (first, *more))
