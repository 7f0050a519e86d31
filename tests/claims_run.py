"""Made-up runs that claims are judged by: a base, specialists, students, and analyses of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from reporting_run import Correct, base, specialist, student, write_run

from thicket.config.stages import ClaimsStage, ReportedAnalysis, ReportedModel
from thicket.reporting.claims.claim import Row, judge
from thicket.reporting.claims.consolidation import CLAIMS as CONSOLIDATION
from thicket.reporting.claims.critical import CLAIMS as CRITICAL
from thicket.reporting.claims.evidence import Evidence
from thicket.reporting.claims.geometry import CLAIMS as GEOMETRY
from thicket.reporting.claims.self_distillation import CLAIMS as SELF_DISTILLATION

ITEMS = 60
Scores = dict[str, tuple[float, float]]
"""Way → share of correct samples on sort and on odd."""
USUAL: Scores = {"base": (0.3, 0.3), "sort": (0.9, 0.3), "odd": (0.3, 0.9), "opd": (0.85, 0.85), "soup": (0.5, 0.5)}


def counts(share: float, seed: int) -> list[int]:
    return [int(n) for n in np.random.default_rng(seed).binomial(4, share, ITEMS)]


def consolidated(root: Path, seeds: int, scores: Scores) -> ClaimsStage:
    """A base, two specialists, a student by opd and a soup for each seed."""
    models: list[ReportedModel] = [base("tiny")]
    correct: Correct = {"tiny": {"sort": counts(scores["base"][0], 1), "odd": counts(scores["base"][1], 2)}}
    for seed in range(seeds):
        names = [f"s{seed}-sort", f"s{seed}-odd"]
        own = [specialist(name, "tiny", name.partition("-")[2]) for name in names]
        own += [student(f"s{seed}-{way}", "tiny", names, way) for way in ("opd", "soup")]
        models += own
        for place, way in enumerate(("sort", "odd", "opd", "soup")):
            keys = [100 * seed + 10 * place + at for at in range(2)]
            correct[f"s{seed}-{way}"] = {
                domain: counts(share, key)
                for domain, share, key in zip(("sort", "odd"), scores[way], keys, strict=True)
            }
    write_run(root, models, correct, {})
    return ClaimsStage(
        name="claims", experiment="toy <b>", domains=["sort", "odd"], models=models, analyses=[], resamples=1000
    )


def add_analysis(
    root: Path, stage: ClaimsStage, made: ReportedAnalysis, statistics: Sequence[dict[str, Any]]
) -> ClaimsStage:
    """Writes an analysis's files, and names it in the stage."""
    folder = root / "build/analysis" / made.name
    folder.mkdir(parents=True)
    sizes = {name: 1000 * (1 + place) for place, name in enumerate(made.models)}
    (folder / "result.json").write_text(
        json.dumps({"parameters": sizes, "figures": {}, "domains": ["sort"]}), encoding="utf-8"
    )
    (folder / "units.json").write_text(json.dumps(statistics), encoding="utf-8")
    (folder / "picture.svg").write_text("<svg>drawn</svg>", encoding="utf-8")
    return stage.model_copy(update={"analyses": [*stage.analyses, made]})


def row_of(name: str, stage: ClaimsStage, root: Path) -> Row:
    rows = judge([*CONSOLIDATION, *CRITICAL, *GEOMETRY, *SELF_DISTILLATION], Evidence(stage, root))
    return next(row for row in rows if row.claim.name == name)
