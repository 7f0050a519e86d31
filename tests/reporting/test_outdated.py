"""A report made of models that are not what is declared now says so itself."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from reporting_run import Correct, WriteRun, base, specialist, student, weights_of

from thicket.config.yamlfile import to_yaml
from thicket.reporting.inputs import read_inputs
from thicket.reporting.outdated import outdated
from thicket.reporting.report import build_report

MODELS = [
    base("tiny"),
    specialist("sort-grpo", "tiny", "sort"),
    specialist("odd-grpo", "tiny", "odd"),
    student("opd", "tiny", ["sort-grpo", "odd-grpo"]),
    student("mixed", "tiny", [], "mixed"),
]
NAMES = [model.name for model in MODELS]
CORRECT: Correct = {name: {"sort": [1, 2, 3, 4], "odd": [place % 4] * 4} for place, name in enumerate(NAMES)}
CODE = {"thicket.methods.grpo": "ab", "thicket.ops.noise": "cd"}


def edit(path: Path, **values: Any) -> None:
    made = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**made, **values}), encoding="utf-8")


class Project:
    """All models as declared, until a test changes something."""

    def __init__(self, run: WriteRun, root: Path):
        self.root = root
        self.stage = run(MODELS, CORRECT, {"mixed": "opd"})
        for model in MODELS:
            parents = [name for name in (model.base, *model.teachers) if name]
            edit(self.provenance(model.name), parents={name: weights_of(name) for name in parents})
            config = self.config(model.name) | {"method": {"steps": 60, "lr": 1e-5}, "code": CODE}
            edit(self.provenance(model.name), config=config)
            self.declare(model.name, config)

    def provenance(self, name: str) -> Path:
        return self.root / f"build/models/{name}/provenance.json"

    def config(self, name: str) -> dict[str, Any]:
        return json.loads(self.provenance(name).read_text(encoding="utf-8"))["config"]

    def declare(self, name: str, config: dict[str, Any]) -> None:
        path = self.root / f"build/config/models/{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(to_yaml(config), encoding="utf-8")

    def make_anew(self, name: str) -> None:
        edit(self.provenance(name), weights="12" * 32)

    def score(self, name: str) -> None:
        edit(self.root / f"build/evaluation/{name}/model.json", weights="12" * 32)

    def reasons(self) -> dict[str, tuple[str, ...]]:
        return outdated(read_inputs(self.stage, self.root), self.root)

    def forms(self) -> tuple[str, str, dict[str, Any]]:
        build_report(self.stage, self.root, self.root)
        page, text, results = ((self.root / f"{form}").read_text(encoding="utf-8") for form in FORMS)
        return page, text, json.loads(results)["models"]


FORMS = ("index.html", "results.md", "results.json")


@pytest.fixture
def project(run: WriteRun, tmp_path: Path) -> Project:
    return Project(run, tmp_path)


def test_nothing_is_said_where_all_is_as_declared(project: Project) -> None:
    assert project.reasons() == {}
    page, text, models = project.forms()
    assert "†" not in page + text
    assert 'class="banner"' not in page
    assert {tuple(one["outdated"]) for one in models.values()} == {()}


def test_a_base_of_other_values_and_all_that_is_built_on_it(project: Project) -> None:
    project.declare("tiny", {**project.config("tiny"), "method": {"steps": 80, "lr": 1e-5}})
    built_on = dict.fromkeys(NAMES[1:], ("built on tiny",))
    assert project.reasons() == {"tiny": ("method.steps 60 (declared 80)",), **built_on}


def test_a_base_made_anew_alone(project: Project) -> None:
    project.make_anew("tiny")
    made = dict.fromkeys(NAMES[1:], ("made from other weights of tiny",))
    assert project.reasons() == {"tiny": ("scores are of other weights",), **made}
    project.score("tiny")
    assert project.reasons() == made


def test_what_may_spend_the_cost_of_a_model_that_is_not_as_declared(project: Project) -> None:
    project.make_anew("sort-grpo")
    project.score("sort-grpo")
    assert project.reasons() == {"opd": ("made from other weights of sort-grpo",), "mixed": ("built on opd",)}


def test_other_code_and_more_values_than_a_line_holds(project: Project) -> None:
    config = project.config("mixed")
    values = {"steps": 61, "lr": 2e-5, "clip": 0.2}
    project.declare("mixed", {**config, "method": values, "code": {**CODE, "thicket.ops.noise": "ef"}})
    steps, code = project.reasons()["mixed"]
    assert steps == "method.steps 60 (declared 61) and 2 more"
    assert code == "made by other code (thicket.ops.noise)"


def test_another_way_to_answer(project: Project) -> None:
    path = project.root / "build/models/mixed/answering.json"
    path.write_text("{}", encoding="utf-8")
    assert project.reasons() == {"mixed": ("scores are of other weights",)}
    path.unlink()
    (project.root / "build/evaluation/mixed/model.json").unlink()
    assert project.reasons() == {"mixed": ("scores don't say of which weights they are",)}


def test_without_resolved_configs_weights_alone_are_compared(project: Project) -> None:
    for path in (project.root / "build/config/models").iterdir():
        path.unlink()
    assert project.reasons() == {}
    project.make_anew("odd-grpo")
    assert set(project.reasons()) == {"odd-grpo", "opd", "mixed"}


def test_every_form_says_it_at_its_head_and_at_the_rows(project: Project) -> None:
    project.make_anew("sort-grpo")
    page, text, models = project.forms()
    assert models["opd"]["outdated"] == ["made from other weights of sort-grpo"]
    assert models["tiny"]["outdated"] == []
    head = text.partition("## ")[0]
    assert "**† The numbers of 3 of 5 models, marked †, are not of what is declared now" in head
    assert "- opd: made from other weights of sort-grpo.\n- mixed: built on opd." in head
    rows = {name: re.findall(rf"^\| {name}( †)? \|", text, re.MULTILINE) for name in NAMES}
    assert {name for name, marks in rows.items() if set(marks) == {" †"}} == {"sort-grpo", "opd", "mixed"}
    assert {name for name, marks in rows.items() if set(marks) == {""}} == {"tiny", "odd-grpo"}
    assert page.index('class="banner"') < page.index('class="lead"')
    assert "<li>opd: made from other weights of sort-grpo.</li>" in page
    assert '<th scope="row">opd <abbr title="made from other weights of sort-grpo">†</abbr>' in page
    assert re.search(r'<g class="student aged"[^>]*>.*?class="name">opd †</text>', page)
    assert ">sort-grpo †</text>" in page  # in the panel of a domain
    grpo = next(line for line in text.splitlines() if line.startswith("| grpo"))
    assert grpo.startswith("| grpo † |")  # a row that stands for it and another


def test_texts_of_configs_are_escaped(project: Project) -> None:
    project.declare("tiny", {**project.config("tiny"), "x<b>y": "<script>alert(1)</script>"})
    page, text, _ = project.forms()
    assert page.count("<script") == 1
    assert "<b>y" not in page
    assert not re.search(r"(?<!\\)<", text)
