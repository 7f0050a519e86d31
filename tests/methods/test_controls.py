"""The controls: which candidates there are, how one is chosen, what it costs, and that a broken run goes on."""

import csv
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from toys import changed, run, stages, toy_project

from thicket.config.search import BestPrompt, SelfConsistency
from thicket.config.stages import SpecialistStage
from thicket.domains.item import read_items
from thicket.evaluation.evaluator import Evaluator
from thicket.evaluation.scores import ItemScore
from thicket.methods import best_prompt, self_consistency
from thicket.models.answering import read_answering
from thicket.models.folder import active_parameter_count, weights_hash
from thicket.stages import selection
from thicket.stages.run import in_pipeline, run_stage

CONSISTENT = SelfConsistency(type="self_consistency", votes=3, temperatures=[0.3, 0.5, 0.7, 1.0], items=3)
PROMPTED = BestPrompt(
    type="best_prompt", temperatures=[0.0, 1.0], templates=["{prompt}", "{prompt} "], samples=2, items=4
)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny")
    return root


def stage_of(project: Path, method: SelfConsistency | BestPrompt, name: str = "control") -> SpecialistStage:
    return changed(changed(stages(project)["specialist-sort-grpo"], "method", method), "name", name)


def make(project: Path, stage: SpecialistStage) -> Path:
    run_stage(project, stage, in_pipeline(project, stage))
    return project / "build/models" / stage.name


class Scripted:
    """In place of a model: candidates are right on so many of the items, and each response has two tokens."""

    def __init__(self, correct: Sequence[int]):
        self.correct = list(correct)
        self.asked: list[Evaluator] = []

    def __call__(self, module: Evaluator, *_: object) -> dict[str, list[ItemScore]]:
        right = self.correct[len(self.asked)]
        self.asked.append(module)
        (environment,) = module.environments
        rows = [
            ItemScore(
                item.id, 1, module.samples, module.samples * (place < right), None, 2.0, 0.0, module.way.votes, 10
            )
            for place, item in enumerate(environment.items)
        ]
        return {environment.domain.name: rows}


def test_candidates_come_in_the_order_of_the_config() -> None:
    votes = [(found.votes, found.temperature) for found in self_consistency.candidates(CONSISTENT)]
    assert votes == [(3, 0.3), (3, 0.5), (3, 0.7), (3, 1.0)]
    prompts = [(found.template, found.temperature) for found in best_prompt.candidates(PROMPTED)]
    assert prompts == [("{prompt}", 0.0), ("{prompt}", 1.0), ("{prompt} ", 0.0), ("{prompt} ", 1.0)]
    assert (self_consistency.answers(CONSISTENT), best_prompt.answers(PROMPTED)) == (1, 2)


def test_the_best_on_the_selection_items_answers_from_then_on(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = Scripted([1, 2, 2, 0])  # a tie goes to the earlier one
    monkeypatch.setattr(selection, "score", scripted)
    folder = make(project, stage_of(project, CONSISTENT))
    assert {path.name for path in folder.iterdir()} == {"answering.json", "provenance.json"}
    chosen = read_answering(folder)
    assert chosen is not None
    assert (chosen.votes, chosen.temperature, chosen.top_k, chosen.top_p) == (3, 0.5, 0, 1.0)
    assert (chosen.weights_of, chosen.weights) == ("tiny", weights_hash(project / "build/models/tiny"))
    there = read_items(project / "build/data/sort/selection.jsonl")
    assert len(there) > CONSISTENT.items
    for module in scripted.asked:
        assert module.environments[0].items == there[: CONSISTENT.items]
        assert not module.greedy
    # 3 items, each with 10 prompt tokens and 3 responses of 2 tokens, for each of 4 candidates.
    ledger = json.loads((project / "build/metrics/control.json").read_text())
    assert ledger["tokens_generated"] == 4 * 3 * 3 * 2
    assert ledger["flops"] == 2 * active_parameter_count(project / "build/models/tiny") * 4 * 3 * (10 + 3 * 2)
    assert (ledger["steps"], ledger["selection_pass@1"]) == (4, pytest.approx(2 / 3))
    with (project / "build/curves/control.csv").open(encoding="utf-8") as file:
        rows = [(row["step"], row["temperature"], row["selection"]) for row in csv.DictReader(file)]
    assert rows == [("1", "0.3", "0.333333"), ("2", "0.5", "0.666667"), ("3", "0.7", "0.666667"), ("4", "1", "0")]
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["weights"] == weights_hash(folder) != provenance["parents"]["tiny"]


def test_prompts_are_tried_in_the_words_of_the_candidate(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted = Scripted([0, 1, 2, 3])
    monkeypatch.setattr(selection, "score", scripted)
    chosen = read_answering(make(project, stage_of(project, PROMPTED)))
    assert chosen is not None
    assert (chosen.template, chosen.temperature, chosen.votes) == ("{prompt} ", 1.0, 1)
    plain, _, spaced, _ = (module.environments[0].prompts for module in scripted.asked)
    assert [len(prompt) for prompt in spaced] == [len(prompt) + 1 for prompt in plain]
    assert {module.samples for module in scripted.asked} == {1, 2}, "one answer, where all would be the same"


@pytest.mark.parametrize("method", [CONSISTENT, PROMPTED], ids=["self-consistency", "best-prompt"])
def test_a_control_says_itself_what_is_cut(
    project: Path, monkeypatch: pytest.MonkeyPatch, method: SelfConsistency | BestPrompt
) -> None:
    scripted = Scripted([0, 1, 2, 3])
    monkeypatch.setattr(selection, "score", scripted)
    chosen = read_answering(make(project, stage_of(project, method.model_copy(update={"top_k": 5, "top_p": 0.7}))))
    assert chosen is not None
    assert (chosen.top_k, chosen.top_p) == (5, 0.7)
    assert {(module.way.decoding.top_k, module.way.decoding.top_p) for module in scripted.asked} == {(5, 0.7)}


@pytest.mark.parametrize(("candidates", "tried"), [(0.5, 1), (1.0, 1), (1.1, 2), (9.0, 4)])
def test_a_budget_ends_the_search(
    project: Path, monkeypatch: pytest.MonkeyPatch, candidates: float, tried: int
) -> None:
    scripted = Scripted([0, 1, 2, 3])
    monkeypatch.setattr(selection, "score", scripted)
    one = 2 * active_parameter_count(project / "build/models/tiny") * 3 * (10 + 3 * 2)
    method = CONSISTENT.model_copy(update={"flops": candidates * one})
    chosen = read_answering(make(project, stage_of(project, method)))
    assert chosen is not None
    assert (len(scripted.asked), chosen.temperature) == (tried, CONSISTENT.temperatures[tried - 1])


class Killed(Exception):
    """Stands for SIGKILL."""


def test_a_broken_run_goes_on_where_it_was(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the toy model itself: the same files as an unbroken run, and no candidate is scored twice."""
    stage, score = stage_of(project, PROMPTED), selection.score
    written = ("build/models/control", "build/curves/control.csv")
    whole = contents(make(project, stage), project / written[1])
    asked: list[float] = []

    def break_off(module: Evaluator, *rest: object) -> dict[str, list[ItemScore]]:
        if len(asked) == 2:
            raise Killed
        asked.append(module.way.decoding.temperature)
        return score(module, *rest)  # type: ignore[arg-type]

    shutil.rmtree(project / written[0])
    monkeypatch.setattr(selection, "score", break_off)
    with pytest.raises(Killed):
        make(project, stage)
    assert not (project / written[0]).exists()
    goes_on: list[str | None] = []
    monkeypatch.setattr(
        selection, "score", lambda module, *rest: goes_on.append(module.way.template) or score(module, *rest)
    )
    assert contents(make(project, stage), project / written[1]) == whole
    assert (asked, goes_on) == ([0.0, 1.0], ["{prompt} ", "{prompt} "])
    assert not list((project / "build/resume").glob("specialist-control-*"))


def contents(folder: Path, curve: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (*folder.iterdir(), curve)}


def test_a_prompt_beyond_the_window_is_told(project: Path) -> None:
    method = PROMPTED.model_copy(update={"templates": ["Think step by step. {prompt}"]})
    with pytest.raises(ValueError, match=r"sort: a prompt has \d+ tokens, and domain\.window\.prompt allows 16"):
        make(project, stage_of(project, method))


def test_an_ensemble_has_no_weights_to_ask(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "score", Scripted([1, 0, 0, 0]))
    make(project, stage_of(project, CONSISTENT, "voters"))
    with pytest.raises(ValueError, match="voters: a way to answer of tiny, without weights of its own"):
        make(project, changed(stage_of(project, PROMPTED), "base", "voters"))
