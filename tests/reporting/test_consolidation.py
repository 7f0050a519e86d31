"""Ways to one model, over seeds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from reporting_run import SETTINGS, WriteRun, base, results_of, specialist, student

from thicket.reporting import ways
from thicket.reporting.findings import findings
from thicket.statistics.intervals import bootstrap_means
from thicket.statistics.resampled import SHARE, Resampled
from thicket.statistics.seeds import difference_over_seeds

SEEDS = ("s0", "s1")
MODELS = [
    base("tiny"),
    *(specialist(f"{seed}-{domain}-grpo", "tiny", domain) for seed in SEEDS for domain in ("sort", "reverse")),
    *(
        student(f"{seed}-{name}", "tiny", [f"{seed}-sort-grpo", f"{seed}-reverse-grpo"], name)
        for name in ("opd", "soup")
        for seed in SEEDS
    ),
    student("s0-ties", "tiny", ["s0-sort-grpo", "s0-reverse-grpo"], "ties"),
]
EMPTY, HALF, FULL = [0, 0, 0, 0], [2, 2, 2, 2], [4, 4, 4, 4]
CORRECT = {
    "tiny": {"sort": EMPTY, "reverse": EMPTY},
    **{f"{seed}-{domain}-grpo": {"sort": FULL, "reverse": FULL} for seed in SEEDS for domain in ("sort", "reverse")},
    "s0-opd": {"sort": FULL, "reverse": FULL},
    "s1-opd": {"sort": FULL, "reverse": HALF},
    "s0-soup": {"sort": HALF, "reverse": HALF},
    "s1-soup": {"sort": HALF, "reverse": EMPTY},
    "s0-ties": {"sort": EMPTY, "reverse": EMPTY},
}


def test_students_of_several_seeds_are_one_row(run: WriteRun, tmp_path: Path) -> None:
    results = results_of(run(MODELS, CORRECT), tmp_path)
    opd, soup = results.consolidations
    assert [opd.models, soup.models] == [("s0-opd", "s1-opd"), ("s0-soup", "s1-soup")], "ties has one seed"
    assert [opd.gains[domain].gain.value for domain in ("sort", "reverse")] == [1.0, 0.75]
    assert opd.mean.of_seeds == (1.0, 0.75)
    assert opd.shares == pytest.approx((1.0, 0.75))
    assert opd.recovered is not None
    assert opd.recovered.value == pytest.approx(0.875)
    assert opd.flops == pytest.approx(3e9)
    assert soup.flops == pytest.approx(2e9)
    table = ways.consolidated(results)
    assert (table.first, [row.name for row in table.rows]) == ("students", ["opd", "soup"])
    assert [entry.text for entry in table.rows[1].entries] == ["+50.0", "+25.0", "+37.5", "37.5", "2.00\u00a0G"]


def test_means_over_seeds_have_the_interval_that_compare_has(run: WriteRun, tmp_path: Path) -> None:
    scores = {"tiny": [0, 1, 2, 3], "s0-opd": [4, 2, 4, 3], "s1-opd": [4, 4, 1, 4]}
    correct = {**CORRECT, **{name: {"sort": counts, "reverse": counts[::-1]} for name, counts in scores.items()}}
    opd, _ = results_of(run(MODELS, correct), tmp_path).consolidations
    base, *seeds = (
        Resampled(float(values.mean()), bootstrap_means(values, SETTINGS["resamples"], 0), SHARE)
        for values in (np.array(counts) / 4 for counts in scores.values())
    )
    expected = difference_over_seeds(seeds, [base]).interval(SETTINGS["confidence"])
    assert vars(opd.gains["sort"].gain) == pytest.approx(vars(expected))
    assert opd.recovered is not None
    assert opd.recovered.low < min(share or 0 for share in opd.shares), "it counts the seeds"


def test_one_model_made_twice_is_no_second_seed(run: WriteRun, tmp_path: Path) -> None:
    """Of one seed, or of another seed with the same weights, as a mean of the same models is."""
    stage = run(MODELS, CORRECT)
    same = [model.model_copy(update={"seed": 0}) for model in stage.models]
    assert results_of(stage.model_copy(update={"models": same}), tmp_path).consolidations == ()
    shutil.copy(tmp_path / "build/evaluation/s0-soup/model.json", tmp_path / "build/evaluation/s1-soup/model.json")
    assert [way.example.method for way in results_of(stage, tmp_path).consolidations] == ["opd"]


def test_students_of_teachers_with_other_values_are_another_way(run: WriteRun, tmp_path: Path) -> None:
    stage = run(MODELS, CORRECT)
    path = tmp_path / "build/models/s1-sort-grpo/provenance.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    made["config"]["method"] = {"optimizer": {"lr": 1e-4}}
    path.write_text(json.dumps(made), encoding="utf-8")
    assert results_of(stage, tmp_path).consolidations == ()


def test_without_seeds_there_is_no_such_table(run: WriteRun, tmp_path: Path) -> None:
    models = [model for model in MODELS if not model.name.startswith("s1")]
    assert ways.consolidated(results_of(run(models, CORRECT), tmp_path)).rows == ()


def test_students_of_several_seeds_are_told_by_their_mean(run: WriteRun, tmp_path: Path) -> None:
    said = findings(results_of(run(MODELS, CORRECT), tmp_path)).replace("\u00a0", " ")
    assert "Of the specialists' gain s0-ties recovers 0.0 % [0.0, 0.0]. In brackets: 90 % intervals over" in said
    means = "In the mean over 2 seeds, of the gain of each seed's own specialists opd recovers 87.5 % ["
    assert means in said
    assert said.endswith("] (90 % intervals over items and seeds).")
    assert "s0-opd" not in said


def test_many_students_of_equal_teachers_are_told_by_the_least_and_the_most(run: WriteRun, tmp_path: Path) -> None:
    methods = {"s0": ("dare", "mixed", "ties", "opd-top1", "soup"), "s1": ("opd", "rft")}
    made = [
        student(f"{seed}-{name}", "tiny", [f"{seed}-sort-grpo", f"{seed}-reverse-grpo"], name)
        for seed, names in methods.items()
        for name in names
    ]
    scores = {"s0-dare": "s0-soup", "s0-mixed": "s0-opd", "s0-opd-top1": "s0-soup", "s1-rft": "s1-soup"}
    correct = {**CORRECT, **{name: CORRECT[as_] for name, as_ in scores.items()}}
    models = [model for model in MODELS if model.kind != "student"]
    said = findings(results_of(run([*models, *made], correct), tmp_path)).replace("\u00a0", " ")
    first = "Of the gain of s0-sort-grpo and s0-reverse-grpo 5 students recover between "
    assert f"{first}0.0 % [0.0, 0.0] (s0-ties) and 100.0 % [100.0, 100.0] (s0-mixed). Of the gain of s1-sort" in said
    second = "Of the gain of s1-sort-grpo and s1-reverse-grpo s1-opd recovers 75.0 % [75.0, 75.0] and s1-rft recovers "
    assert f"{second}25.0 % [25.0, 25.0]." in said, "nobody is ranked among those of other teachers"
