"""A stage from the command line is the pipeline's own stage with the overrides on top, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

from thicket.config.overrides import combinations, parse
from thicket.config.problems import ConfigError
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.plan.adhoc import inherited, stage_from
from thicket.plan.pipeline import resolve


def asked(root: Path, kind: str, *texts: str) -> Resolved:
    return stage_from(root, kind, combinations(parse(list(texts))[0])[0])


def differing(one: Any, other: Any, at: str = "") -> dict[str, Any]:
    """Dotted path → value of everything in the second that the first has otherwise."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = {}
        for key in [*one, *(key for key in other if key not in one)]:
            found |= differing(one.get(key), other.get(key), f"{at}.{key}".lstrip("."))
        return found
    return {} if one == other else {at: other}


@pytest.fixture
def planned(sample: Path) -> dict[str, Resolved]:
    return {made.id: made for made in resolve(Project(sample))}


def change(planned: dict[str, Resolved], made: Resolved, name: str) -> dict[str, Any]:
    return differing(planned[name].stage.model_dump(), made.stage.model_dump())


@pytest.mark.parametrize(
    ("kind", "texts", "name", "changed"),
    [
        ("specialist", ["domain=sort"], "specialist-sort-grpo", {}),
        ("specialist", ["domain=sort", "method=grpo"], "specialist-sort-grpo", {}),
        ("specialist", ["name=sort-grpo", "seed=4"], "specialist-sort-grpo", {"seed": 4}),
        (
            "specialist",
            ["domain=sort", "method.optimizer.lr=1e-4", "+method.kl=0.1", "sampler.batch=8"],
            "specialist-sort-grpo",
            {"method.optimizer.lr": 1e-4, "method.kl": 0.1, "sampler.batch": 8},
        ),
        (
            "specialist",
            ["name=sort-grpo", "method=grpo-gentle"],
            "specialist-sort-grpo",
            {"method.optimizer.lr": 1e-4, "method.kl": 0.05, "method.steps": 2},  # `values` are for grpo alone
        ),
        ("student", ["method=opd", "method.steps=9"], "student-opd", {"method.steps": 9}),
        ("student", ["name=soup", "base=sort-grpo"], "student-soup", {"base": "sort-grpo"}),
        ("evaluate", ["model=opd", "evaluation.samples=6"], "evaluate-opd", {"evaluation.samples": 6}),
        ("data", ["domain=sort", "domain.splits.train=8"], "data-sort", {"domain.splits.train": 8}),
        ("data", ["domain=reverse", "seed=2"], "data-reverse", {"seed": 2}),
        ("base", ["base.optimizer.lr=1"], "base-tiny", {"base.optimizer.lr": 1}),
        ("report", [], "report", {}),
    ],
)
def test_only_what_is_asked_for_changes(
    planned: dict[str, Resolved], sample: Path, kind: str, texts: list[str], name: str, changed: dict[str, Any]
) -> None:
    made = asked(sample, kind, *texts)
    assert made.id == name
    assert change(planned, made, name) == changed


def test_a_new_model(planned: dict[str, Resolved], sample: Path) -> None:
    made = asked(sample, "specialist", "domain=sort", "method=grpo-gentle")
    assert made.id == "specialist-sort-grpo-gentle"
    assert made.models == ("tiny",)
    student = asked(sample, "student", "name=pair", "method=soup", "teachers=[sort-grpo,opd]")
    assert student.id == "student-pair"
    assert student.models == ("tiny", "sort-grpo", "opd")


def test_values_lie_over_those_of_the_file_however_they_are_spelt(sample: Path) -> None:
    params = sample / "params.yaml"
    text = params.read_text(encoding="utf-8")
    values = "{method: {optimizer.lr: 5}, method.steps: 7, sampler.batch: 4}"
    spelt = f"sort-long: {{base: tiny, domain: sort, method: grpo, set: {values}}}"
    params.write_text(text.replace("students:", f"specialists:\n  {spelt}\nstudents:"), encoding="utf-8")
    stage: Any = asked(sample, "specialist", "name=sort-long", "method.optimizer.lr=3", "sampler.batch=8").stage
    assert (stage.method.optimizer.lr, stage.method.steps, stage.sampler.batch) == (3, 7, 8)


def test_origins(sample: Path) -> None:
    layers = asked(sample, "specialist", "domain=sort", "method.optimizer.lr=1e-4").layers
    assert layers.origin(("method", "optimizer", "lr")) == "override 'method.optimizer.lr=1e-4'"
    assert layers.origin(("method", "steps")) == "params.yaml:18"
    assert layers.origin(("method", "group")) == "conf/method/grpo.yaml:4"


def test_data_of_a_domain_that_no_model_knows(sample: Path) -> None:
    text = (sample / "conf/domain/sort.yaml").read_text(encoding="utf-8")
    far = text.replace("name: sort", "name: far").replace("prompt: 16", "prompt: 4000")
    (sample / "conf/domain/far.yaml").write_text(far, encoding="utf-8")
    with pytest.raises(ConfigError):
        asked(sample, "specialist", "domain=far", "method=grpo")
    assert asked(sample, "data", "domain=far").id == "data-far"


def test_a_project_at_fault_comes_first(sample: Path) -> None:
    (sample / "params.yaml").write_text("products: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params.yaml:1: products = 3: wrong type"):
        asked(sample, "specialist", "domain=sort")


# -- which declared model is meant -------------------------------------------------------------------------------------

TWO_SEEDS = """products:
  - {base: tiny, domains: [sort], methods: [grpo], prefix: s0, seed: 0, set: {s0-sort-grpo: {method.steps: 7}}}
  - {base: tiny, domains: [sort], methods: [grpo], prefix: s1, seed: 1, set: {s1-sort-grpo: {method: {steps: 7}}}}
  - {base: tiny, domains: [reverse], methods: [grpo]}
students:
  soup: {base: tiny, method: soup, teachers: [s0-sort-grpo, reverse-grpo]}
"""


def declare(sample: Path, text: str) -> None:
    head = (sample / "params.yaml").read_text(encoding="utf-8").partition("products:")[0]
    (sample / "params.yaml").write_text(head + text, encoding="utf-8")


def noted(root: Path, *texts: str) -> str:
    (pairs,) = combinations(parse(list(texts))[0])
    return inherited(Project(root), pairs, stage_from(root, "specialist", pairs))


@pytest.mark.parametrize("texts", [["domain=sort"], ["method=grpo", "domain=sort"]])
@pytest.mark.parametrize("seed", [0, 1, 3])
def test_what_models_of_several_seeds_have_in_common(sample: Path, texts: list[str], seed: int) -> None:
    declare(sample, TWO_SEEDS)
    made = asked(sample, "specialist", *texts, f"seed={seed}")
    stage: Any = made.stage
    assert (stage.name, stage.seed, stage.method.steps) == ("sort-grpo", seed, 7)
    assert made.layers.origin(("method", "steps")) == "params.yaml:8"
    note = "grpo on sort takes method.steps=7 from params.yaml:8 (s0-sort-grpo, s1-sort-grpo)"
    assert noted(sample, *texts, f"seed={seed}") == note
    assert noted(sample, *texts, f"seed={seed}", "method.steps=7") == ""


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("{base: tiny, domain: sort, method: grpo, seed: 4, set: {method: {steps: 7}}}", "sort-grpo"),
        ("{base: tiny, domain: reverse, method: grpo-gentle}", "s0-sort-grpo"),
    ],
)
def test_what_they_have_in_common_is_laid_over_no_declared_model(sample: Path, other: str, name: str) -> None:
    declare(sample, TWO_SEEDS.replace("students:", f"specialists:\n  sort-grpo: {other}\nstudents:"))
    stage: Any = asked(sample, "specialist", "domain=sort", "seed=3").stage
    assert (stage.name, stage.domain.name, stage.seed, stage.method.steps) == (name, "sort", 3, 7)


def test_of_models_that_differ_in_more_the_one_with_the_seed(sample: Path) -> None:
    declare(sample, TWO_SEEDS.replace("method: {steps: 7}", "method: {steps: 8}").replace("seed: 0, ", ""))
    for seed, steps in ((0, 7), (1, 8)):
        stage: Any = asked(sample, "specialist", "domain=sort", f"seed={seed}").stage
        assert (stage.name, stage.seed, stage.method.steps) == (f"s{seed}-sort-grpo", seed, steps)
    with pytest.raises(ConfigError, match=r"domain=sort: several are declared: say name=MODEL"):
        asked(sample, "specialist", "domain=sort", "seed=3")


def test_without_a_seed_several_seeds_are_several(sample: Path) -> None:
    declare(sample, TWO_SEEDS)
    with pytest.raises(ConfigError, match=r"domain=sort method=grpo: several are declared: say seed=…, or name=MODEL"):
        asked(sample, "specialist", "domain=sort", "method=grpo")
    with pytest.raises(ConfigError, match=r"specialist: several are declared: say domain=…, seed=…, or name=MODEL"):
        asked(sample, "specialist")


def test_a_name_like_that_of_a_declared_model(sample: Path) -> None:
    declare(sample, TWO_SEEDS)
    note = "s0-sort-gpo is not declared: it takes no model's values from params.yaml; did you mean: s0-sort-grpo"
    assert noted(sample, "name=s0-sort-gpo", "domain=sort", "method=grpo") == note
    assert noted(sample, "name=other", "domain=sort", "method=grpo") == ""
    assert noted(sample, "name=s0-sort-gpo", "domain=reverse", "method=grpo-gentle") == ""
    with pytest.raises(ConfigError) as error:
        asked(sample, "specialist", "name=s0-sort-gpo", "method=grpo")
    assert str(error.value).splitlines() == [
        "override 'name=s0-sort-gpo': name = 's0-sort-gpo': not declared, and a new one needs domain=…",
        "    allowed: s0-sort-grpo, s1-sort-grpo, reverse-grpo",
        "    did you mean: s0-sort-grpo",
    ]


def test_a_folder_at_the_project_s_root_is_a_model_s_too(sample: Path) -> None:
    """By its name alone it could be meant for a declared model's: the slash says which."""
    (sample / "given").mkdir()
    (sample / "given" / "config.json").write_text("{}")
    stage: Any = asked(sample, "evaluate", "model=./given").stage
    assert (stage.name, stage.source) == ("given", "./given")
    with pytest.raises(ConfigError, match="there is none of this name") as error:
        asked(sample, "evaluate", "model=given")
    assert error.value.problems[0].nearest == "./given"
