"""Ways to a specialist side by side, over seeds; and the maps of self-distillation."""

import json
from pathlib import Path

import pytest
from reporting_run import WriteRun, as_vote, base, specialist

from thicket.config.stages import ReportedModel, ReportStage
from thicket.reporting import ways
from thicket.reporting.compare import compare
from thicket.reporting.inputs import read_inputs
from thicket.reporting.report import build_report
from thicket.reporting.results import Results


def made(name: str, start: str, method: str) -> ReportedModel:
    return specialist(name, start, "sort").model_copy(update={"method": method, "type": method.replace("-", "_")})


MODELS = [
    base("tiny"),
    made("s0-grpo", "tiny", "grpo"),
    made("s1-grpo", "tiny", "grpo"),
    made("s0-sft", "tiny", "sft"),
    made("s0-sft-grpo", "s0-sft", "grpo"),
    made("s0-randopt", "tiny", "randopt"),
]
CORRECT = {
    "tiny": {"sort": [0, 1, 2, 3], "reverse": [2, 2, 2, 2]},
    "s0-grpo": {"sort": [4, 4, 4, 4], "reverse": [0, 0, 0, 0]},
    "s1-grpo": {"sort": [0, 4, 4, 4], "reverse": [0, 0, 0, 0]},
    "s0-sft": {"sort": [2, 2, 2, 2], "reverse": [0, 0, 0, 0]},
    "s0-sft-grpo": {"sort": [4, 4, 4, 2], "reverse": [0, 0, 0, 0]},
    "s0-randopt": {"sort": [0, 4, 4, 4], "reverse": [0, 0, 0, 0]},
}


@pytest.fixture
def stage(run: WriteRun, tmp_path: Path) -> ReportStage:
    stage = run(MODELS, CORRECT)
    as_vote(tmp_path, "s0-randopt", members=4, temperature=0.0)
    return stage


def results_of(stage: ReportStage, root: Path) -> Results:
    return compare(stage, read_inputs(stage, root))


def test_seeds_of_a_way_are_one_row_and_a_sequence_is_another(stage: ReportStage, tmp_path: Path) -> None:
    found = {way.steps: way for way in results_of(stage, tmp_path).ways}
    assert list(found) == [("grpo",), ("sft",), ("sft", "grpo"), ("randopt",)]
    grpo = found["grpo",].sampled["sort"]
    # The base solves 6 of 16 samples; the seeds 16 and 12.
    assert grpo.of_seeds == pytest.approx((10 / 16, 6 / 16))
    assert grpo.gain.value == pytest.approx(8 / 16)
    assert set(found["grpo",].sampled) == {"sort"}, "its own domain alone"
    assert found["sft", "grpo"].flops == pytest.approx(2e9), "with the step before it"


def test_deployed_is_greedy_against_greedy(stage: ReportStage, tmp_path: Path) -> None:
    """The greedy response of the made-up run is right where two samples are: the base's on two items of four."""
    found = {way.steps: way for way in results_of(stage, tmp_path).ways}
    assert found["grpo",].greedy["sort"].of_seeds == pytest.approx((2 / 4, 1 / 4))
    assert found["randopt",].greedy["sort"].gain.value == pytest.approx(1 / 4)
    assert found["randopt",].sampled["sort"].gain.value == pytest.approx(3 / 4 - 6 / 16)
    assert found["randopt",].times == pytest.approx(4.0)


def test_both_tables_are_in_the_report(stage: ReportStage, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    build_report(stage, tmp_path, tmp_path / "out")
    text = (tmp_path / "out/results.md").read_text(encoding="utf-8")
    assert "| sft → grpo |" in text
    table = ways.deployed(results_of(stage, tmp_path))
    assert [row.name for row in table.rows] == ["grpo", "sft", "sft → grpo", "randopt"]
    seeds = table.rows[0].entries[table.head.index("seeds")]
    assert seeds.text == "+50.0, +25.0"


def test_a_map_has_the_temperatures_of_samples_and_of_answers(run: WriteRun, tmp_path: Path) -> None:
    models = [
        base("tiny"),
        made("hot", "tiny", "ssd"),
        made("hot-greedy", "hot", "best-prompt"),
        made("base-greedy", "tiny", "best-prompt"),
    ]
    scores = {"sort": [1, 1, 1, 1], "reverse": [1, 1, 1, 1]}
    stage = run(models, {model.name: scores for model in models})
    for model in models[1:]:
        path = tmp_path / f"build/models/{model.name}/provenance.json"
        provenance = json.loads(path.read_text(encoding="utf-8"))
        provenance["config"]["method"] = {"temperature": 1.6, "top_k": 3, "top_p": 0.8}
        path.write_text(json.dumps(provenance), encoding="utf-8")
    for name in ("hot-greedy", "base-greedy"):
        path = tmp_path / f"build/evaluation/{name}/metrics.json"
        metrics = json.loads(path.read_text(encoding="utf-8"))
        metrics["answering"] |= {"temperature": 0.0, "template": "{prompt}"}
        path.write_text(json.dumps(metrics), encoding="utf-8")
    (found,) = results_of(stage, tmp_path).maps
    assert (found.domain, found.asked) == ("sort", [0.0, 1.0])
    assert [cell is not None for cell in found.start] == [True, True]
    assert set(found.trained) == {1.6}
    assert all(cell and cell.value == 0.25 for cell in found.trained[1.6])
    (tmp_path / "out").mkdir()
    build_report(stage, tmp_path, tmp_path / "out")
    assert "Self-distillation on sort" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
