"""Discordance on planted banks: what is known to come out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from banks import planted, small_case

from thicket.analysis import discordance
from thicket.analysis.bank import REPLICATES, Bank
from thicket.config.analysis import Discordance
from thicket.reporting.pictures.discordance import picture


def config(perturbations: int, sigmas: tuple[float, ...] = (0.01,)) -> Discordance:
    return Discordance(
        type="discordance", perturbations=perturbations, sigmas=list(sigmas), permutations=200, halves=10
    )


def noisy(truth: float, perturbations: int, items: int) -> Bank:
    """Two domains whose abilities have this correlation, seen through the items' coins."""
    generator = np.random.default_rng(0)
    ability = generator.multivariate_normal([0, 0], [[1, truth], [truth, 1]], size=perturbations).T
    correct = generator.random((2, 1, perturbations, items)) < 0.5 + 0.13 * ability[:, None, :, None]
    own = np.ones(items, dtype=bool)
    return Bank([0.01], {"a": correct[0], "b": correct[1]}, {"a": own, "b": own})


@pytest.mark.parametrize(("second", "expected"), [([1, 2, 3, 5, 8], 0.0), ([8, 5, 3, 2, 1], 2.0)])
def test_domains_that_agree_and_that_oppose(second: list[int], expected: float) -> None:
    found = discordance.of_bank(config(5), planted({"a": [1, 2, 4, 6, 9], "b": second}, 10, {"a": 3, "b": 3}), 0)
    figures = found.figures
    assert figures["values"]["discordance@0.01"] == pytest.approx(expected)
    assert figures["values"]["correlation@0.01"] == pytest.approx(1 - expected)
    row = found.tables["correlations"][0]
    assert (row["sigma"], row["domain_a"], row["domain_b"]) == (0.01, "a", "b")
    assert row["raw"] == pytest.approx(1 - expected)
    replicates = [one for one in figures["replicates"]["discordance@0.01"] if one is not None]
    assert replicates == pytest.approx([expected] * len(replicates))
    assert 0 < len(replicates) <= REPLICATES == len(figures["replicates"]["discordance@0.01"])


def test_the_noise_of_the_items_is_taken_out() -> None:
    """A true correlation of −0.5, of ranks −0.48; the interval holds it, and that of the raw one does not."""
    figures = discordance.of_bank(config(2000), noisy(-0.5, 2000, 24), 0).figures
    truth = 6 / np.pi * np.arcsin(-0.25)
    assert figures["values"]["corrected@0.01"] == pytest.approx(truth, abs=0.1)
    low, high = np.quantile(figures["replicates"]["corrected@0.01"], [0.005, 0.995])
    assert low < truth < high
    low, high = np.quantile(figures["replicates"]["correlation@0.01"], [0.005, 0.995])
    assert truth < low < figures["values"]["correlation@0.01"] < high
    level = figures["levels"]["0.01"]
    assert (level["pairs"], level["corrected_pairs"]) == (1, 1)
    ceiling = (level["reliability"]["a"] * level["reliability"]["b"]) ** 0.5
    assert level["lowest"] == pytest.approx(1 - ceiling)
    assert figures["values"]["corrected@0.01"] == pytest.approx(figures["values"]["correlation@0.01"] / ceiling)


def test_a_pair_that_says_little_counts_for_little() -> None:
    """Two domains that rank alike, and one that is nearly all noise and has nothing to do with them."""
    two = noisy(1.0, 300, 24)
    chance = np.random.default_rng(5).random((1, 300, 24)) < np.where(np.arange(300) % 2, 0.55, 0.45)[:, None]
    bank = replace(two, correct={**two.correct, "c": chance}, own={**two.own, "c": two.own["a"]})
    found = discordance.of_bank(config(300), bank, 0)
    reliability = found.figures["levels"]["0.01"]["reliability"]
    assert 0 < reliability["c"] < 0.4 < reliability["a"]
    rows = found.tables["correlations"]
    pairs = {(str(row["domain_a"]), str(row["domain_b"])): float(row["raw"] or 0) for row in rows}
    ceilings = [(reliability[a] * reliability[b]) ** 0.5 for a, b in pairs]
    assert found.figures["values"]["corrected@0.01"] == pytest.approx(sum(pairs.values()) / sum(ceilings))


def test_independent_domains_lie_within_the_null_and_others_do_not() -> None:
    level = discordance.of_bank(config(400), noisy(0.0, 400, 20), 0)
    null = level.figures["levels"]["0.01"]["null"]
    assert null["low"] < level.figures["values"]["discordance@0.01"] < null["high"]
    assert level.figures["levels"]["0.01"]["p"] > 0.05
    other = discordance.of_bank(config(400), noisy(0.9, 400, 20), 0).figures
    assert other["values"]["discordance@0.01"] < other["levels"]["0.01"]["null"]["low"]
    assert other["levels"]["0.01"]["p"] == pytest.approx(1 / 201)


def test_pooling_makes_domains_agree_that_do_not() -> None:
    """Independent within each σ, but the larger σ is worse on both."""
    one = noisy(0.0, 300, 20)
    worse = {name: correct & (np.arange(20) < 8) for name, correct in one.correct.items()}
    correct = {name: np.concatenate([one.correct[name], worse[name]]) for name in worse}
    bank = replace(one, sigmas=[0.01, 0.1], correct=correct)
    figures = discordance.of_bank(config(300, (0.01, 0.1)), bank, 0).figures
    assert figures["values"]["discordance@0.01"] == pytest.approx(1, abs=0.15)
    assert figures["values"]["discordance@0.1"] == pytest.approx(1, abs=0.15)
    assert figures["pooled"]["discordance"] < 0.6
    assert "pooled" in figures["pooled"]["warning"]


def test_what_is_not_defined_is_none() -> None:
    """One domain that every perturbation fails, and one item to rank the others by."""
    bank = planted({"a": [0, 1, 0, 1], "b": [1, 0, 1, 0], "c": [0, 0, 0, 0]}, 1, {"a": 1, "b": 1, "c": 1})
    found = discordance.of_bank(config(4), bank, 0)
    raw = {(row["domain_a"], row["domain_b"]): row["raw"] for row in found.tables["correlations"]}
    assert raw == {("a", "b"): pytest.approx(-1), ("a", "c"): None, ("b", "c"): None}
    assert all(row["corrected"] is None for row in found.tables["correlations"])
    assert found.figures["values"]["discordance@0.01"] == pytest.approx(2.0)
    assert found.figures["values"]["corrected@0.01"] is None
    level = found.figures["levels"]["0.01"]
    assert (level["pairs"], level["corrected_pairs"], level["lowest"]) == (1, 0, None)
    only = discordance.of_bank(config(4), planted({"a": [1] * 4, "c": [0] * 4}, 1, {"a": 1, "c": 1}), 0)
    assert only.figures["values"]["discordance@0.01"] is None
    assert only.figures["levels"]["0.01"]["p"] is None
    assert only.figures["levels"]["0.01"]["null"] == {"low": None, "median": None, "high": None}


def test_equal_seeds_give_equal_results(tmp_path: Path) -> None:
    case, asked = small_case(tmp_path), config(6, (0.02, 0.05))
    found = discordance.analyze(asked, case)
    again = discordance.analyze(asked, replace(case, scratch=tmp_path / "empty"))
    assert (found.tables, found.figures) == (again.tables, again.figures)
    assert set(found.figures["levels"]) == {"0.02", "0.05"}


def test_one_domain_is_too_few(tmp_path: Path) -> None:
    case = small_case(tmp_path)
    with pytest.raises(ValueError, match="at least 2, not 1"):
        discordance.analyze(config(4), replace(case, environments=case.environments[:1]))


def test_the_picture() -> None:
    counts = {"a": [1, 2, 4, 6, 9], "b": [2, 1, 6, 5, 8], "c": [0] * 5}
    found = discordance.of_bank(config(5), planted(counts, 10, dict.fromkeys(counts, 3)), 0)
    rows = [
        {name: "" if one is None else str(one) for name, one in row.items()} for row in found.tables["correlations"]
    ]
    figure = picture({"domains": list(counts), "figures": found.figures}, {"correlations": rows})
    levels, matrix = figure.axes
    texts = [text.get_text() for text in matrix.texts]
    assert texts[0] == "+.80"
    assert texts.count("–") == 4
    points = {line.get_label(): np.asarray(line.get_ydata()) for line in levels.lines}
    assert points["D"][0] == pytest.approx(0.2)
