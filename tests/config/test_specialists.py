"""What may be declared about specialists: sequences, starts, efforts, domains with nothing to train on."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from toys import DECLARED, ROOT

from thicket.config.policy_gradient import PolicyGradient
from thicket.config.problems import ConfigError
from thicket.config.project import Project
from thicket.config.resolve import SEQUENCE_STRIDE
from thicket.config.stages import EvaluateStage, SpecialistStage
from thicket.config.yamlfile import to_yaml
from thicket.plan.pipeline import resolve

EFFORTS = {
    "max": {"prefix": "Think. ", "length_penalty": 0.0, "window": {"prompt": 24, "response": 12}},
    "none": {"length_penalty": 0.8, "window": {"prompt": 16, "response": 6}},
}


def resolved(root: Path, **changes: Any) -> dict[str, Any]:
    """Stage → its resolved form; `changes` are keys of params.yaml."""
    (root / "conf").symlink_to(ROOT / "conf")
    declared = {**DECLARED, "students": {}, "specialists": {}, **changes}
    (root / "params.yaml").write_text(to_yaml(declared), encoding="utf-8")
    return {made.id: made for made in resolve(Project(root))}


def product(*methods: str | list[str], **more: Any) -> dict[str, Any]:
    return {"products": [{"base": "tiny", "domains": ["sort"], "methods": list(methods), **more}]}


def wrong(root: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        resolved(root, **changes)
    return str(caught.value)


def test_a_sequence_is_a_chain_and_shares_its_steps(tmp_path: Path) -> None:
    made = resolved(tmp_path, **product("sft", ["sft", "grpo"], ["sft", "grpo", "dapo"], ["sft", "ssd"]))
    starts = {name: one.stage.base for name, one in made.items() if isinstance(one.stage, SpecialistStage)}
    assert starts == {
        "specialist-sort-sft": "tiny",
        "specialist-sort-sft-grpo": "sort-sft",
        "specialist-sort-sft-grpo-dapo": "sort-sft-grpo",
        "specialist-sort-sft-ssd": "sort-sft",
    }


def test_a_method_twice_is_still_a_mistake(tmp_path: Path) -> None:
    assert "products[0] = 'sort-sft': the name is taken" in wrong(tmp_path, **product("sft", "sft"))


def test_prefix_and_seed_of_a_product(tmp_path: Path) -> None:
    made = resolved(tmp_path, **product(["sft", "grpo"], prefix="s1", seed=1))
    last = made["specialist-s1-sort-sft-grpo"].stage
    assert last.base == "s1-sort-sft"
    assert made["specialist-s1-sort-sft"].stage.seed == 1
    assert last.seed == 1 + SEQUENCE_STRIDE, "the second step draws anew"


def test_values_for_one_of_a_product(tmp_path: Path) -> None:
    own = {"s1-sort-sft-grpo": {"method.steps": 40, "domain": {"length_penalty": 0.25}}}
    made = resolved(tmp_path, **product(["sft", "grpo"], "grpo", prefix="s1", set=own))
    changed, other = (made[f"specialist-s1-sort-{name}"] for name in ("sft-grpo", "grpo"))
    assert (changed.stage.method.steps, changed.stage.domain.length_penalty) == (40, 0.25)
    assert (other.stage.method.steps, other.stage.domain.length_penalty) == (6, 0.5)
    assert changed.layers.origin(("method", "steps")).startswith("params.yaml:")
    params = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert "method.steps: 40" in params[int(changed.layers.origin(("method", "steps")).partition(":")[2]) - 1]


def test_values_for_none_of_a_product_are_a_mistake(tmp_path: Path) -> None:
    said = wrong(tmp_path, **product("grpo", "sft", set={"sort-gpro": {"method.steps": 40}}))
    assert "products[0].set.sort-gpro = 'sort-gpro': this product has no specialist of this name" in said
    assert "allowed: sort-grpo, sort-sft\n    did you mean: sort-grpo" in said


def test_what_an_ensemble_answers_with_is_read_by_its_evaluation(tmp_path: Path) -> None:
    made = resolved(tmp_path, **product(["randopt", "best-member"], ["randopt", "distil-ensemble"], "best-prompt"))
    assert made["evaluate-sort-randopt"].models == ("sort-randopt", "tiny")
    assert made["evaluate-sort-best-prompt"].models == ("sort-best-prompt", "tiny")
    assert made["specialist-sort-randopt-best-member"].models == ("sort-randopt", "tiny")
    assert made["specialist-sort-randopt-distil-ensemble"].models == ("sort-randopt", "tiny")
    assert made["evaluate-sort-randopt-best-member"].models == ("sort-randopt-best-member",)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["grpo", "best-member"], "'sort-grpo': not an ensemble"),
        (["randopt", "grpo"], "'sort-randopt': an ensemble, which is not one model"),
        (
            ["self-consistency", "grpo"],
            "'sort-self-consistency': a control without weights of its own",
        ),
    ],
)
def test_what_a_method_can_start_from(tmp_path: Path, methods: list[str], message: str) -> None:
    assert message in wrong(tmp_path, **product(methods))


@pytest.mark.parametrize("method", ["soup", "ties"])
def test_no_merge_of_an_ensemble(tmp_path: Path, method: str) -> None:
    student = {"merge": {"base": "tiny", "method": method, "teachers": ["sort-randopt"]}}
    said = wrong(tmp_path, **product("randopt"), students=student)
    assert "students.merge.teachers[0] = 'sort-randopt': has no weights of its own" in said


@pytest.mark.parametrize("method", ["opd", "rft"])
def test_an_ensemble_teaches(tmp_path: Path, method: str) -> None:
    student = {"taught": {"base": "tiny", "method": method, "teachers": ["sort-randopt"]}}
    made = resolved(tmp_path, **product("randopt"), students=student)
    assert set(made["student-taught"].models) == {"tiny", "sort-randopt"}


def test_greedy_samples_of_a_teacher_are_equal(tmp_path: Path) -> None:
    student = {"base": "tiny", "method": "rft", "teachers": ["sort-grpo"], "set": {"method.temperature": 0.0}}
    said = wrong(tmp_path, **product("grpo"), students={"taught": student})
    assert "students.taught.teachers[0] = 'sort-grpo': `samples` (4) at temperature 0 are more than 1" in said


@pytest.mark.parametrize("method", ["opd", "rft"])
def test_a_control_does_not_teach(tmp_path: Path, method: str) -> None:
    student = {"taught": {"base": "tiny", "method": method, "teachers": ["sort-self-consistency"]}}
    said = wrong(tmp_path, **product("self-consistency"), students=student)
    assert "students.taught.teachers[0] = 'sort-self-consistency': has no weights of its own" in said


def of_effort(root: Path, effort: str) -> dict[str, Any]:
    node = {"base": "tiny", "domain": "sort", "method": "grpo", "effort": effort}
    values = {
        **DECLARED["values"],
        "domain": {"sort": {**DECLARED["values"]["domain"]["sort"], "efforts": deepcopy(EFFORTS)}},
    }
    return {"specialists": {"sort-thinking": node}, "values": values}


def test_an_effort_changes_prefix_penalty_and_window(tmp_path: Path) -> None:
    made = resolved(tmp_path, **of_effort(tmp_path, "max"))
    trained = made["specialist-sort-thinking"].stage.domain
    assert (trained.prefix, trained.length_penalty, trained.window.response) == ("Think. ", 0.0, 12)
    scored = made["evaluate-sort-thinking"].stage
    assert isinstance(scored, EvaluateStage)
    assert {domain.name: domain.prefix for domain in scored.domains} == {"sort": "Think. ", "reverse": ""}
    assert made["evaluate-tiny"].stage.domains[0].prefix == ""
    assert made["data-sort"].stage.domain.name == "sort"


def test_an_effort_that_the_domain_does_not_have(tmp_path: Path) -> None:
    said = wrong(tmp_path, **of_effort(tmp_path, "high"))
    assert "specialists.sort-thinking.effort = 'high': the domain sort has no such effort" in said
    assert "allowed: max, none" in said


def test_what_goes_around_a_prompt_has_to_fit_its_window(tmp_path: Path) -> None:
    """The longest prompt of sort has 12 tokens, its window 16."""
    values = {**DECLARED["values"], "method": {"best-prompt": {"templates": ["{prompt}", "{prompt}abcde"]}}}
    said = wrong(tmp_path, **product("best-prompt"), values=values)
    assert "domain.window.prompt = 16: the longest prompt has 17 tokens" in said


def test_the_prefix_of_an_effort_has_to_fit_its_window(tmp_path: Path) -> None:
    changes = of_effort(tmp_path, "max")
    changes["values"]["domain"]["sort"]["efforts"]["max"]["prefix"] = "Think for a while. "
    assert "the longest prompt has 31 tokens" in wrong(tmp_path, **changes)


def test_a_control_is_no_start_whatever_starts_from_it(tmp_path: Path) -> None:
    values = {**DECLARED["values"], "method": {"rft": {"temperature": 0.0, "samples": 4}}}
    said = wrong(tmp_path, **product(["self-consistency", "rft"]), values=values)
    assert "a control without weights of its own: start from tiny" in said
    assert "greedy samples" not in said


def test_seeds_of_a_sequence_stay_seeds(tmp_path: Path) -> None:
    made = resolved(tmp_path, **product(["sft", "grpo"], seed=2**63 - 1))
    assert made["specialist-sort-sft-grpo"].stage.seed == SEQUENCE_STRIDE - 1


def test_the_punished_end_is_a_part_of_every_window(tmp_path: Path) -> None:
    students = {
        **DECLARED["students"],
        "mixed": {"base": "tiny", "method": "mixed", "domains": ["sort"], "budget_of": "opd"},
    }
    values = {**DECLARED["values"], "method": {"mixed": {"overlong_cache": 1000}}}
    said = wrong(tmp_path, specialists=DECLARED["specialists"], students=students, values=values)
    assert "method.overlong_cache = 1000: longer than the responses that sort allows" in said


def test_a_product_of_an_effort(tmp_path: Path) -> None:
    changes = of_effort(tmp_path, "max")
    product = {"prefix": "max", "base": "tiny", "domains": ["sort"], "methods": ["grpo"], "effort": "max"}
    made = resolved(tmp_path, values=changes["values"], specialists={}, products=[product])
    assert made["specialist-max-sort-grpo"].stage.domain.prefix == "Think. "


def test_a_sequence_of_methods_belongs_into_a_product(tmp_path: Path) -> None:
    node = {"base": "tiny", "domain": "sort", "method": ["sft", "grpo"]}
    said = wrong(tmp_path, specialists={"sort-both": node})
    assert "one method: a sequence of them stands in `products`, or `base` names the step before" in said


def test_an_effort_has_to_fit_the_context(tmp_path: Path) -> None:
    changes = of_effort(tmp_path, "max")
    changes["values"]["domain"]["sort"]["efforts"]["max"]["window"]["response"] = 60
    assert "don't fit the base's context" in wrong(tmp_path, **changes)


def test_nothing_to_train_on(tmp_path: Path) -> None:
    values = {"domain": {"sort": {"splits": {"train_share": 0.0, "selection_share": 0.0}}}}
    said = wrong(tmp_path, **product("grpo"), values={**DECLARED["values"], **values})
    assert "products[0].domains[0] = 'sort': all its items are test items" in said


def test_what_compares_with_the_old_policy_needs_several_updates(tmp_path: Path) -> None:
    weighted = {"specialists": {"a": {"base": "tiny", "domain": "sort", "method": "grpo"}}}
    weighted["specialists"]["a"]["set"] = {"method.weighting.type": "high_kl"}  # type: ignore[assignment]
    assert "`updates` or `passes` has to be above 1" in wrong(tmp_path, **weighted)


def test_every_recipe_is_a_policy_gradient_with_its_own_defaults(tmp_path: Path) -> None:
    made = resolved(tmp_path, **product("grpo", "simplerl", "dapo", "dr-grpo", "gspo", "ppo"))
    methods = {made.stage.method.type: made.stage.method for made in made.values() if made.kind == "specialist"}
    assert all(isinstance(method, PolicyGradient) for method in methods.values())
    assert methods["dapo"].clip_high == 0.28
    assert methods["simplerl"].kl == 1e-4
    assert (methods["gspo"].clip, methods["gspo"].clip_high) == (3e-4, 4e-4)


STUDENT: dict[str, Any] = {"base": "tiny", "method": "opd", "domains": ["sort", "reverse"]}
EVERYONE: dict[str, Any] = {**DECLARED["values"], "method": {"opd": {"routing": "all"}}}


def test_where_everyone_judges_a_teacher_needs_no_domain(tmp_path: Path) -> None:
    node = {**STUDENT, "teachers": ["sort-grpo", "tiny"]}
    made = resolved(tmp_path, specialists=DECLARED["specialists"], students={"opd": node}, values=EVERYONE)
    assert [domain.name for domain in made["student-opd"].stage.domains] == ["sort", "reverse"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"teachers": ["sort-grpo", "sort-grpo"]}, "teachers[1] = 'sort-grpo': stands here a second time"),
        ({"teachers": ["tiny"], "domains": []}, "which domains? no teacher is a specialist of one"),
    ],
    ids=["twice", "no domain"],
)
def test_everyone_judges_once_and_on_some_domain(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    students = {"opd": {**STUDENT, **changes}}
    assert message in wrong(tmp_path, specialists=DECLARED["specialists"], students=students, values=EVERYONE)
