"""From scores of items to the figures of an evaluation, by hand."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from thicket.config.answering import Answering
from thicket.config.run import Evaluation
from thicket.evaluation.scores import ItemScore
from thicket.evaluation.tables import summary, write_items_csv, write_scores_csv
from thicket.evaluation.way import way_of
from thicket.reporting.inputs import interval_of, read_scores
from thicket.statistics.intervals import mean_interval

SETTINGS = Evaluation(samples=4, ks=[1, 2], resamples=200)
PLAIN = way_of(Answering(), SETTINGS)
FLOPS_A_TOKEN = 100.0
SCORES = {
    "sort": [
        ItemScore("a", 1, samples=4, correct=4, greedy=1, length=3.0, truncated=0.0, calls=1, prompt=10),
        ItemScore("b", 1, samples=4, correct=2, greedy=0, length=5.0, truncated=0.5, calls=1, prompt=10),
        ItemScore("c", 2, samples=4, correct=0, greedy=0, length=7.0, truncated=0.25, calls=1, prompt=13),
    ]
}


def test_summary_by_hand() -> None:
    figures = summary(SCORES, SETTINGS, 0, PLAIN, FLOPS_A_TOKEN)["domains"]["sort"]
    assert figures["pass@1"] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-6)
    # Of 4 samples with 2 correct, a pair misses both in 1 of 6.
    assert figures["pass@2"] == pytest.approx((1 + 5 / 6 + 0) / 3, abs=1e-6)
    assert figures["greedy"] == pytest.approx(1 / 3, abs=1e-6)
    assert figures["length"] == pytest.approx(5.0)
    assert figures["truncated"] == pytest.approx(0.25)
    assert (figures["calls"], figures["prompt"], figures["tokens"]) == (1.0, 11.0, 5.0)
    assert figures["flops"] == pytest.approx((11 + 5) * 100)
    assert figures["items"] == 3
    assert figures["level"]["1"]["pass@1"] == pytest.approx(0.75)
    assert figures["level"]["2"]["items"] == 1
    assert 0 <= figures["pass@1_low"] <= figures["pass@1"] <= figures["pass@1_high"] <= 1


def test_files_hold_a_row_an_item_and_a_row_a_domain(tmp_path: Path) -> None:
    write_items_csv(tmp_path / "items.csv", SCORES)
    write_scores_csv(tmp_path / "scores.csv", "opd", summary(SCORES, SETTINGS, 0, PLAIN, FLOPS_A_TOKEN))
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


def test_who_reads_the_items_comes_to_the_same_intervals(tmp_path: Path) -> None:
    """Whatever the order in which they were scored."""
    drawn = np.random.default_rng(0).integers(0, 5, 40)
    rows = [replace(SCORES["sort"][0], item=f"{37 * n % 40:04x}", correct=int(c)) for n, c in enumerate(drawn)]
    metrics = summary({"sort": rows}, SETTINGS, 0, PLAIN, FLOPS_A_TOKEN)
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    write_items_csv(tmp_path / "items.csv", {"sort": rows})
    values_N = read_scores(tmp_path, ["sort"]).items["sort"].pass_at_1_N
    found = mean_interval(values_N, SETTINGS.resamples, SETTINGS.confidence, 0)
    assert vars(interval_of(metrics["domains"]["sort"], "pass@1")) == pytest.approx(vars(found), abs=1e-6)


def test_a_vote_has_one_answer_an_item_and_its_price(tmp_path: Path) -> None:
    """Two items, three responses each: pass@2 and greedy are left out, tokens and FLOPs are those of all responses."""
    scores = {
        "sort": [
            ItemScore("a", 1, samples=1, correct=1, greedy=None, length=4.0, truncated=0.0, calls=3, prompt=10),
            ItemScore("b", 1, samples=1, correct=0, greedy=None, length=6.0, truncated=0.0, calls=3, prompt=20),
        ]
    }
    way = way_of(Answering(votes=3, temperature=0.7), SETTINGS)
    metrics = summary(scores, SETTINGS, 0, way, FLOPS_A_TOKEN)
    figures = metrics["domains"]["sort"]
    assert figures["pass@1"] == 0.5
    assert not {"pass@2", "pass@2_low", "greedy", "greedy_high"} & figures.keys()
    assert (figures["calls"], figures["length"], figures["tokens"], figures["prompt"]) == (3.0, 5.0, 15.0, 15.0)
    assert figures["flops"] == pytest.approx(30 * 100)
    # Settings are the evaluation's, so that models can be compared; the model's own way stands beside.
    assert metrics["settings"]["temperature"] == 1.0
    assert (metrics["answering"]["votes"], metrics["answering"]["temperature"]) == (3, 0.7)
    write_items_csv(tmp_path / "items.csv", scores)
    with (tmp_path / "items.csv").open(encoding="utf-8") as file:
        assert [(row["samples"], row["greedy"], row["calls"]) for row in csv.DictReader(file)] == [("1", "", "3")] * 2
