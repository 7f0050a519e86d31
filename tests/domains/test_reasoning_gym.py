"""reasoning-gym's tasks: the same items in every process, nothing disturbed, and its errors in words."""

import random
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from boxes import needs_box

from thicket.config.sandbox import Limits
from thicket.config.source import ReasoningGymSource
from thicket.config.verifier import ReasoningGymVerifier
from thicket.domains.item import Item, RawItem
from thicket.domains.registry import judge_of, raw_items
from thicket.domains.sandbox import launch
from thicket.domains.sources import reasoning_gym as made_here
from thicket.domains.verdict import Verdict

pytest.importorskip("reasoning_gym")


def source(task: str, *levels: dict[str, Any], **params: Any) -> ReasoningGymSource:
    return ReasoningGymSource(type="reasoning-gym", task=task, params=params, levels=list(levels) or [{}])


def first(count: int, *levels: dict[str, Any], task: str, seed: int = 0, **params: Any) -> list[RawItem]:
    return list(islice(raw_items(source(task, *levels, **params), seed), count))


def verdict(raw: RawItem, response: str, threshold: float = 1.0) -> bool:
    judge = judge_of(ReasoningGymVerifier(type="reasoning-gym", threshold=threshold))
    (found,) = judge([(response, Item("0" * 16, "?", raw.answer, raw.level, raw.reference))])
    return found.correct


def test_levels_take_turns_and_the_scorer_judges() -> None:
    items = first(6, {"max_value": 9}, {"min_value": 100}, task="gcd", max_numbers=2)
    assert [item.level for item in items] == [1, 2, 1, 2, 1, 2]
    for item in items:
        numbers = item.reference["entry"]["metadata"]["numbers"]
        assert max(numbers) <= 9 if item.level == 1 else min(numbers) >= 100
        assert str(numbers[0]) in item.question
        assert verdict(item, f" {item.answer}\n")
        assert not verdict(item, f"{item.answer}1")
        assert not verdict(item, "")
        assert verdict(
            item, f"{item.answer}.", threshold=0.5
        )  # the scorer's partial credit: a part of the text is right


def test_partial_credit_is_what_training_earns() -> None:
    (raw,) = first(1, task="gcd", max_numbers=2)
    item = Item("0" * 16, "?", raw.answer, raw.level, raw.reference)
    answered = [(response, item) for response in (raw.answer, f"{raw.answer}.", "")]
    whole = judge_of(ReasoningGymVerifier(type="reasoning-gym"))(answered)
    assert [(one.correct, one.earned) for one in whole] == [(True, 1.0), (False, 0.0), (False, 0.0)]
    exact, near, none = judge_of(ReasoningGymVerifier(type="reasoning-gym", partial=True))(answered)
    assert (exact.correct, near.correct, none.correct) == (True, False, False)
    assert (exact.earned, none.earned) == (1.0, 0.0)
    assert 0.5 <= near.earned < 1.0


def test_another_seed_makes_other_items() -> None:
    zero, one = (list(islice(made_here._items(source("gcd"), seed), 600)) for seed in (0, 1))
    assert [item.question for item in zero[:20]] != [item.question for item in one[:20]]
    assert len({item.question for item in zero}) > 590  # the second data set of 500 goes on with another seed


def test_a_task_that_hangs_on_the_hash_seed_is_the_same_in_every_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """ransom_note draws from sets; so do word_ladder, isomorphic_strings, knight_swap and polynomial_multiplication."""
    made = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        made.append(first(3, task="ransom_note"))
    assert made[0] == made[1]


def test_global_generators_are_left_alone() -> None:
    """pool_matrix calls numpy.random.seed."""
    numpy = pytest.importorskip("numpy")
    python_before, numpy_before = random.getstate(), numpy.random.get_state()[1].tolist()
    (item,) = first(1, task="pool_matrix")
    assert verdict(item, item.answer)
    assert random.getstate() == python_before
    assert numpy.random.get_state()[1].tolist() == numpy_before


def problem(*levels: dict[str, Any], task: str, **params: Any) -> str:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        list(islice(made_here._items(source(task, *levels, **params), 0), 3))
    return str(caught.value)


def test_an_unknown_task() -> None:
    said = problem(task="leter_counting")
    assert said.startswith("domain.source.task = leter_counting: reasoning-gym has no such task; allowed: ab, acre, ")
    assert said.endswith("; did you mean: letter_counting")


def test_wrong_parameters() -> None:
    said = problem(task="gcd", max_valu=3)
    assert said.startswith(
        "domain.source.params = max_valu: no parameter of reasoning-gym's gcd; allowed: min_numbers, "
    )
    assert said.endswith("did you mean: max_value")
    assert "allowed: min_numbers" in problem({"seed": 3}, task="gcd")
    assert problem(task="gcd", min_value=5, max_value=1).endswith(
        "by reasoning-gym's gcd: max_value must be > min_value"
    )
    assert "refused by reasoning-gym's gcd" in problem(task="gcd", max_value="x")
    assert "gcd can't make an item" in problem(task="gcd", max_value=5.5)


def test_a_task_without_one_right_answer_can_be_judged() -> None:
    (item,) = islice(made_here._items(source("rush_hour"), 0), 1)
    assert item.answer == ""
    assert not verdict(item, "")


def test_errors_come_through_from_the_process() -> None:
    """As the one about a task whose items JSON changes (tuples become lists), so that its scorer fails."""
    with pytest.raises(
        ValueError, match=r"domain\.source\.task = arc_agi: its scorer doesn't know its own answer again"
    ):
        first(1, task="arc_agi")


def test_the_process_ends_with_the_items() -> None:
    items = raw_items(source("gcd"), 0)
    next(items)
    process = items.gi_frame.f_locals["process"]  # type: ignore[attr-defined]
    items.close()  # type: ignore[attr-defined]
    assert process.poll() is not None


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "reasoning_gym.factory", None)
    assert "`pip install reasoning-gym` installs it" in problem(task="gcd")


def test_a_scorer_that_raises_has_seen_no_answer() -> None:
    (item,) = islice(made_here._items(source("prime_factorization"), 0), 1)
    assert verdict(item, item.answer)
    assert not verdict(item, "[1, 2")  # int("[1") in reasoning-gym's scorer


@needs_box
def test_a_scorer_that_runs_text_does_it_in_a_box(tmp_path: Path) -> None:
    """countdown gives the response to sympy's parse_expr, which evaluates it."""
    (item,) = islice(made_here._items(source("countdown"), 0), 1)
    made = tmp_path / "made"
    attacks = [
        f"__import__('pathlib').Path({str(made)!r}).touch()",
        "__import__('os').abort()",
        "__import__('time').sleep(60)",
    ]
    config = ReasoningGymVerifier(type="reasoning-gym", limits=Limits(wall_seconds=3.0), workers=1)
    asked = Item("0" * 16, "?", item.answer, item.level, item.reference)
    right, *found, wrong, last = judge_of(config)([(text, asked) for text in (item.answer, *attacks, "1", item.answer)])
    assert right == last == Verdict(True)
    assert (wrong.correct, [verdict.correct for verdict in found]) == (False, [False] * 3)
    assert [verdict.reason for verdict in found[1:]] == ["crashed (SIGABRT)", "time limit"]
    assert not made.exists()


def test_a_scorer_that_runs_text_is_refused_without_a_box(monkeypatch: pytest.MonkeyPatch) -> None:
    (item,) = islice(made_here._items(source("countdown"), 0), 1)
    monkeypatch.setattr(launch, "box_problem", lambda: "there is no program `bwrap` here")
    with pytest.raises(ValueError, match="there is no program `bwrap` here"):
        verdict(item, item.answer)
