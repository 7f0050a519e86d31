"""Students that are trained, on the toy project: of their teachers' texts, of ensembles, of adapters, in sequence."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from toys import DECLARED, ON_POLICY, VALUES, changed, run, stages, toy_project

from thicket.config.stages import Teacher
from thicket.models.folder import load_model
from thicket.models.teachers import Teachers, Voice
from thicket.stages.distil import voices_of
from thicket.stages.run import in_pipeline, run_stage

# A verifier that random text passes now and then, so that there is something to keep.
DOMAIN = {**VALUES["domain"]["sort"], "verifier": {"type": "number", "tolerance": 1e9}}
TEACHERS = ["sort-randopt", "odd-adapted"]
STUDENTS: dict[str, Any] = {
    "opd": {"base": "tiny", "method": "opd", "teachers": TEACHERS},
    "texts": {"base": "tiny", "method": "rft", "teachers": TEACHERS},
    "together": {
        "base": "tiny",
        "method": "ensemble",
        "teachers": [{"model": "odd-adapted", "weight": 3.0}, {"model": "tiny", "weight": 1.0}],
    },
    "mixed": {"base": "tiny", "method": "mixed", "domains": ["sort", "odd"], "budget_of": "opd"},
    "sequential": {"base": "tiny", "method": "sequential", "domains": ["sort", "odd"], "budget_of": "opd"},
}
DECLARED_HERE: dict[str, Any] = {
    **DECLARED,
    "domains": ["sort", "odd"],
    "specialists": {
        "sort-randopt": {"base": "tiny", "domain": "sort", "method": "randopt"},
        "odd-adapted": {
            "base": "tiny",
            "domain": "odd",
            "method": "grpo",
            "set": {"method.lora": {"rank": 2}, "method.optimizer.lr": 1e-2},
        },
    },
    "students": STUDENTS,
    "values": {
        **VALUES,
        "domain": dict.fromkeys(("sort", "odd"), DOMAIN),
        "method": {
            **VALUES["method"],
            "randopt": {"items": 6, "perturbations": 8, "members": 3, "sigmas": [0.5]},
            "rft": {"steps": 3, "batch": 4, "micro_batch": 4, "select_samples": 1},
            "sequential": {**ON_POLICY, "group": 4},
        },
    },
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("students") / "project", DECLARED_HERE)
    run(root, "data-sort", "data-odd", "base-tiny", *(f"specialist-{name}" for name in TEACHERS))
    run(root, *(f"student-{name}" for name in STUDENTS), "evaluate-together", "evaluate-tiny")
    return root


def ledger(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"build/metrics/{name}.json").read_text())


def curve(root: Path, name: str) -> list[dict[str, str]]:
    with (root / f"build/curves/{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_they_read_what_they_need(made: Path) -> None:
    """An ensemble and adapters are read with the weights that they go over."""
    from thicket.config.project import Project
    from thicket.plan.pipeline import pipeline

    planned = {one.resolved.id: one.resolved for one in pipeline(Project(made))}
    assert set(planned["student-texts"].models) == {"tiny", *TEACHERS}
    assert (made / "build/models/odd-adapted/adapter/adapter_model.safetensors").is_file()
    assert not (made / "build/models/sort-randopt/model.safetensors").exists()


@pytest.mark.parametrize("name", [name for name in STUDENTS if name != "together"])
def test_equal_runs_give_equal_weights(made: Path, name: str) -> None:
    before = load_file(made / f"build/models/{name}/model.safetensors")
    start = load_file(made / "build/models/tiny/model.safetensors")
    assert any(not before[key].equal(start[key]) for key in start)
    run(made, f"student-{name}")
    after = load_file(made / f"build/models/{name}/model.safetensors")
    assert all(before[key].equal(after[key]) for key in before)


def test_an_ensemble_and_adapters_teach(made: Path) -> None:
    rows = curve(made, "opd")
    assert float(rows[-1]["kl"]) > 0
    assert all(float(row["gradient_norm"]) > 0 for row in rows)
    parents = json.loads((made / "build/models/opd/provenance.json").read_text())["parents"]
    assert list(parents) == ["tiny", *TEACHERS]


def test_members_share_a_weight_and_adapters_share_weights(made: Path) -> None:
    """So that an ensemble is its members' mean log-probability, and memory holds the base of all adapters once."""
    models = made / "build/models"
    ensemble, adapted = (Teacher(name=name, domain="sort", weight=6.0) for name in TEACHERS)
    judges, voices = voices_of([ensemble, adapted], models)
    assert [judge.weight for judge in judges] == [2.0, 2.0, 2.0, 6.0]
    *members, last = [voices[judge.name] for judge in judges]
    assert len({member.direction for member in members}) == 3
    assert {member.folder for member in members} == {models / "tiny"}
    assert last == Voice(models / "tiny", adapter=models / "odd-adapted/adapter")
    assert len(Teachers(voices).models) == 2, "the members' place, and the base under adapters"


def test_texts_are_paid_for(made: Path) -> None:
    found = ledger(made, "texts")
    assert found["tokens_generated"] > 0
    assert found["flops"] > 6 * found["tokens_trained"]
    times = json.loads((made / "build/times/texts.json").read_text())
    assert set(times["phase_seconds"]) == {"sampling", "training"}


def test_a_sequence_spends_what_the_mixture_spends(made: Path) -> None:
    """Both stop with the step in which the budget ends."""
    budget = sum(json.loads((made / "build/models/opd/provenance.json").read_text())["cost"].values())
    for name in ("mixed", "sequential"):
        assert ledger(made, name)["flops"] >= budget
        assert float(curve(made, name)[-2]["flops"]) < budget
    first, second = (load_file(made / f"build/models/{name}/model.safetensors") for name in ("mixed", "sequential"))
    assert any(not first[key].equal(second[key]) for key in first)
    assert stages(made)["student-sequential"].method.order == "sequence"


def test_an_ensemble_is_its_teachers_together(made: Path) -> None:
    metrics = {
        name: json.loads((made / f"build/evaluation/{name}/metrics.json").read_text()) for name in ("together", "tiny")
    }
    assert [metrics[name]["answering"]["pooled"] for name in metrics] == [2, 0]
    cost = {name: found["domains"]["sort"]["flops"] for name, found in metrics.items()}
    taken = {
        name: found["domains"]["sort"]["prompt"] + found["domains"]["sort"]["tokens"] for name, found in metrics.items()
    }
    assert cost["together"] / taken["together"] == pytest.approx(2 * cost["tiny"] / taken["tiny"], rel=1e-3)
    with pytest.raises(ValueError, match="odd-adapted, tiny, without weights of its own"):
        load_model(made / "build/models/together")


def test_an_ensemble_of_other_weights_is_refused(made: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(made, tmp_path / "project"))
    shutil.copy(root / "build/models/opd/model.safetensors", root / "build/models/odd-adapted/model.safetensors")
    with pytest.raises(ValueError, match="it was made for other weights than those that odd-adapted has now"):
        run(root, "evaluate-together")


def test_other_shares_are_another_ensemble(made: Path, tmp_path: Path) -> None:
    """Their scores are not taken from those of the first, which are known by the weights of its teachers."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    before = (root / "build/evaluation/together/items.csv").read_text()
    path = root / "build/models/together/answering.json"
    answering = json.loads(path.read_text())
    for voice, share in zip(answering["pooled"], (0.0001, 0.9999), strict=True):
        voice["share"] = share
    path.write_text(json.dumps(answering))
    run(root, "evaluate-together")
    assert (root / "build/evaluation/together/items.csv").read_text() != before


def test_a_budget_that_the_teachers_use_up_is_an_error(made: Path) -> None:
    """Each of them alone stays below it."""
    stage = stages(made)["student-texts"]
    cost = ledger(made, "texts")["flops"] - 6 * ledger(made, "texts")["tokens_trained"] * 2_000
    short = changed(stage, "method.flops", 0.7 * cost)
    with pytest.raises(ValueError, match=r"method\.flops"):
        run_stage(made, short, in_pipeline(made, short))
