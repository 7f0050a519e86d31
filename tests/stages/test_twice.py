"""Equal stages leave equal outs in any folder and at any time, so that a dvc.lock made elsewhere holds here too."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from toys import DECLARED, VALUES, run, stages, toy_project

from thicket.cli import main
from thicket.config.stages import ReportStage
from thicket.reporting.inputs import read_inputs
from thicket.times import UNKNOWN

TRAINED = {"steps": 3, "batch": 4, "micro_batch": 4, "select_samples": 1}
SEARCHED = {"items": 6, "perturbations": 8, "members": 2, "sigmas": [0.5]}
LOOK = {"analysis": "capability", "models": ["tiny", "sort-grpo"], "domains": ["sort"]}
LOOK |= {"set": {"analysis.items": 3, "analysis.ks": [1, 4], "analysis.samples": 2, "analysis.solves": 1e-9}}
OPD = DECLARED["students"]["opd"]
EVERY_KIND: dict[str, Any] = {
    **DECLARED,
    "products": [{"base": "tiny", "domains": ["sort"], "methods": ["sft", "randopt"]}],
    "students": {
        "opd": OPD,
        "soup": {**OPD, "method": "soup"},
        "mixed": {"base": "tiny", "method": "mixed", "domains": ["sort", "reverse"], "budget_of": "opd"},
    },
    "analyses": {"look": LOOK},
    "values": {**VALUES, "method": {**VALUES["method"], "sft": TRAINED, "randopt": SEARCHED}},
}
SHOWS_TIMES = "build/report/"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One project, built in two folders."""
    one, other = (toy_project(tmp_path_factory.mktemp(name) / "project", EVERY_KIND) for name in ("one", "other"))
    for root in (one, other):
        run(root, *stages(root))
    return one, other


def outs(root: Path) -> Iterator[Path]:
    """Every file of what DVC hashes."""
    declared = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    for out in (out for name, stage in declared.items() if name != "compose" for out in stage["outs"]):
        path = root / out
        assert path.exists(), out
        yield from sorted(file.relative_to(root) for file in path.rglob("*")) if path.is_dir() else [Path(out)]


def test_every_out_but_the_report_is_the_same(made: tuple[Path, Path]) -> None:
    one, other = made
    assert list(outs(one)) == list(outs(other))
    hashed = [path for path in outs(one) if (one / path).is_file()]
    assert len({path.parts[1] for path in hashed}) == len(
        ("data", "models", "metrics", "curves", "evaluation", "analysis", "pictures", "report")
    )
    different = [path for path in map(str, hashed) if (one / path).read_bytes() != (other / path).read_bytes()]
    assert [path for path in different if not path.startswith(SHOWS_TIMES)] == []


def test_times_lie_beside(made: tuple[Path, Path]) -> None:
    one, other = (json.loads((root / "build/times/opd.json").read_text(encoding="utf-8")) for root in made)
    assert one["of"] == other["of"]
    assert one["finished"] != other["finished"]  # one was made after the other; both may have taken as long
    assert {"commit", "device", "started", "finished", "phase_seconds", "peak_memory_bytes"} <= one.keys()


def test_what_was_pulled_has_no_times(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(made[0], tmp_path / "project"))
    shutil.rmtree(root / "build/times")
    report = stages(root)["report"]
    assert isinstance(report, ReportStage)
    assert {one.times == {} for one in read_inputs(report, root).values()} == {True}
    capsys.readouterr()
    run(root, "report")
    assert capsys.readouterr().out.splitlines()[-1] == "report: build/report/index.html"
    written = (root / "build/report/results.md").read_text(encoding="utf-8")
    origins = written.partition("Origin of the models")[2]
    assert f"| {UNKNOWN} | {UNKNOWN} |" in origins
    assert UNKNOWN not in (made[0] / "build/report/results.md").read_text(encoding="utf-8").replace(
        f"and {UNKNOWN} to any other", ""
    )
    monkeypatch.chdir(root)
    capsys.readouterr()
    assert main(["show", "opd"]) == 0
    assert f"made     {UNKNOWN}" in capsys.readouterr().out
    assert main(["export", "opd"]) == 0
    card = (root / "build/export/opd/README.md").read_text(encoding="utf-8")
    assert "- 6 steps\n" in card


def test_times_of_another_build_are_not_shown(
    made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """DVC has put an older model in place; the times beside it are those of the newest run."""
    root = Path(shutil.copytree(made[0], tmp_path / "project"))
    path = root / "build/models/opd/provenance.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"seed": 0', '"seed": 1', 1), encoding="utf-8")
    monkeypatch.chdir(root)
    capsys.readouterr()
    assert main(["show", "opd"]) == 0
    assert f"made     {UNKNOWN}" in capsys.readouterr().out
    assert main(["show", "soup"]) == 0
    assert UNKNOWN not in capsys.readouterr().out
