"""Rows of models that vote, and of controls: what is shown, what is left out, and what an answer costs."""

import json
from pathlib import Path

import pytest
from reporting_run import WriteRun, as_vote, base, results_of, specialist

from thicket.config.stages import ReportStage
from thicket.reporting import figures, gains, inference, tables
from thicket.reporting.findings import findings
from thicket.reporting.report import build_report
from thicket.reporting.results import Answers

MODELS = [
    base("tiny"),
    specialist("sort-randopt", "tiny", "sort"),
    specialist("sort-sc", "tiny", "sort", "self-consistency"),
]
CORRECT = {
    "tiny": {"sort": [1, 1, 2, 2], "reverse": [2, 2, 2, 2]},
    "sort-randopt": {"sort": [4, 4, 4, 0], "reverse": [0, 0, 0, 0]},
    "sort-sc": {"sort": [4, 4, 0, 0], "reverse": [0, 0, 4, 4]},
}


@pytest.fixture
def stage(run: WriteRun, tmp_path: Path) -> ReportStage:
    """A base that samples, an ensemble, and a control that votes."""
    made = run(MODELS, CORRECT)
    as_vote(tmp_path, "sort-randopt", members=4, temperature=0.0)
    as_vote(tmp_path, "sort-sc", votes=4, temperature=0.5, template="\n{prompt}")
    (tmp_path / "build/curves/sort-sc.csv").write_text(
        "step,flops,temperature,selection\n1,5e8,0.3,0.25\n2,1e9,0.7,0.5\n", encoding="utf-8"
    )
    return made


def test_a_vote_is_paired_with_the_samples_of_its_base(stage: ReportStage, tmp_path: Path) -> None:
    gain = results_of(stage, tmp_path).models["sort-randopt"].gain
    assert gain is not None
    assert gain.value == pytest.approx((1 + 1 + 1 + 0) / 4 - (1 + 1 + 2 + 2) / 16)


def test_votes_are_held_against_the_greedy_base_too(stage: ReportStage, tmp_path: Path) -> None:
    """On sort the base is right on the last two items when it is greedy: (1, 1, 1, 0) less (0, 0, 1, 1)."""
    results = results_of(stage, tmp_path)
    gap = results.models["sort-randopt"].cells["sort"].greedy_difference
    assert gap is not None
    assert gap.value == pytest.approx(3 / 4 - 2 / 4)
    assert results.models["tiny"].cells["sort"].greedy_difference is None
    rows = {row.model.name: [entry.text for entry in row.entries] for row in gains.greedy_differences(results).rows}
    assert rows == {"sort-randopt": ["+25.0", "−100.0"], "sort-sc": ["0.0", "−50.0"]}


def test_what_a_vote_has_no_score_for_is_a_dash(stage: ReportStage, tmp_path: Path) -> None:
    results = results_of(stage, tmp_path)
    for table in tables.attempts(results):
        rows = {row.model.name: [entry.text for entry in row.entries] for row in table.rows}
        assert rows["sort-randopt"] == rows["sort-sc"] == ["—", "—"]
        assert "—" not in rows["tiny"]
    assert {row.model.name for row in tables.scores(results).rows} == {model.name for model in MODELS}


def test_the_table_of_what_an_answer_costs(stage: ReportStage, tmp_path: Path) -> None:
    table = inference.answers(results_of(stage, tmp_path))
    shown = {row.model.name: [entry.text.replace("\xa0", " ") for entry in row.entries] for row in table.rows}
    assert shown == {
        "tiny": ["one sample, temperature 1", "1", "10.0", "5.0", "3.00 M", "1.0 ×"],
        "sort-randopt": ["vote of 4 members, greedy", "4", "40.0", "20.0", "12.0 M", "4.0 ×"],
        "sort-sc": ["vote of 4 samples, temperature 0.5", "4", "40.0", "20.0", "12.0 M", "4.0 ×"],
    }
    assert [row.entries[0].detail for row in table.rows] == ["", "", "prompt in '\\n{prompt}'"]


def test_every_form_shows_what_an_answer_costs(stage: ReportStage, tmp_path: Path) -> None:
    build_report(stage, tmp_path, tmp_path)
    for form in ("index.html", "results.md"):
        text = (tmp_path / form).read_text(encoding="utf-8")
        assert "What an answer costs" in text
        assert "vote of 4 members, greedy" in text
    answers = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["models"]["sort-randopt"]["answers"]
    assert (answers["members"], answers["tokens"], answers["times"]) == (4, 20.0, 4.0)


@pytest.mark.parametrize(
    ("own", "text"),
    [
        ({}, "one sample, temperature 1"),
        ({"temperature": 0.0}, "greedy"),
        ({"temperature": 1.1, "top_k": 20, "top_p": 0.8}, "one sample, temperature 1.1, top-k 20, top-p 0.8"),
        ({"votes": 16, "temperature": 0.7}, "vote of 16 samples, temperature 0.7"),
        ({"members": 50, "temperature": 0.0}, "vote of 50 members, greedy"),
    ],
)
def test_ways_to_answer_in_words(own: dict[str, float], text: str) -> None:
    plain = {"members": 0, "votes": 1, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "template": None}
    taken = {"calls": 1.0, "prompt": 1.0, "tokens": 1.0, "flops": 1.0, "times": 1.0}
    assert inference.way(Answers(**{**plain, **taken, **own})) == text  # type: ignore[arg-type]


def test_controls_are_told_apart_from_specialists(stage: ReportStage, tmp_path: Path) -> None:
    results = results_of(stage, tmp_path)
    told = findings(results).replace("\xa0", " ")
    assert told == (
        "In 0 of 1 domain a specialist of the domain beats its base, the 90 % interval of the paired difference over "
        "the items lying above 0. Not told from 0: sort-randopt +37.5 [0.0, +69.1]. Gains of the controls, which are "
        "models asked in another way, not told from 0: sort-sc +12.5 [−50.0, +45.3]. In brackets: 90 % intervals "
        "over the items."
    )
    roles = {name: figures.role(result, "sort") for name, result in results.models.items()}
    assert roles == {"tiny": "base", "sort-randopt": "specialist", "sort-sc": "control"}
    assert figures.role(results.models["sort-sc"], "reverse") == "other"


def test_a_controls_candidates_stand_at_their_temperatures(stage: ReportStage, tmp_path: Path) -> None:
    results = results_of(stage, tmp_path)
    assert "score by temperature" in figures.curve_panel(results.models["sort-sc"], "one")
    assert "score by step" in figures.curve_panel(results.models["sort-randopt"], "two")
