"""What docs/analyses.md says of analyses is what they write: all of them, on toy models."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from toys import DECLARED, run, toy_project

from thicket.config.places import ANALYSIS
from thicket.config.stages import ClaimsStage
from thicket.plan.outputs import OUTPUTS
from thicket.reporting.claims.evidence import AnalysisResult, Evidence
from thicket.reporting.claims.page import SECTIONS
from thicket.reporting.pictures.draw import read_tables

PAIR = ["tiny", "sort-grpo"]
SIZES: dict[str, dict[str, Any]] = {
    "capability": {"ks": [1, 2], "samples": 2},
    "connectivity": {"points": 3, "random_directions": 1},
    "cross-sampling": {"thresholds": [0.001], "samples": 1},
    "density": {"perturbations": 2, "sigmas": [0.01], "slice": 2},
    "discordance": {"perturbations": 2, "sigmas": [0.01], "permutations": 2, "halves": 2},
    "divergence": {"samples": 1},
    "estimators": {"resamples": 2},
    "interference": {"group": 2},
    "overlap": {"perturbations": 2, "sigmas": [0.01]},
    "scalpel": {"samples": 1},
    "self-distillation": {"samples": 1, "score_samples": 1},
}
MODELS = {"density": PAIR[:1], "discordance": PAIR[:1], "overlap": PAIR[:1], "interference": PAIR[:1]}
MODELS |= {"connectivity": [*PAIR, "reverse-grpo"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    looks = {name: {"analysis": name, "models": MODELS.get(name, PAIR)} for name in SIZES}
    values = {**DECLARED["values"], "analysis": {name: {"items": 3, **size} for name, size in SIZES.items()}}
    declared = {**DECLARED, "analyses": looks, "values": values}
    root = toy_project(tmp_path_factory.mktemp("outputs") / "project", declared)
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo")
    return root


def test_every_analysis_is_told() -> None:
    assert {name.replace("-", "_") for name in SIZES} == set(OUTPUTS)


@pytest.mark.parametrize("name", SIZES)
def test_what_is_told_is_what_is_written(project: Path, name: str) -> None:
    run(project, f"analyze-{name}")
    folder, told = project / ANALYSIS / name, OUTPUTS[name.replace("-", "_")]
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    agree(told.statistics, {one["name"] for one in result["statistics"]})
    figures = {key for key in result["figures"] if key not in ("values", "replicates")}
    agree(told.figures, figures)
    agree(told.values, result["figures"].get("values", {}))
    written = {table: list(rows[0]) for table, rows in read_tables(folder).items()}
    assert {table: list(columns) for table, columns in told.tables.items()} == written


def agree(told: Iterable[str], found: Iterable[str]) -> None:
    """Every name is told of once, and whatever is told of is there."""
    patterns = {name: re.compile(pattern(name)) for name in told}
    for name in found:
        assert [one for one, form in patterns.items() if form.fullmatch(name)] != [], f"{name} is not told of"
    for one, form in patterns.items():
        assert any(form.fullmatch(name) for name in found), f"there is no {one}"


def pattern(name: str) -> str:
    """A regular expression for a name in which words in capitals stand for something."""
    return re.sub(r"[A-Z]{2,}|(?<=@)K\b", ".+", re.escape(name))


def test_claims_name_the_analyses_that_they_read() -> None:
    asked: set[str] = set()

    class Nothing(Evidence):
        """No model and no analysis, and notes which were asked for."""

        seeds = [0]  # type: ignore[assignment]

        def __init__(self) -> None:
            self.stage, self.models, self.inputs = stage, {}, {}

        def of_type(self, kind: str) -> list[AnalysisResult]:
            asked.add(kind)
            return []

    stage = ClaimsStage(name="claims", experiment="none", domains=["sort"], models=[], analyses=[], resamples=10)
    for claim in (claim for claims in SECTIONS.values() for claim in claims):
        asked.clear()
        assert list(claim.measure(Nothing())) == []
        named = {name for name in re.findall(r"`(\w+)`", claim.needs) if name in OUTPUTS}
        assert asked <= named, f"{claim.name} reads {asked} and names {named}"
