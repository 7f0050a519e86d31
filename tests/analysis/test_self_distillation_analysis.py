"""Self-distillation: terms against forward passes of single rows, samples without an answer, and gains by halves."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dealing import dealt
from in_memory import SEED, TOKENIZER, WORDS, case_of, environment, model, texts, written
from matplotlib.patches import Rectangle

from thicket.analysis import self_distillation as module
from thicket.analysis.case import Case
from thicket.analysis.found import Found, Statistic
from thicket.analysis.sampled import plain, sampled
from thicket.analysis.self_distillation import PLACING, SCORING, TERMS, TRAINING, analyze, harder
from thicket.config.analysis import SelfDistillation
from thicket.ops.self_distillation import expected_loss, start_log_probs
from thicket.reporting.pictures.self_distillation import picture
from thicket.sampling.decode import Decoding
from thicket.statistics.ratios import ratio

HOT = {"train_temperature": 1.6, "top_k": 6, "top_p": 0.9}
ITEMS = 20


def late(text: str) -> bool:
    """So common that some prompts are easy and some are hard."""
    return text[:1] >= "c"


def small_case(learned: int = 1, items: int = ITEMS) -> Case:
    asked = [environment("a", texts(items), late), environment("b", texts(3, 50), late)]
    return case_of({"frozen": model(0), "learned": model(learned)}, asked)


def config(**values: Any) -> SelfDistillation:
    return SelfDistillation.model_validate({"type": "self_distillation", **HOT, **values})


def statistic(found: Found, name: str, domain: str = "a", of: str = "") -> Statistic:
    (one,) = [one for one in found.statistics if (one.name, one.domain, one.of) == (name, domain, of)]
    return one


def defined(found: Found, name: str) -> bool:
    one = statistic(found, name)
    return ratio(one.amounts_U, one.weights_U) is not None


def value(found: Found, name: str, of: str = "") -> float:
    one = statistic(found, name, of=of)
    amount = ratio(one.amounts_U, one.weights_U)
    assert amount is not None
    return amount


@pytest.mark.parametrize("kind", [HOT, {"train_temperature": 0.7}, {"train_temperature": 1.0}])
def test_the_terms_sum_to_the_loss(kind: dict[str, Any]) -> None:
    """Item by item, and the loss is that of a forward pass over each row alone, in float64."""
    made = SelfDistillation.model_validate({"type": "self_distillation", **kind})
    case = small_case(items=4)
    found = analyze(made, case)
    environment = case.environments[0]
    hot = Decoding(made.train_temperature, made.top_k, made.top_p, environment.domain.window.response)
    groups = sampled(case, model(0), environment, hot, made.samples, TRAINING)
    for name, seed in (("frozen", 0), ("learned", 1)):
        terms = {term: statistic(found, term, of=name) for term in TERMS}
        whole = np.array(terms["total"].amounts_U)
        apart = sum(np.array(terms[term].amounts_U) for term in TERMS if term != "total")
        np.testing.assert_allclose(apart, whole, rtol=0, atol=1e-9)
        for place, (prompt, group) in enumerate(zip(environment.prompts, groups, strict=True)):
            exact = 0.0
            for response in group:
                ids, first = torch.tensor([prompt + response.tokens]), len(prompt) - 1
                with torch.no_grad():
                    frozen, theta = (one(ids).logits[0, first:-1, :WORDS] for one in (model(0), model(seed)))
                log_q = start_log_probs(frozen, made.train_temperature, made.top_k, made.top_p)
                exact += float(expected_loss(theta.double().log_softmax(dim=-1), log_q).sum())
            assert whole[place] == pytest.approx(exact, rel=1e-5)
            weights = terms["total"].weights_U
            assert weights is not None
            assert weights[place] == sum(len(response.tokens) for response in group)


def test_the_frozen_model_is_at_its_anchor() -> None:
    """The anchor is 0 for the model that gave the samples, and not for another; without truncation no support is lost,
    and at T = 1 nothing but a constant is left."""
    found = analyze(config(), small_case())
    assert value(found, "anchor", "frozen") == pytest.approx(0, abs=1e-9)
    assert value(found, "anchor", "learned") > 0.05
    assert value(found, "support", "frozen") > 0.1
    assert value(found, "reshaping", "frozen") < -0.1
    assert value(found, "constant", "frozen") == value(found, "constant", "learned")
    plain_samples = analyze(SelfDistillation(type="self_distillation", train_temperature=1.0), small_case(items=4))
    for term in ("support", "reshaping", "anchor"):
        assert value(plain_samples, term, "frozen") == pytest.approx(0, abs=1e-9)
    assert value(plain_samples, "total", "frozen") > 0.1


def test_reading_is_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    case, read, dealt_out = small_case(items=4), module._item, list[bool]()
    whole, dealings = analyze(config(), case), dealt(monkeypatch)

    def noted(*given: Any) -> Any:
        dealt_out.append(dealings.within)
        return read(*given)

    monkeypatch.setattr(module, "_item", noted)
    assert analyze(config(), case) == whole
    assert dealt_out == [True] * (4 + 3)


def test_samples_that_hold_no_answer() -> None:
    """Cut off by the window, or empty; the others are the verifier's to judge."""
    case = small_case()
    found = analyze(config(samples=5), case)
    hot = Decoding(1.6, 6, 0.9, 6)
    groups = sampled(case, model(0), case.environments[0], hot, 5, TRAINING)
    expected = [sum(not one.stopped or not one.text.strip() for one in group) for group in groups]
    correct = [sum(late(one.text) for one in group) for group in groups]
    assert statistic(found, "unusable").amounts_U == expected
    assert statistic(found, "sample_correct").amounts_U == correct
    assert statistic(found, "unusable").weights_U == [5.0] * ITEMS
    assert 0 < sum(expected) < 5 * ITEMS
    assert 0 < sum(correct) < 5 * ITEMS


def test_gains_are_of_samples_that_placed_no_item() -> None:
    case = small_case()
    found, asked = analyze(config(), case), case.environments[0]

    def rates(seed: int, samples: int, stream: int) -> np.ndarray:
        groups = sampled(case, model(seed), asked, plain(asked), samples, stream)
        return np.array([np.mean([late(one.text) for one in group]) for group in groups])

    placed, frozen, learned = rates(0, 4, PLACING), rates(0, 4, SCORING), rates(1, 4, SCORING)
    assert not np.array_equal(placed, frozen)
    hard = harder(placed)
    assert hard is not None
    assert value(found, "gain") == pytest.approx((learned - frozen).mean())
    assert value(found, "gain_hard") == pytest.approx((learned - frozen)[hard].mean())
    assert value(found, "gain_easy") == pytest.approx((learned - frozen)[~hard].mean())
    assert value(found, "score", "learned") == pytest.approx(learned.mean())
    rows = [row for row in found.tables["difficulty"] if row["domain"] == "a"]
    assert sum(int(row["items"] or 0) for row in rows) == ITEMS
    for row in rows:
        inside = placed == row["bin"]
        assert row["frozen"] == pytest.approx(frozen[inside].mean())
        assert row["learned"] == pytest.approx(learned[inside].mean())


def test_a_model_that_learned_nothing_gains_nothing() -> None:
    found = analyze(config(), small_case(learned=0))
    assert value(found, "gain_hard") == value(found, "gain_easy") == 0.0
    for term in TERMS:
        assert value(found, term, "learned") == value(found, term, "frozen")


def test_a_split_by_the_scored_samples_would_show_a_gain() -> None:
    """Items with equal chances for both models, whose samples are independent: only the split by others is fair."""
    generator, fair, unfair = np.random.default_rng(0), list[float](), list[float]()
    for _ in range(400):
        chance = generator.uniform(size=40)
        placed, frozen, learned = (generator.binomial(4, chance) / 4 for _ in range(3))
        for rates, found in ((placed, fair), (frozen, unfair)):
            hard = harder(rates)
            assert hard is not None
            found.append(float((learned - frozen)[hard].mean()))
    error = np.std(fair) / np.sqrt(len(fair))
    assert abs(np.mean(fair)) < 4 * error
    assert np.mean(unfair) > 20 * error


@pytest.mark.parametrize(
    ("scores", "hard"),
    [
        ([0.0, 0.25, 0.5, 1.0], [True, True, False, False]),
        ([0.5, 0.0, 0.5, 1.0, 1.0], [True, True, True, False, False]),
        ([0.0, 0.0, 0.0, 0.0, 1.0], [True, True, True, True, False]),
        ([0.0, 1.0, 1.0, 1.0, 1.0], [True, False, False, False, False]),
    ],
)
def test_halves_by_hand(scores: list[float], hard: list[bool]) -> None:
    found = harder(np.array(scores))
    assert found is not None
    assert found.tolist() == hard


def test_without_different_scores_there_are_no_halves() -> None:
    assert harder(np.array([0.5, 0.5])) is None
    asked = [environment("a", texts(4), lambda text: True)]
    found = analyze(config(), case_of({"frozen": model(0), "learned": model(1)}, asked))
    assert not defined(found, "gain_hard")
    assert not defined(found, "gain_easy")
    assert value(found, "gain") == 0.0


def test_it_is_the_same_again_and_in_other_batches(tmp_path: Path) -> None:
    one = analyze(config(), small_case(items=5))
    case = small_case(items=5)
    assert one == analyze(config(), case)
    other = analyze(config(), Case(case.models, case.environments, TOKENIZER, SEED, 3, "cpu", tmp_path, case.tell))
    for ours, theirs in zip(one.statistics, other.statistics, strict=True):
        assert ours.amounts_U == pytest.approx(theirs.amounts_U, rel=1e-6, abs=1e-9)


def test_the_picture_shows_the_terms_and_the_scores() -> None:
    case = small_case()
    result, tables = written(analyze(config(), case), case)
    figure = picture(result, tables)
    terms, first, second = figure.axes
    assert (first.get_title(loc="left"), second.get_title(loc="left")) == ("a", "b")
    heights = sorted(round(abs(bar.get_height()), 9) for bar in terms.patches if isinstance(bar, Rectangle))
    expected = [row[term] for row in tables["terms"] for term in TERMS if term != "total"]
    assert heights == pytest.approx(sorted(abs(float(value)) for value in expected), abs=1e-8)
    scores = [row["learned"] for row in tables["difficulty"] if row["domain"] == "a"]
    shown = [np.asarray(line.get_ydata(), dtype=float) for line in first.get_lines()]
    assert any(len(y) == len(scores) and np.allclose(y, [100 * float(one) for one in scores]) for y in shown)
