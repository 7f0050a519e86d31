"""Claims on a base's neighbourhood: which bases are compared, and what counts as a seed."""

import json
from pathlib import Path

import numpy as np
import pytest
from claims_run import USUAL, add_analysis, consolidated, counts, row_of
from reporting_run import base, write_run

from thicket.config.stages import ReportedAnalysis
from thicket.reporting.claims.claim import Row
from thicket.reporting.claims.evidence import Evidence
from thicket.reporting.claims.geometry import by_size, density

DENSITY = {"name": "density_gt_0@0.01", "domain": "sort", "unit": "perturbation", "of": "", "weights_U": None}


def test_perturbations_of_one_base_drawn_thrice_are_three_seeds(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 3, USUAL)
    for seed in range(3):
        made = ReportedAnalysis(name=f"look-{seed}", type="density", models=["tiny"], seed=seed)
        stage = add_analysis(tmp_path, stage, made, [{**DENSITY, "amounts_U": [1.0, 0.0, float(seed > 0)]}])
    found = list(by_size(Evidence(stage, tmp_path), "density", density))
    assert [(seed, one.value) for seed, (one,) in found] == [(0, 1 / 3), (1, 2 / 3), (2, 2 / 3)]


def sized(root: Path, order: list[str]) -> Row:
    """Density at a small base and at three of another size, of which one has the small one's pretraining."""
    stage = consolidated(root, 3, USUAL)
    shares = {"small": 0.1, "quarter": 0.9, "clean": 0.9, "full": 0.4}
    recipes = {"small": (650, "a"), "quarter": (162, "a"), "clean": (650, "b"), "full": (650, "a")}
    for seed in range(3):
        for kind in order:
            name = f"{kind}-{seed}"
            steps, corpus = recipes[kind]
            model = base(name).model_copy(update={"seed": seed, "steps": steps, "corpus": corpus})
            write_run(root, [model], {name: {"sort": counts(0.3, 1), "odd": counts(0.3, 2)}}, {})
            stage = stage.model_copy(update={"models": [*stage.models, model]})
            hits = np.random.default_rng(seed).binomial(1, shares[kind], 80).astype(float).tolist()
            made = ReportedAnalysis(name=f"d-{name}", type="density", models=[name], seed=seed)
            stage = add_analysis(root, stage, made, [{**DENSITY, "amounts_U": hits}])
            path = root / f"build/analysis/d-{name}/result.json"
            result = json.loads(path.read_text(encoding="utf-8"))
            result["parameters"] = {name: 100 if kind == "small" else 600}
            path.write_text(json.dumps(result), encoding="utf-8")
    return row_of("density-grows", stage, root)


def test_sizes_are_compared_at_one_pretraining(tmp_path: Path) -> None:
    """Bases of another length of training or on another corpus are left out, in whatever order they stand."""
    one = sized(tmp_path / "a", ["small", "quarter", "clean", "full"])
    other = sized(tmp_path / "b", ["clean", "full", "quarter", "small"])
    assert one.value is not None
    assert one.control is not None
    assert one.value.value == pytest.approx(0.4, abs=0.1)
    assert one.control.value == pytest.approx(0.1, abs=0.06)
    assert (one.value, one.control, one.verdict) == (other.value, other.control, other.verdict)
