"""Ways to a specialist side by side, over seeds; and the maps of self-distillation."""

import json
from pathlib import Path
from typing import Any

import pytest
from reporting_run import WriteRun, as_vote, base, results_of, specialist

from thicket.config.report_files import TEMPERATURES_FILE, report_files
from thicket.config.stages import ReportStage
from thicket.reporting import ways
from thicket.reporting.report import build_report
from thicket.reporting.tables import Table

MODELS = [
    base("tiny"),
    specialist("s0-grpo", "tiny", "sort", "grpo"),
    specialist("s1-grpo", "tiny", "sort", "grpo"),
    specialist("s0-sft", "tiny", "sort", "sft"),
    specialist("s0-sft-grpo", "s0-sft", "sort", "grpo"),
    specialist("s0-randopt", "tiny", "sort", "randopt"),
]
CORRECT = {
    "tiny": {"sort": [0, 1, 2, 3], "reverse": [2, 2, 2, 2]},
    "s0-grpo": {"sort": [4, 4, 4, 4], "reverse": [0, 0, 0, 0]},
    "s1-grpo": {"sort": [0, 4, 4, 4], "reverse": [0, 0, 0, 0]},
    "s0-sft": {"sort": [2, 2, 2, 2], "reverse": [0, 0, 0, 0]},
    "s0-sft-grpo": {"sort": [4, 4, 4, 2], "reverse": [0, 0, 0, 0]},
    "s0-randopt": {"sort": [0, 4, 4, 4], "reverse": [0, 0, 0, 0]},
}


SAMPLED = {"temperature": 1.6, "top_k": 3, "top_p": 0.8}


def edit(path: Path, key: str, values: dict[str, Any]) -> None:
    """Lays values over those of a key of a JSON file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    content[key] |= values
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def stage(run: WriteRun, tmp_path: Path) -> ReportStage:
    stage = run(MODELS, CORRECT)
    as_vote(tmp_path, "s0-randopt", members=4, temperature=0.0)
    return stage


def test_seeds_of_a_way_are_one_row_and_a_sequence_is_another(stage: ReportStage, tmp_path: Path) -> None:
    found = {way.steps: way for way in results_of(stage, tmp_path).ways}
    assert list(found) == [("grpo",), ("sft",), ("sft", "grpo"), ("randopt",)]
    grpo = found["grpo",].sampled["sort"]
    # The base solves 6 of 16 samples; the seeds 16 and 12.
    assert grpo.of_seeds == pytest.approx((10 / 16, 6 / 16))
    assert grpo.gain.value == pytest.approx(8 / 16)
    assert set(found["grpo",].sampled) == {"sort"}, "its own domain alone"
    assert found["grpo",].sampled_mean == grpo, "of one domain the mean over domains is its own"
    assert found["sft", "grpo"].flops == pytest.approx(2e9), "with the step before it"


def ways_of(run: WriteRun, tmp_path: Path, names: dict[str, tuple[str, int]]) -> Table:
    """The table of sampled pass@1 of specialists by name (`s0-sort-grpo`): their method, and samples of four that are
    correct; the base has none."""
    made = [specialist(name, "tiny", name.split("-")[1], method) for name, (method, _) in names.items()]
    solved = {"tiny": 0, **{name: count for name, (_, count) in names.items()}}
    correct = {name: {domain: [count] * 4 for domain in ("sort", "odd", "shift")} for name, count in solved.items()}
    return ways.sampled(results_of(run([base("tiny"), *made], correct), tmp_path))


def shown(table: Table, head: str) -> list[str]:
    return [row.entries[table.head.index(head)].text for row in table.rows]


def test_a_mean_over_fewer_domains_than_other_rows_have_is_not_shown(run: WriteRun, tmp_path: Path) -> None:
    names = {"s0-sort-grpo": ("grpo", 3), "s0-odd-grpo": ("grpo", 1), "s0-sort-dapo": ("dapo", 4)}
    table = ways_of(run, tmp_path, names)
    assert (shown(table, "sort"), shown(table, "odd")) == (["+75.0", "+100.0"], ["+25.0", "—"])
    assert shown(table, "shift") == ["—", "—"], "no way has it: no row lacks it"
    assert shown(table, "mean") == ["+50.0", "—"]
    assert "seeds" not in table.head
    assert "There is one seed of each" in table.note
    assert "—: there is none; as a mean, the row lacks a domain that another has" in table.note


def test_a_seeds_mean_is_of_models_of_that_seed(run: WriteRun, tmp_path: Path) -> None:
    """Seed 1 has no specialist on odd, seed 2 none on sort."""
    names = {"s0-sort-a": 4, "s1-sort-a": 2, "s0-odd-a": 2, "s2-odd-a": 4}
    table = ways_of(run, tmp_path, {name: ("grpo", count) for name, count in names.items()})
    assert (shown(table, "sort"), shown(table, "odd")) == (["+75.0"], ["+75.0"])
    assert (shown(table, "mean"), shown(table, "seeds")) == (["+75.0"], ["+75.0"]), "of seed 0 alone"


def test_without_a_seed_of_all_domains_there_is_no_mean(run: WriteRun, tmp_path: Path) -> None:
    table = ways_of(run, tmp_path, {"s1-sort-a": ("grpo", 2), "s2-odd-a": ("grpo", 4)})
    assert shown(table, "mean") == ["—"]


def test_seeds_of_the_mean_are_in_the_order_of_their_numbers(run: WriteRun, tmp_path: Path) -> None:
    names = {"s1-sort-a": 4, "s0-sort-a": 2, "s2-sort-a": 4, "s2-odd-a": 4, "s1-odd-a": 0, "s0-odd-a": 2}
    table = ways_of(run, tmp_path, {name: ("grpo", count) for name, count in names.items()})
    assert shown(table, "seeds") == ["+50.0, +50.0, +100.0"]


def test_seeds_of_equal_weights_on_every_domain_are_one_seed_of_the_mean(run: WriteRun, tmp_path: Path) -> None:
    names = {f"s{seed}-{domain}-a": ("grpo", 2) for seed in (0, 1) for domain in ("sort", "odd")}
    ways_of(run, tmp_path, names)
    for name in names:
        path = tmp_path / f"build/evaluation/{name}/model.json"
        path.write_text(json.dumps({"weights": name.split("-")[1], "answering": None}), encoding="utf-8")
    models = [base("tiny"), *(specialist(name, "tiny", name.split("-")[1]) for name in names)]
    stage = ReportStage(name="report", experiment="toy", domains=["sort", "odd"], models=models)
    (way,) = results_of(stage, tmp_path).ways
    assert way.sampled_mean is not None
    assert way.sampled_mean.of_seeds == (0.5,)


def test_a_specialist_made_twice_is_no_second_seed(run: WriteRun, tmp_path: Path) -> None:
    models = [base("tiny"), specialist("one", "tiny", "sort"), specialist("again", "tiny", "sort")]
    stage = run(models, {model.name: {"sort": [1, 2, 3, 4]} for model in models})
    (way,) = results_of(stage, tmp_path).ways
    assert (way.models, way.sampled["sort"].of_seeds) == (("one", "again"), (0.0,))


def test_a_control_may_choose_the_same_way_to_answer_under_several_seeds(run: WriteRun, tmp_path: Path) -> None:
    models = [base("tiny"), *(specialist(f"s{seed}-best", "tiny", "sort", "best-prompt") for seed in (0, 1))]
    stage = run(models, {model.name: {"sort": [1, 2, 3, 4]} for model in models})
    for seed in (0, 1):
        path = tmp_path / f"build/evaluation/s{seed}-best/model.json"
        path.write_text(json.dumps({"weights": "the base's", "answering": "greedy"}), encoding="utf-8")
    (way,) = results_of(stage, tmp_path).ways
    assert way.sampled["sort"].of_seeds == (0.0, 0.0)


def test_models_of_two_bases_are_two_ways(run: WriteRun, tmp_path: Path) -> None:
    """Two bases are no seeds of one: neither a row nor a map holds both."""
    models = [
        base("small"),
        base("large"),
        specialist("small-grpo", "small", "sort", "grpo"),
        specialist("large-grpo", "large", "sort", "grpo"),
        specialist("small-ssd", "small", "sort", "ssd"),
        specialist("large-ssd", "large", "sort", "ssd"),
        specialist("small-cold", "small", "sort", "best-prompt"),
        specialist("large-cold", "large", "sort", "best-prompt"),
    ]
    four, all_four = {"sort": [4, 4, 4, 4]}, {"sort": [2, 2, 2, 2]}
    stage = run(models, {model.name: four if model.name.startswith("large") else all_four for model in models})
    for name in ("small-ssd", "large-ssd"):
        edit(tmp_path / f"build/models/{name}/provenance.json", "config", {"method": SAMPLED})
    for name in ("small-cold", "large-cold"):
        edit(tmp_path / f"build/evaluation/{name}/metrics.json", "answering", {"temperature": 0.0})
    results = results_of(stage, tmp_path)
    found = {(way.base, way.steps): way.models for way in results.ways}
    assert found["small", ("grpo",)] == ("small-grpo",)
    assert found["large", ("grpo",)] == ("large-grpo",)
    assert [row.name for row in ways.sampled(results).rows][:2] == ["small → grpo", "large → grpo"]
    assert [(one.base, one.reference) for one in results.maps] == [("small", 0.5), ("large", 1.0)]


def test_efforts_and_other_values_of_a_domain_are_ways_of_their_own(run: WriteRun, tmp_path: Path) -> None:
    brief = specialist("brief", "tiny", "sort", "grpo").model_copy(update={"effort": "brief"})
    models = [
        base("tiny"),
        specialist("plain", "tiny", "sort", "grpo"),
        brief,
        specialist("short", "tiny", "sort", "grpo"),
    ]
    stage = run(models, {model.name: {"sort": [1, 1, 1, 1]} for model in models})
    edit(tmp_path / "build/models/short/provenance.json", "config", {"domain": {"length_penalty": 0.5}})
    results = results_of(stage, tmp_path)
    assert [way.models for way in results.ways] == [("plain",), ("brief",), ("short",)]
    table = ways.sampled(results)
    assert [row.name for row in table.rows] == ["grpo (plain)", "grpo at brief", "grpo (short)"]
    assert "the base without" in table.note


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
    heads = [line.split(" | ")[0] for line in text.splitlines() if line.endswith("| seeds | FLOPs |")]
    assert heads == ["| method", "| method"], "what a row stands for is no model"
    page = (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert page.count('<tr><th scope="col">method</th>') == len(heads)
    table = ways.deployed(results_of(stage, tmp_path))
    assert [row.name for row in table.rows] == ["grpo", "sft", "sft → grpo", "randopt"]
    seeds = table.rows[0].entries[table.head.index("seeds")]
    assert seeds.text == "+50.0, +25.0"


def test_a_map_has_the_temperatures_of_samples_and_of_answers(run: WriteRun, tmp_path: Path) -> None:
    models = [
        base("tiny"),
        specialist("hot", "tiny", "sort", "ssd"),
        specialist("hot-greedy", "hot", "sort", "best-prompt"),
        specialist("base-greedy", "tiny", "sort", "best-prompt"),
    ]
    scores = {"sort": [1, 1, 1, 1], "reverse": [1, 1, 1, 1]}
    stage = run(models, {model.name: scores for model in models})
    for model in models[1:]:
        edit(tmp_path / f"build/models/{model.name}/provenance.json", "config", {"method": SAMPLED})
    for name in ("hot-greedy", "base-greedy"):
        path = tmp_path / f"build/evaluation/{name}/metrics.json"
        edit(path, "answering", {"temperature": 0.0, "template": "{prompt}"})
    (found,) = results_of(stage, tmp_path).maps
    assert (found.domain, found.cut, found.asked) == ("sort", "top-k 3, top-p 0.8", [0.0, 1.0])
    assert [cell is not None for cell in found.start] == [True, True]
    assert set(found.trained) == {1.6}
    assert all(cell and cell.value == 0.25 for cell in found.trained[1.6])
    (tmp_path / "out").mkdir()
    build_report(stage, tmp_path, tmp_path / "out")
    assert "Self-distillation on sort" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
    drawn = (tmp_path / "out" / TEMPERATURES_FILE).read_bytes()
    assert drawn.startswith(b"\x89PNG")

    for name in ("hot-greedy", "base-greedy"):
        path = tmp_path / f"build/evaluation/{name}/metrics.json"
        edit(path, "answering", {"temperature": 1.0, "template": "{prompt}"})
    assert results_of(stage, tmp_path).maps == (), "one temperature is no map"
    build_report(stage, tmp_path, tmp_path / "out")
    empty = (tmp_path / "out" / TEMPERATURES_FILE).read_bytes()
    assert empty.startswith(b"\x89PNG"), "the pipeline has declared it: it can't be missing"
    assert empty != drawn


def test_a_picture_of_temperatures_is_declared_where_there_can_be_one(run: WriteRun) -> None:
    scores = {"sort": [1, 1, 1, 1], "reverse": [1, 1, 1, 1]}
    for asked, declared in (("sort", True), ("reverse", False)):
        models = [
            base("tiny"),
            specialist("hot", "tiny", "sort", "ssd"),
            specialist("asked", "tiny", asked, "best-prompt"),
        ]
        assert (TEMPERATURES_FILE in report_files(run(models, {model.name: scores for model in models}))) == declared
