"""Every way to a specialist, on a mixture of experts: it is made, it is scored, and it moves what it should move."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from toys import DECLARED, DOMAIN, ON_POLICY, VALUES, run, toy_project

from thicket.config.method import SpecialistMethod
from thicket.config.schema import tags
from thicket.domains.verdict import Verdict
from thicket.sampling import environment

ARCHITECTURE = {"layers": 1, "width": 16, "heads": 2, "mlp_width": 12, "experts": 4, "active": 2}
TRAINED: dict[str, Any] = {"steps": 3, "batch": 4, "micro_batch": 4, "select_samples": 1}
ONLY: dict[str, Any] = {"items": 6}
OPTIONS: dict[str, dict[str, Any]] = {
    **{key: {**ON_POLICY, "group": 4, "steps": 2} for key in ("grpo", "simplerl", "dapo", "dr-grpo", "gspo", "ppo")},
    **dict.fromkeys(("sft", "rft", "ssd"), TRAINED),
    "distil-ensemble": {**TRAINED, "samples": 2},
    # Of many neighbours far away, the best say something with a number in it.
    "randopt": {**ONLY, "perturbations": 24, "members": 2, "sigmas": [0.5]},
    "es": {**ONLY, "steps": 2, "population": 4, "sigma": 0.1},
    "best-member": {},
    "self-consistency": {**ONLY, "votes": 3, "temperatures": [0.5, 1.0]},
    "best-prompt": {**ONLY, "samples": 2, "temperatures": [0.0, 1.0]},
}
ALONE = [name for name in OPTIONS if name not in ("best-member", "distil-ensemble", "rft")]
METHODS = [*ALONE, ["randopt", "best-member"], ["randopt", "distil-ensemble"], ["sft", "rft"]]
DECLARED_HERE: dict[str, Any] = {
    "experiment": "every method",
    "domains": ["sort"],
    "bases": {"moe": {"base": "tiny-moe"}},
    "products": [{"base": "moe", "domains": ["sort"], "methods": METHODS}],
    "values": {
        **VALUES,
        "base": {"tiny-moe": {**DECLARED["values"]["base"]["tiny"], "architecture": ARCHITECTURE}},
        # A verifier that random text passes now and then: what would be learnt, or kept, otherwise?
        "domain": {"sort": {**DOMAIN, "verifier": {"type": "number", "tolerance": 1e9}, "length_penalty": 0.0}},
        "method": OPTIONS,
    },
}
NAMES = ["sort-" + (entry if isinstance(entry, str) else "-".join(entry)) for entry in METHODS]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("every") / "project", DECLARED_HERE)
    run(root, "data-sort", "base-moe", "specialist-sort-randopt", "specialist-sort-sft", "evaluate-moe")
    return root


def test_every_type_is_here() -> None:
    from thicket.config.library import Library

    library = Library(Path(__file__).parents[2] / "conf")
    assert {library.option("method", name).value["type"] for name in OPTIONS} == set(tags(SpecialistMethod))


@pytest.mark.parametrize("name", NAMES)
def test_a_specialist_is_made_and_scored(made: Path, name: str) -> None:
    run(made, f"specialist-{name}", f"evaluate-{name}")
    folder, ledger = made / "build/models" / name, json.loads((made / f"build/metrics/{name}.json").read_text())
    scores = json.loads((made / f"build/evaluation/{name}/metrics.json").read_text())["domains"]["sort"]
    assert 0 <= scores["pass@1"] <= 1
    assert ledger["flops"] > 0 or name.endswith("best-member")
    weights = folder / "model.safetensors"
    start = load_file(made / "build/models/moe/model.safetensors")
    if weights.is_file():
        after = load_file(weights)
        moved = {key for key in start if not after[key].equal(start[key])}
        assert any("mlp.gate." in key for key in moved), "the router is trained, or perturbed, too"
        assert any(".experts." in key for key in moved)
    else:
        answering = json.loads((folder / "answering.json").read_text())
        assert answering["weights_of"] == "moe"
        assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000, "kilobytes"


@pytest.mark.parametrize(("name", "judged"), [("grpo", 2 * 4 * 4), ("randopt", 24 * 6), ("sft-rft", 24 * 4)])
def test_what_judging_takes_is_spent(made: Path, monkeypatch: pytest.MonkeyPatch, name: str, judged: int) -> None:
    def spent(flops: float) -> float:
        verdicts = lambda answered: [Verdict(True, flops=flops)] * len(answered)  # noqa: E731
        monkeypatch.setattr(environment, "judge_of", lambda verifier: verdicts)
        run(made, f"specialist-sort-{name}")
        return json.loads((made / f"build/metrics/sort-{name}.json").read_text())["flops"]

    assert spent(1e6) - spent(0.0) == judged * 1e6


@pytest.mark.parametrize("name", ["grpo", "dapo", "ppo", "randopt", "es"])
def test_training_rewards_grades_and_scores_count_what_is_correct(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Nothing is correct, and every response earns a quarter: which is said, since nothing can be learnt from it."""
    verdicts = lambda answered: [Verdict(False, grade=0.25)] * len(answered)  # noqa: E731
    monkeypatch.setattr(environment, "judge_of", lambda verifier: verdicts)
    run(made, f"specialist-sort-{name}")
    curve = list(csv.DictReader((made / f"build/curves/sort-{name}.csv").read_text().splitlines()))
    assert {float(row["reward"]) for row in curve if row.get("reward")} == {0.25}
    ledger = json.loads((made / f"build/metrics/sort-{name}.json").read_text())
    assert (ledger["selection_pass@1"], ledger["useful"]) == (0.0, 0.0)
    wrong = (
        f"steps the rewards of a group never differed, so nothing was learnt from them (reward {0.25:g} throughout)."
    )
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith("Note: ")] == [
        f"Note: specialist-sort-{name}: in {ledger['steps']} {wrong}"
    ]


@pytest.mark.parametrize("name", ["grpo", "es", "sft", "sft-rft"])
def test_how_much_of_what_it_trains_on_is_out_of_reach(made: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """And of what it is scored on; what asks just some of the items counts those."""
    some = lambda domain, split, items, tokenizer: frozenset(item.id for item in items[1:4])  # noqa: E731
    monkeypatch.setattr(environment, "check_known", some)
    run(made, f"specialist-sort-{name}", f"evaluate-sort-{name}")
    ledger = json.loads((made / f"build/metrics/sort-{name}.json").read_text())
    asked = ONLY["items"] if name == "es" else DOMAIN["splits.train"]
    assert ledger["never_right"] == {"sort": {"items": 3, "of": asked}}
    scores = json.loads((made / f"build/evaluation/sort-{name}/metrics.json").read_text())
    assert scores["never_right"] == {"sort": {"items": 3, "of": DOMAIN["splits.test"]}}
    monkeypatch.undo()
    run(made, f"specialist-sort-{name}", f"evaluate-sort-{name}")
    assert "never_right" not in (made / f"build/metrics/sort-{name}.json").read_text()
    assert "never_right" not in (made / f"build/evaluation/sort-{name}/metrics.json").read_text()


@pytest.mark.parametrize("name", ["ppo", "es"])
def test_where_rewards_differ_nothing_is_said(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Groups of one critic, or one population, differ as wholes: here by the item that is asked."""
    grades = lambda answered: [Verdict(False, grade=int(item.id, 16) % 2 / 2) for _, item in answered]  # noqa: E731
    if name == "es":
        earned = iter(range(10**6))
        grades = lambda answered: [Verdict(False, grade=next(earned) % 7 / 7) for _ in answered]  # noqa: E731
    monkeypatch.setattr(environment, "judge_of", lambda verifier: grades)
    run(made, f"specialist-sort-{name}")
    assert json.loads((made / f"build/metrics/sort-{name}.json").read_text())["useful"] == 1.0
    assert "Note: " not in capsys.readouterr().out


def test_dapo_learns_from_groups_whose_grades_differ(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is correct, and responses of a group earn a quarter and a half by turns."""
    grades = lambda answered: [Verdict(False, grade=0.25 + 0.25 * (n % 2)) for n in range(len(answered))]  # noqa: E731
    monkeypatch.setattr(environment, "judge_of", lambda verifier: grades)
    run(made, "specialist-sort-dapo")
    curve = list(csv.DictReader((made / "build/curves/sort-dapo.csv").read_text().splitlines()))
    assert {float(row["useful"]) for row in curve} == {1.0}
