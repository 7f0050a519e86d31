"""From files to results: differences, gains, shares and costs, worked out by hand."""

import json
from pathlib import Path

import pytest
from reporting_run import WriteRun, base, results_of, specialist, student

from thicket.reporting.findings import findings
from thicket.reporting.inputs import read_inputs

MODELS = [base("tiny"), specialist("sort-grpo", "tiny", "sort"), student("opd", "tiny", ["sort-grpo"])]
CORRECT = {
    "tiny": {"sort": [0, 1, 2, 1], "reverse": [2, 2, 2, 2]},
    "sort-grpo": {"sort": [4, 4, 2, 2], "reverse": [0, 0, 0, 0]},
    "opd": {"sort": [2, 3, 3, 2], "reverse": [1, 1, 1, 1]},
}


def test_differences_are_those_worked_by_hand(run: WriteRun, tmp_path: Path) -> None:
    models = results_of(run(MODELS, CORRECT), tmp_path).models
    # sort: 4/16, 12/16, 10/16; reverse: 8/16, 0, 4/16.
    sort = models["sort-grpo"].cells["sort"].difference
    assert sort is not None
    assert sort.value == 0.5
    assert sort.low <= 0.5 <= sort.high
    reverse = models["sort-grpo"].cells["reverse"].difference
    assert reverse is not None
    assert (reverse.value, reverse.low, reverse.high) == (-0.5, -0.5, -0.5)
    assert models["tiny"].cells["sort"].difference is None
    assert models["tiny"].gain is None
    assert models["sort-grpo"].gain == sort
    assert models["opd"].mean.value == pytest.approx((10 / 16 + 4 / 16) / 2)
    gain = models["opd"].gain
    assert gain is not None
    assert gain.value == pytest.approx((6 / 16 - 4 / 16) / 2)


def test_the_recovered_share_is_that_worked_by_hand(run: WriteRun, tmp_path: Path) -> None:
    recovered = results_of(run(MODELS, CORRECT), tmp_path).models["opd"].recovered
    assert recovered is not None
    assert recovered.recovery.share is not None
    # Only sort has a specialist: (10 − 4)/16 over (12 − 4)/16.
    assert recovered.specialists == {"sort": ("sort-grpo",)}
    assert recovered.recovery.share.value == pytest.approx(0.75)
    assert recovered.recovery.share.low < 0.75 < recovered.recovery.share.high


def test_items_are_paired_by_id_and_not_by_place(run: WriteRun, tmp_path: Path) -> None:
    stage = run(MODELS, CORRECT)
    before = results_of(stage, tmp_path)
    path = tmp_path / "build/evaluation/opd/items.csv"
    head, *rows = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join([head, *reversed(rows)]) + "\n", encoding="utf-8")
    assert results_of(stage, tmp_path) == before


def test_other_items_are_refused_with_both_files(run: WriteRun, tmp_path: Path) -> None:
    stage = run(MODELS, CORRECT)
    path = tmp_path / "build/evaluation/opd/items.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("sort,0003", "sort,ffff"), encoding="utf-8")
    with pytest.raises(ValueError, match="2 items of sort") as error:
        read_inputs(stage, tmp_path)
    assert str(tmp_path / "build/evaluation/tiny/items.csv") in str(error.value)
    assert str(path) in str(error.value)


def test_other_settings_are_refused_with_both_files(run: WriteRun, tmp_path: Path) -> None:
    stage = run(MODELS, CORRECT)
    path = tmp_path / "build/evaluation/opd/metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    metrics["settings"]["temperature"] = 0.7
    path.write_text(json.dumps(metrics), encoding="utf-8")
    with pytest.raises(ValueError, match=r"settings that differ \(temperature: 1.0 and 0.7\)") as error:
        read_inputs(stage, tmp_path)
    assert str(tmp_path / "build/evaluation/tiny/metrics.json") in str(error.value)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(("part", "same"), [("answers", False), ("verifier", False), ("answers", True)])
def test_other_tests_are_refused_with_what_differs(run: WriteRun, tmp_path: Path, part: str, same: bool) -> None:
    stage = run(MODELS, CORRECT)
    paths = [tmp_path / f"build/evaluation/{name}/test.json" for name in ("tiny", "opd")]
    test = {"verifier": "a", "answers": "b"}
    noted = {"sort": test if same else test | {part: "c"}, "reverse": test}
    for path, tests in zip(paths, ({"sort": test, "reverse": test}, noted), strict=True):
        path.write_text(json.dumps(tests), encoding="utf-8")
    if same:  # `sort-grpo` has noted nothing, and may have been scored by the same one
        read_inputs(stage, tmp_path)
        return
    with pytest.raises(ValueError, match=rf"tests that differ \(sort: {part}\)") as error:
        read_inputs(stage, tmp_path)
    assert all(str(path) in str(error.value) for path in paths)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("build/evaluation/opd/metrics.json", None, "json: there is no such file"),
        ("build/evaluation/opd/items.csv", None, "csv: there is no such file"),
        ("build/metrics/opd.json", "{", "not JSON"),
        ("build/evaluation/opd/items.csv", "domain,item\nsort,1\n", "not a table of scores"),
        ("build/evaluation/opd/items.csv", "domain,item,samples,correct\nsort,1,4,5\n", "not a table of scores"),
        ("build/evaluation/opd/items.csv", "domain,item,samples,correct\nsort,1,4,1\n", "no scores on reverse"),
        ("build/curves/opd.csv", "step,reward\n1,high\n", r"opd\.csv:2: not a row"),
    ],
)
def test_broken_files_are_named(run: WriteRun, tmp_path: Path, file: str, text: str | None, message: str) -> None:
    stage = run(MODELS, CORRECT)
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as error:
        read_inputs(stage, tmp_path)
    assert str(tmp_path / file) in str(error.value)


def test_each_model_is_held_against_the_base_it_goes_back_to(run: WriteRun, tmp_path: Path) -> None:
    models = [
        base("weak"),
        base("strong"),
        specialist("sort-weak", "weak", "sort"),
        specialist("sort-strong", "strong", "sort"),
        student("first", "weak", ["sort-weak"]),
        specialist("sort-again", "first", "sort"),
    ]
    counts = {"weak": 1, "strong": 3, "sort-weak": 2, "sort-strong": 4, "first": 2, "sort-again": 4}
    stage = run(models, {name: {"sort": [count, count]} for name, count in counts.items()})
    found = results_of(stage, tmp_path).models
    assert {name: result.root for name, result in found.items()} == {
        "weak": "weak",
        "strong": "strong",
        "sort-weak": "weak",
        "sort-strong": "strong",
        "first": "weak",
        "sort-again": "weak",
    }
    gains = {name: result.gain.value for name, result in found.items() if result.gain}
    assert gains == {"sort-weak": 0.25, "sort-strong": 0.25, "first": 0.25, "sort-again": 0.75}
    assert found["sort-again"].cost.total_flops == 3e9  # sort-weak, first and its own


def test_a_soup_costs_what_its_teachers_cost(run: WriteRun, tmp_path: Path) -> None:
    models = [*MODELS[:2], student("soup", "tiny", ["sort-grpo"], "soup")]
    correct = {**CORRECT, "soup": CORRECT["opd"]}
    cost = results_of(run(models, correct), tmp_path).models["soup"].cost
    assert (cost.flops, cost.total_flops) == (0.0, 1e9)


def test_a_student_with_a_budget_is_held_against_the_specialists_that_it_replaces(
    run: WriteRun, tmp_path: Path
) -> None:
    models = [*MODELS, student("mixed", "tiny", [], "mixed")]
    correct = {**CORRECT, "mixed": {"sort": [1, 2, 3, 2], "reverse": [4, 4, 4, 4]}}
    mixed = results_of(run(models, correct, {"mixed": "opd"}), tmp_path).models["mixed"]
    assert mixed.recovered is not None
    assert mixed.recovered.specialists == {"sort": ("sort-grpo",)}
    assert mixed.recovered.recovery.share is not None
    assert mixed.recovered.recovery.share.value == pytest.approx(0.5)  # (8 − 4) / (12 − 4)
    assert (mixed.cost.total_flops, mixed.cost.budget_of, mixed.cost.budget_flops) == (1e9, "opd", 2e9)
    path = tmp_path / "build/models/mixed/provenance.json"
    provenance = json.loads(path.read_text())
    provenance["config"]["method"] = {"budget": "teachers"}
    path.write_text(json.dumps(provenance))
    stage = run(models, correct, {"mixed": "opd"})
    path.write_text(json.dumps(provenance))
    assert results_of(stage, tmp_path).models["mixed"].cost.budget_flops == 1e9
    provenance["config"]["method"] = {"share": 0.25}
    path.write_text(json.dumps(provenance))
    assert results_of(stage, tmp_path).models["mixed"].cost.budget_flops == 0.25 * 2e9


def test_teachers_of_one_domain_without_selection_scores_count_by_their_mean_and_silent_ones_not_at_all(
    run: WriteRun, tmp_path: Path
) -> None:
    names = ["sort-grpo", "sort-max", "sort-off"]
    models = [MODELS[0], *(specialist(name, "tiny", "sort") for name in names), student("opd", "tiny", names)]
    correct = {**CORRECT, "sort-max": CORRECT["opd"], "sort-off": CORRECT["tiny"]}
    stage = run(models, correct)
    path = tmp_path / "build/models/opd/provenance.json"
    provenance = json.loads(path.read_text(encoding="utf-8"))
    provenance["config"]["teachers"][2]["weight"] = 0.0
    path.write_text(json.dumps(provenance), encoding="utf-8")
    recovered = results_of(stage, tmp_path).models["opd"].recovered
    assert recovered is not None
    assert recovered.specialists == {"sort": ("sort-grpo", "sort-max")}
    assert recovered.recovery.specialist_gain.value == pytest.approx((8 + 6) / 2 / 16)


def test_the_best_of_a_domains_teachers_counts_by_selection_items(run: WriteRun, tmp_path: Path) -> None:
    """A weak teacher beside it makes a student recover no more; what is measured does not choose."""
    names = ["sort-weak", "sort-grpo", "sort-lucky"]
    models = [MODELS[0], *(specialist(name, "tiny", "sort") for name in names), student("soup", "tiny", names, "soup")]
    lucky = {**CORRECT["tiny"], "sort": [4, 4, 4, 4]}  # best on the test items, not on the selection items
    correct = {**CORRECT, "sort-weak": CORRECT["tiny"], "sort-lucky": lucky, "soup": CORRECT["opd"]}
    stage = run(models, correct)
    for name, score in zip(names, (0.1, 0.8, 0.7), strict=True):
        path = tmp_path / f"build/metrics/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"selection_pass@1": score}), encoding="utf-8")
    results = results_of(stage, tmp_path)
    recovered = results.models["soup"].recovered
    assert recovered is not None
    assert recovered.specialists == {"sort": ("sort-grpo",)}
    assert recovered.beside == {"sort": ("sort-weak", "sort-lucky")}
    assert recovered.recovery.share is not None
    assert recovered.recovery.share.value == pytest.approx(0.75)  # (10 − 4) / (12 − 4); by the mean it would be 0.9
    said = findings(results)
    assert "selection items counts: sort-grpo on sort, not sort-weak and sort-lucky." in said


def test_a_specialist_of_a_domain_that_is_not_scored_has_no_gain(run: WriteRun, tmp_path: Path) -> None:
    models = [base("tiny"), specialist("odd-grpo", "tiny", "odd"), student("opd", "tiny", ["odd-grpo"])]
    correct = dict.fromkeys(("tiny", "odd-grpo", "opd"), CORRECT["tiny"])
    found = results_of(run(models, correct), tmp_path).models
    assert found["odd-grpo"].gain is None
    assert found["opd"].recovered is None
