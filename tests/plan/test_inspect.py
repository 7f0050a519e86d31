"""`thicket config show` and `config diff`: what a stage will run with, and who said so."""

import json
from pathlib import Path

import pytest
from commands import Command

from thicket.config.project import Project
from thicket.plan.inspect import leaves
from thicket.plan.pipeline import resolve


def shown(out: str) -> dict[str, tuple[object, str]]:
    """Path → value and origin."""
    lines = [line.rpartition("  # ") for line in out.splitlines()]
    pairs = [(text.partition(": "), origin) for text, _, origin in lines]
    return {path: (json.loads(value), origin) for (path, _, value), origin in pairs}


@pytest.fixture
def edited(sample: Path) -> Path:
    """A specialist with values from everywhere."""
    path = sample / "params.yaml"
    own = "specialists:\n  own:\n    base: tiny\n    domain: sort\n    method: grpo-gentle\n    seed: 7\n"
    own += "    set:\n      method.optimizer:\n        clip: 2\n      domain.window.response: 5\n"
    path.write_text(path.read_text(encoding="utf-8").replace("students:", f"{own}students:"), encoding="utf-8")
    return sample


def test_origins(edited: Path, command: Command) -> None:
    said = command("config", "show", "specialist-own")
    assert (said.status, said.err) == (0, "")
    found = shown(said.out)
    expected = {
        "name": ("own", "params.yaml:10"),
        "base": ("tiny", "params.yaml:11"),
        "seed": (7, "params.yaml:14"),
        "method.optimizer.clip": (2.0, "params.yaml:17"),
        "domain.window.response": (5, "params.yaml:18"),
        "domain.window.prompt": (16, "conf/domain/sort.yaml:7"),
        "method.optimizer.lr": (1e-4, "conf/method/grpo-gentle.yaml:2"),
        "method.kl": (0.05, "conf/method/grpo-gentle.yaml:3"),
        "method.steps": (2, "conf/method/grpo.yaml:2"),
        "method.updates": (1, "default"),
        "sampler.batch": (16, "conf/sampler/torch.yaml:2"),
    }
    assert {path: found[path] for path in expected} == expected


def test_origins_of_values_for_an_option(sample: Path, command: Command) -> None:
    found = shown(command("config", "show", "specialist-sort-grpo").out)
    assert found["method.steps"] == (3, "params.yaml:18")
    assert found["base"] == ("tiny", "params.yaml:8")
    assert found["seed"] == (0, "params.yaml:3")


def test_origins_of_the_graph(sample: Path, command: Command) -> None:
    found = shown(command("config", "show", "student-opd").out)
    assert found["teachers[0].name"] == ("sort-grpo", "params.yaml:13")
    assert found["teachers[0].weight"] == (1.0, "default")
    assert found["teachers[1].weight"] == (2.0, "params.yaml:13")
    assert found["domains[1].window.response"] == (6, "conf/domain/reverse.yaml:7")
    assert shown(command("config", "show", "student-mixed").out)["budget_of"] == ("opd", "params.yaml:15")
    report = shown(command("config", "show", "report").out)
    assert report["experiment"] == ("toy", "params.yaml:2")
    assert report["models[3].name"] == ("opd", "params.yaml:10")


def test_every_stage_is_shown_whole(sample: Path, command: Command) -> None:
    for made in resolve(Project(sample)):
        found = shown(command("config", "show", made.id).out)
        config = made.stage.model_dump(mode="json", exclude={"code"})
        assert [value for value, _ in found.values()] == [value for _, value in leaves(config)]


def test_the_stages(sample: Path, command: Command) -> None:
    said = command("config", "show")
    assert said.out.splitlines()[:3] == ["data-sort", "data-reverse", "base-tiny"]
    assert len(said.out.splitlines()) == 15


@pytest.mark.parametrize("arguments", [["show", "student-odp"], ["diff", "student-odp", "student-opd"]])
def test_an_unknown_stage(arguments: list[str], sample: Path, command: Command) -> None:
    said = command("config", *arguments)
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("command line: stage or model = 'student-odp': there is no such stage or model\n")
    assert "did you mean: student-opd\n" in said.err


def test_models_by_their_names(sample: Path, command: Command) -> None:
    assert command("config", "show", "opd").out == command("config", "show", "student-opd").out
    by_name, by_stage = (command("config", "diff", one, "mixed").out for one in ("opd", "student-opd"))
    assert by_name.splitlines()[0].split() == ["value", "opd", "mixed"]
    assert [line.split() for line in by_name.splitlines()[1:]] == [line.split() for line in by_stage.splitlines()[1:]]
    assert "did you mean: opd\n" in command("config", "show", "odp").err


def test_a_model_that_has_the_name_of_an_experiment(sample: Path, command: Command) -> None:
    (sample / "conf/experiment/opd.yaml").write_text("experiment: opd\n", encoding="utf-8")
    assert command("config", "diff", "opd", "mixed").out.splitlines()[0].split() == ["value", "opd", "mixed"]
    assert "\nexperiment " in command("config", "diff", "opd", "toy").out


def test_two_stages(sample: Path, command: Command) -> None:
    said = command("config", "diff", "specialist-sort-grpo", "specialist-reverse-grpo")
    assert (said.status, said.err) == (0, "")
    assert [line.split() for line in said.out.splitlines()] == [
        ["value", "specialist-sort-grpo", "specialist-reverse-grpo"],
        ["name", '"sort-grpo"', '"reverse-grpo"'],
        ["domain.name", '"sort"', '"reverse"'],
    ]


def test_values_that_one_side_lacks(sample: Path, command: Command) -> None:
    said = command("config", "diff", "student-opd", "student-mixed")
    rows = [line.split() for line in said.out.splitlines()]
    assert ["method.clip", "—", "0.2"] in rows
    assert ["teachers[1].weight", "2.0", "—"] in rows
    assert ["budget_of", "null", '"opd"'] in rows


def test_two_experiments(sample: Path, command: Command) -> None:
    said = command("config", "diff", "toy", "small")
    rows = [line.split(maxsplit=1)[0] for line in said.out.splitlines()]
    assert rows[:2] == ["value", "experiment"]
    assert "students.opd.method" in rows
    assert "seed" not in rows
    assert command("config", "diff", "toy", "toy").out == "No difference.\n"


def test_an_unknown_experiment(sample: Path, command: Command) -> None:
    said = command("config", "diff", "toy", "smal")
    assert said.status == 2
    assert said.err.startswith("command line: experiment = 'smal': there is no such option of conf/experiment\n")
    assert "did you mean: small\n" in said.err


def test_leaves() -> None:
    value = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": 1}, "f"], "g": {}, "h": []}
    assert leaves(value) == [
        (("a", "b"), 1),
        (("a", "c"), [1, 2]),
        (("d", 0, "e"), 1),
        (("d", 1), "f"),
        (("g",), {}),
        (("h",), []),
    ]
