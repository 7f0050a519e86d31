"""From scores of items to the figures of an evaluation, by hand."""

import csv
from pathlib import Path

import pytest

from thicket.config.run import Evaluation
from thicket.evaluation.evaluator import ItemScore
from thicket.evaluation.tables import summary, write_items_csv, write_scores_csv

SETTINGS = Evaluation(samples=4, ks=[1, 2], resamples=200)
SCORES = {
    "sort": [
        ItemScore("a", 1, samples=4, correct=4, greedy=1, length=3.0, truncated=0.0),
        ItemScore("b", 1, samples=4, correct=2, greedy=0, length=5.0, truncated=0.5),
        ItemScore("c", 2, samples=4, correct=0, greedy=0, length=7.0, truncated=0.25),
    ]
}


def test_summary_by_hand() -> None:
    figures = summary(SCORES, SETTINGS, seed=0)["domains"]["sort"]
    assert figures["pass@1"] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-6)
    # Of 4 samples with 2 correct, a pair misses both in 1 of 6.
    assert figures["pass@2"] == pytest.approx((1 + 5 / 6 + 0) / 3, abs=1e-6)
    assert figures["greedy"] == pytest.approx(1 / 3, abs=1e-6)
    assert figures["length"] == pytest.approx(5.0)
    assert figures["truncated"] == pytest.approx(0.25)
    assert figures["items"] == 3
    assert figures["level"]["1"]["pass@1"] == pytest.approx(0.75)
    assert figures["level"]["2"]["items"] == 1
    assert 0 <= figures["pass@1_low"] <= figures["pass@1"] <= figures["pass@1_high"] <= 1


def test_files_hold_a_row_an_item_and_a_row_a_domain(tmp_path: Path) -> None:
    write_items_csv(tmp_path / "items.csv", SCORES)
    write_scores_csv(tmp_path / "scores.csv", "opd", summary(SCORES, SETTINGS, seed=0))
    with (tmp_path / "items.csv").open(encoding="utf-8") as file:
        items = list(csv.DictReader(file))
    assert [(row["domain"], row["item"], row["correct"]) for row in items] == [
        ("sort", "a", "4"),
        ("sort", "b", "2"),
        ("sort", "c", "0"),
    ]
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["model"], row["domain"], row["value"]) == ("opd", "sort", "0.5")
