"""The benchmark of how cost grows: its lines, its counts, its arithmetic, and a run at sizes of a blink."""

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import scaling
import torch
from scaling_fits import Measured, fit, scaled, write
from scaling_plans import PLANS, QWEN_7B, Machine, Rates, assumed, from_run, needed, table_of_plans
from scaling_stages import Cost, Extent, built
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).parents[1]
SHAPE = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
NAMES = ("small", "wide")
SMALL = {
    "decode": Extent(4, 2, 4, (1, 2), (2, 4), sizes=NAMES, short=2),
    "update": Extent(4, 8, 4, (4, 8), (2, 4), sizes=NAMES, micro=4),
    "divergence": Extent(0, 0, 256, along_tokens=(256, 512), sizes=NAMES),
    "randopt": Extent(0, 2, 2, along_many=(1, 2, 4), sizes=NAMES),
    "opd": Extent(4, 4, 2, (4, 8), (2, 4), (1, 2, 4), NAMES, micro=2),
}


def test_a_line_by_hand() -> None:
    """(0, 1), (1, 3), (2, 4): residuals −1/6, 1/3, −1/6."""
    line = fit([0, 1, 2], [1, 3, 4])
    assert (line.a, line.b) == pytest.approx((7 / 6, 1.5))
    assert line.error == pytest.approx((1 / 6 / 2) ** 0.5)
    assert line.off == pytest.approx(1 / 6)


def test_two_points_leave_no_error() -> None:
    line = fit([1, 3], [2.0, 6.0])
    assert (line.a, line.b, line.error) == (pytest.approx(0), pytest.approx(2), None)
    with pytest.raises(ValueError, match="two places"):
        fit([1, 1], [2.0, 6.0])


def test_seconds_have_their_unit() -> None:
    assert [scaled(value) for value in (12.3, 0.0456, 7.8e-6, -0.5)] == ["12.3 s", "45.6 ms", "7.8 µs", "-500 ms"]


def test_flops_against_a_count_of_products() -> None:
    model, ids = built("cpu", SHAPE), torch.zeros((3, 5), dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(ids)
    products = sum(of for name, of in counter.get_flop_counts()["Global"].items() if "mm" in str(name))
    cost = Cost.of(model)
    attended = cost.attention * 3 * 15  # 1 + 2 + … + 5 places in each row
    # The norms' weights are counted as if they took part in products.
    assert cost.forward(3, 5, 0, 0, 15) - attended == pytest.approx(products, rel=0.02)
    assert cost.attention == 4 * 2 * 32


def test_going_on_from_a_prompt_costs_what_a_whole_row_does() -> None:
    cost = Cost(100, 10, 8)
    assert cost.forward(2, 4, 2, 3, 5) == pytest.approx(cost.forward(2, 7, 0, 0, 5))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = {**SHAPE, "hidden_size": 64}
    monkeypatch.setitem(scaling.SIZES, "cpu", {"small": SHAPE, "wide": wide})
    monkeypatch.setitem(scaling.EXTENTS, "cpu", SMALL)
    monkeypatch.setattr(scaling, "rates", lambda kind: {"product": 1e11, "copy": 1e10, "to device": 1e10})


def told(monkeypatch: pytest.MonkeyPatch, *arguments: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/scaling.py", *map(str, arguments)])
    scaling.main()


@pytest.mark.usefixtures("small")
def test_every_stage_is_measured_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results, document = tmp_path / "found.json", tmp_path / "scaling.md"
    told(monkeypatch, "--device", "cpu", "--repeats", 1, "--results", results)
    found = json.loads(results.read_text())
    points = [Measured(**point) for point in found["points"]]
    places = {
        axis: sorted(p.x for p in points if (p.stage, p.axis) == axis) for axis in {(p.stage, p.axis) for p in points}
    }
    assert {stage for stage, _ in places} == set(SMALL)
    assert places["opd", "teachers, routing domain"] == places["opd", "teachers, routing all"] == [1, 2, 4]
    assert places["randopt", "members, one by one"] == [1, 2, 4]
    assert places["randopt", "members, stacked"] == [2, 4]
    assert places["decode", "length"] == places["update", "length"] == [2, 4]
    assert len(places["decode", "a step, by model size"]) == len(NAMES)
    assert all(len(point.seconds) == 1 and (point.flops or 1) > 0 for point in points)
    assert not found["left_out"]
    assert "update, rows: " in capsys.readouterr().out
    document.write_text((ROOT / "docs/scaling.md").read_text())
    told(monkeypatch, "--write", document, results)
    text = document.read_text()
    assert f"| opd | teachers, routing all | 4 {'teachers'} |" in text
    assert "Not measured yet" not in text
    assert "of the run, on" in text


@pytest.mark.usefixtures("small")
def test_what_there_is_no_time_for_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "found.json"
    told(monkeypatch, "--device", "cpu", "--only", "update", "--seconds", 0, "--results", results)
    found = json.loads(results.read_text())
    assert found["points"] == []
    assert found["left_out"] == ["update, small", "update, wide"]


def test_an_unknown_stage_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        told(monkeypatch, "--device", "cpu", "--only", "decode,updates")
    assert "no stage updates; allowed: decode" in capsys.readouterr().err


def test_a_document_has_the_places_that_are_filled(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("before\n<!-- from the run: lines -->\nold\n<!-- end -->\nafter\n")
    write(document, {"lines": lambda: "new"})
    assert document.read_text() == "before\n<!-- from the run: lines -->\n\nnew\n\n<!-- end -->\nafter\n"
    with pytest.raises(ValueError, match="'lines'"):
        write(document, {"points": lambda: "new"})


def test_a_plan_by_hand() -> None:
    """GRPO of a 7B model on 8 GPUs: 128 rows of 512 + 2048 tokens each, in 16 micro-batches of 8."""
    rates = Rates("", update=1e14, reading=1e14, launched=0.01, weight=1e-12, cached=1e12, loaded=1e10)
    found = needed(PLANS[0], rates, Machine())
    assert QWEN_7B.cached == 57_344
    assert found.states == 16 * 7.62e9 / 8
    assert found.cache == 128 * 2560 * 57_344
    assert found.gathered == 3 * 2 * 7.62e9 * 16
    assert found.averaged == found.hidden == found.loading == found.judging == 0
    # 2 · 7.62e9 · 128 / 1e14 = 19.5 ms of sums hide 7.6 ms of reading weights.
    step = 0.01 + 2 * 7.62e9 * 128 / 1e14 + 128 * 1536 * 57_344 / 1e12
    assert found.writing == pytest.approx(2048 * step)
    assert found.updating == pytest.approx(8 * 7.62e9 * 128 * (2048 + 512 / 8) / 1e14)
    assert found.memory == found.states + found.serving + found.cache


def test_a_run_without_what_a_plan_needs_says_what_is_assumed() -> None:
    rates = {"product": 7e14, "copy": 4e12, "to device": 2e10}
    points = [vars(Measured("update", "model size", "M weights", x, [x / 100], None, x * 1e12)) for x in (100.0, 500.0)]
    made = from_run({"points": points, "rates": rates, "machine": "a GPU"})
    assert made.source == "of the run, on a GPU; decode: assumed"
    assert (made.update, made.reading, made.loaded) == (pytest.approx(1e14), pytest.approx(1e14), 2e10)


def test_the_document_is_what_the_results_give() -> None:
    """Of the figures that are committed, where there are any."""
    text = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    results = ROOT / "benchmarks/results/scaling-cuda.json"
    rates = from_run(json.loads(results.read_text())) if results.is_file() else assumed()
    (plans,) = re.findall(r"<!-- from the run: plans -->\n\n(.*?)\n\n<!-- end -->", text, re.DOTALL)
    assert plans == table_of_plans(rates)
