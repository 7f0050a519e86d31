"""Students that are merged from their teachers' weights, on the toy project."""

import csv
import json
import shutil
import warnings
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from toys import DECLARED, VALUES, changed, declare, run, stages, toy_project

from thicket.commands.recipe import mergekit_file
from thicket.config.merging import Merging
from thicket.config.places import CURVES
from thicket.config.schema import tags
from thicket.stages import selection
from thicket.stages.run import in_pipeline, run_stage

TEACHERS = ["sort-grpo", "odd-grpo"]
OPTIONS = ("soup", "greedy-soup", "task-arithmetic", "ties", "dare")
# A verifier that random text passes now and then, so that there is something to choose by.
DOMAIN = {**VALUES["domain"]["sort"], "verifier": {"type": "number", "tolerance": 1e9}, "splits.selection": 12}
DECLARED_HERE: dict[str, Any] = {
    **DECLARED,
    "domains": ["sort", "odd"],
    "specialists": {f"{name}-grpo": {"base": "tiny", "domain": name, "method": "grpo"} for name in ("sort", "odd")},
    "students": {option: {"base": "tiny", "method": option, "teachers": TEACHERS} for option in OPTIONS},
    "values": {**VALUES, "domain": dict.fromkeys(("sort", "odd"), DOMAIN)},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("merge") / "project", DECLARED_HERE)
    run(root, "data-sort", "data-odd", "base-tiny", *(f"specialist-{name}" for name in TEACHERS))
    run(root, *(f"student-{option}" for option in OPTIONS))
    return root


def rows(root: Path, name: str) -> list[dict[str, str]]:
    with (root / f"build/curves/{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def ledger(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"build/metrics/{name}.json").read_text())


def provenance(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"build/models/{name}/provenance.json").read_text())


def test_every_type_is_here(made: Path) -> None:
    assert {stages(made)[f"student-{option}"].method.type for option in OPTIONS} == set(tags(Merging))


@pytest.mark.parametrize("option", OPTIONS)
def test_equal_runs_give_equal_bytes(made: Path, option: str) -> None:
    folder = made / "build/models" / option
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(made, f"student-{option}")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert list(provenance(made, option)["parents"]) == ["tiny", *TEACHERS]


def test_the_merges_are_different_models(made: Path) -> None:
    assert len({provenance(made, name)["weights"] for name in ("tiny", *TEACHERS, *OPTIONS)}) >= 7


def test_what_has_no_choice_costs_nothing(made: Path) -> None:
    assert not (made / "build/curves/soup.csv").exists()
    assert ledger(made, "soup")["flops"] == 0
    assert ledger(made, "soup")["selection_pass@1"] is None
    assert provenance(made, "soup")["data"] == {}


@pytest.mark.parametrize("option", ["task-arithmetic", "ties", "dare"])
def test_the_scale_is_the_best_on_the_selection_items(made: Path, option: str) -> None:
    tried = rows(made, option)
    scores = [float(row["selection"]) for row in tried]
    assert [float(row["scale"]) for row in tried] == stages(made)[f"student-{option}"].method.scales
    assert [float(row["taken"]) for row in tried] == [place == scores.index(max(scores)) for place in range(len(tried))]
    assert ledger(made, option)["selection_pass@1"] == pytest.approx(max(scores), abs=1e-5)
    assert ledger(made, option)["flops"] == pytest.approx(float(tried[-1]["flops"]), rel=1e-5)
    assert list(provenance(made, option)["data"]) == ["sort", "odd"]


def test_the_greedy_soups_curve_says_what_was_taken(made: Path) -> None:
    first, second, both = rows(made, "greedy-soup")
    assert [first["teacher"], second["teacher"]] == ["1", "2"]
    assert [row["ingredients"] for row in (first, second, both)] == ["1", "1", "2"]
    alone = {"1": float(first["selection"]), "2": float(second["selection"])}
    worse = min(alone, key=lambda place: (alone[place], ["2", "1"].index(place)))
    assert max(alone.values()) > 0
    together = float(both["selection"]) >= max(alone.values())
    assert float(both["taken"]) == together
    assert ledger(made, "greedy-soup")["selection_pass@1"] >= max(alone.values()) - 1e-5
    own = load_file(made / "build/models/greedy-soup/model.safetensors")
    better = load_file(made / "build/models" / TEACHERS[2 - int(worse)] / "model.safetensors")
    mean = load_file(made / "build/models/soup/model.safetensors")
    assert all(own[name].equal((mean if together else better)[name]) for name in own)


def test_a_single_scale_needs_no_domain(made: Path, tmp_path: Path) -> None:
    """λ = 1/n makes the mean of n."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    node = {**DECLARED_HERE["students"]["task-arithmetic"], "set": {"method.scales": [0.5]}}
    declare(root, {**DECLARED_HERE, "students": {"half": node}})
    shutil.rmtree(root / "build/data")
    run(root, "student-half")
    mean = load_file(root / "build/models/soup/model.safetensors")
    half = load_file(root / "build/models/half/model.safetensors")
    assert all(half[name].allclose(mean[name], rtol=1e-6, atol=1e-7) for name in mean)


def test_teachers_of_one_domain(made: Path, tmp_path: Path) -> None:
    """A soup over seeds, as its paper has it."""
    root = Path(shutil.copytree(made, tmp_path / "project"))
    second = {"base": "tiny", "domain": "sort", "method": "grpo", "seed": 1}
    students = {
        option: {"base": "tiny", "method": option, "teachers": ["sort-grpo", "sort-second"]}
        for option in ("soup", "greedy-soup")
    }
    specialists = {**DECLARED_HERE["specialists"], "sort-second": second}
    declare(root, {**DECLARED_HERE, "specialists": specialists, "students": students})
    assert [domain.name for domain in stages(root)["student-greedy-soup"].domains] == ["sort"]
    run(root, "specialist-sort-second", "student-soup", "student-greedy-soup")
    assert list(provenance(root, "greedy-soup")["data"]) == ["sort"]
    models = [
        load_file(root / f"build/models/{name}/model.safetensors") for name in ("sort-grpo", "sort-second", "soup")
    ]
    for name, one in models[0].items():
        mean = (one.double() + models[1][name].double()) / 2
        assert models[2][name].equal(mean.float())


def test_a_choice_that_is_broken_off_goes_on(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stages(made)["student-greedy-soup"]
    before, scored, real = rows(made, "greedy-soup"), [], selection.score

    def counted(*given: Any) -> Any:
        scored.append(given)
        if len(scored) == 3:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(selection, "score", counted)
    with pytest.raises(KeyboardInterrupt):
        run_stage(made, stage, in_pipeline(made, stage))
    run_stage(made, stage, in_pipeline(made, stage))
    assert len(scored) == 4, "two candidates were known"
    assert rows(made, "greedy-soup") == before


def test_teachers_with_a_weight_of_0_stay_out(made: Path) -> None:
    stage = stages(made)["student-greedy-soup"]
    silent = [teacher.model_copy(update={"weight": float(place)}) for place, teacher in enumerate(stage.teachers)]
    run_stage(made, changed(stage, "teachers", silent), in_pipeline(made, stage))
    own = load_file(made / "build/models/greedy-soup/model.safetensors")
    left = load_file(made / "build/models/odd-grpo/model.safetensors")
    assert all(own[name].equal(left[name]) for name in left)


@pytest.mark.parametrize("option", OPTIONS)
def test_mergekit_makes_the_same_of_the_exported_file(made: Path, option: str, tmp_path: Path) -> None:
    declared = yaml.safe_load(mergekit_file(stages(made)[f"student-{option}"], made / CURVES / f"{option}.csv"))
    with chdir(made), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mergekit's own, against newer numpy and transformers
        from mergekit.config import MergeConfiguration
        from mergekit.merge import run_merge
        from mergekit.options import MergeOptions

        run_merge(MergeConfiguration.model_validate(declared), str(tmp_path), MergeOptions(quiet=True))
    found, own = load_file(tmp_path / "model.safetensors"), load_file(made / f"build/models/{option}/model.safetensors")
    assert found.keys() == own.keys()
    same = [torch.allclose(found[name], own[name], rtol=0, atol=1e-7) for name in own]
    # What DARE drops is drawn otherwise, as the file says.
    assert all(same) == (option != "dare")


def test_an_exported_greedy_soup_names_those_that_were_taken(made: Path, tmp_path: Path) -> None:
    stage = stages(made)["student-greedy-soup"]
    curves = tmp_path / "greedy-soup.csv"
    with pytest.raises(ValueError, match="making greedy-soup writes it"):
        mergekit_file(stage, curves)
    rows = ["step,flops,scale,selection,teacher,ingredients,taken", "1,1,1.0,0.5,1,1,0.0", "2,1,1.0,0.6,2,1,1.0"]
    curves.write_text("\n".join(rows) + "\n", encoding="utf-8")
    declared = yaml.safe_load(mergekit_file(stage, curves))
    assert [one["model"] for one in declared["models"]] == ["./build/models/odd-grpo"]
