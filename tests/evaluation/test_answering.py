"""Models with their own way to answer: votes by hand, an ensemble that is the base, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from toys import changed, run, stages, toy_project

from thicket.config.answering import Answering, Perturbation
from thicket.config.domain import ScoredDomain, Window
from thicket.config.run import Evaluation
from thicket.config.verifier import InstructionsVerifier, NumberVerifier, Verifier
from thicket.domains.item import Item
from thicket.domains.registry import judge_of
from thicket.domains.verdict import Verdict
from thicket.evaluation.evaluator import Evaluator, score
from thicket.evaluation.scores import ItemScore, vote_scores
from thicket.evaluation.way import way_of, weights_folder
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import check_same_vocabulary, load_model, load_tokenizer, weights_hash
from thicket.sampling.environment import Environment, load_environment
from thicket.sampling.rollouts import Response
from thicket.sampling.sampler import TorchSampler
from thicket.stages.run import in_pipeline, run_stage

NUMBER = NumberVerifier(type="number")
SETTINGS = Evaluation(samples=2, ks=[1, 2])


def environment(verifier: Verifier, items: list[Item]) -> Environment:
    domain = ScoredDomain(name="d", verifier=verifier, window=Window(prompt=8, response=8))
    return Environment(domain, items, [[1] * 4] * len(items), [2], judge_of(verifier))


def said(*texts: str) -> list[Response]:
    """Responses of 1, 2, 3 … tokens, of which the first is cut off."""
    return [Response([5] * (place + 1), [0.0] * (place + 1), place > 0, text) for place, text in enumerate(texts)]


def correct(verifier: Verifier, answer: str, *texts: str) -> int:
    asked = environment(verifier, [Item("a", "", answer, 1)])
    return vote_scores(asked, range(1), [said(*texts)], readings=1)[0].correct


@pytest.mark.parametrize(
    ("texts", "right"),
    [
        (("12", "it is 12.0", "7", "7", "so 12"), 1),
        (("7", "12", "7.0", "12"), 0),
        (("12", "7", "7.0", "1,2 and 12"), 1),
        (("none", "", "12"), 1),
        (("none", "", "?"), 0),
    ],
    ids=["a majority in other words", "a tie for the first", "a tie, the first right", "empties drop", "nobody says"],
)
def test_numbers_vote_by_their_value(texts: tuple[str, ...], right: int) -> None:
    assert correct(NUMBER, "12", *texts) == right


def test_without_an_extract_texts_vote_and_the_first_of_the_winners_is_judged() -> None:
    verifier = InstructionsVerifier(type="instructions")
    asked = environment(verifier, [Item("a", "", "", 1)])
    judged: list[str] = []

    def judge(answered) -> list[Verdict]:
        judged.extend(text for text, _ in answered)
        return [Verdict(True) for _ in answered]

    (row,) = vote_scores(replace(asked, judge=judge), range(1), [said("a", " b", "b ", "a", "b")], readings=1)
    assert (judged, row.correct) == ([" b"], 1)


def test_a_vote_is_one_answer_with_the_price_of_all_its_responses() -> None:
    items = [Item(name, "", answer, 3) for name, answer in (("a", "1"), ("b", "2"), ("c", "3"))]
    rows = vote_scores(environment(NUMBER, items), range(1, 3), [said("2", "2", "9"), said("?")], readings=3)
    assert rows == [
        ItemScore("b", 3, samples=1, correct=1, greedy=None, length=2.0, truncated=1 / 3, calls=3, prompt=12),
        ItemScore("c", 3, samples=1, correct=0, greedy=None, length=1.0, truncated=1.0, calls=1, prompt=12),
    ]


# -- with a model ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny")
    return root


Evaluate = Callable[[str, Answering], Path]


@pytest.fixture
def evaluate(project: Path) -> Evaluate:
    """Evaluates a model that answers so with the weights of `tiny`; returns the evaluation's folder."""

    def call(name: str, answering: Answering) -> Path:
        folder = project / "build/models" / name
        folder.mkdir(exist_ok=True)
        own = {"weights_of": "tiny", "weights": weights_hash(project / "build/models/tiny")}
        write_answering(folder, answering.model_copy(update=own))
        stage = changed(stages(project)["evaluate-tiny"], "name", name)
        run_stage(project, stage, in_pipeline(project, stage))
        return project / "build/evaluation" / name

    return call


def ensemble(*sigmas: float) -> Answering:
    return Answering(members=[Perturbation(seed=seed, sigma=sigma, score=0.5) for seed, sigma in enumerate(sigmas)])


def evaluator(project: Path, answering: Answering, greedy: bool = False) -> Evaluator:
    """One whose items have, in turn, the base's greedy response and another text as the answer."""
    stage, folder = stages(project)["evaluate-tiny"], project / "build/models/tiny"
    tokenizer = load_tokenizer(folder)
    asked = load_environment(stage.domains[0], project / "build/data/sort", "test", tokenizer)
    module = Evaluator(
        load_model(folder), tokenizer, [asked], way_of(answering, SETTINGS), 1, greedy, 0, TorchSampler(64)
    )
    plain = way_of(Answering(temperature=0.0), SETTINGS)
    found = Evaluator(module.model, tokenizer, [asked], plain, 1, False, 0, TorchSampler(64))._responses(
        asked, range(len(asked.items)), plain.decoding, 1
    )
    items = [
        replace(item, answer=response.text if place % 2 else "?")
        for place, (item, (response,)) in enumerate(zip(asked.items, found, strict=True))
    ]
    module.environments = [replace(asked, items=items)]
    return module


def test_an_ensemble_without_noise_is_the_greedy_base_votes_and_all(project: Path) -> None:
    trainer = stages(project)["evaluate-tiny"].trainer
    base = score(evaluator(project, Answering(), greedy=True), trainer, "base")["sort"]
    votes = score(evaluator(project, ensemble(0.0, 0.0, 0.0)), trainer, "ensemble")["sort"]
    assert [row.correct for row in votes] == [row.greedy for row in base] == [0, 1, 0, 1, 0, 1]
    assert [(row.item, row.samples, row.calls, row.prompt) for row in votes] == [
        (row.item, 1, 3, 3 * row.prompt) for row in base
    ]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_members_answer_with_their_own_weights_and_leave_the_base_as_it_is(project: Path, precision: str) -> None:
    """In company as alone: nothing of one member's weights is left when the next one answers."""
    trainer = changed(stages(project)["evaluate-tiny"], "trainer.precision", precision).trainer
    trio = ensemble(0.0, 0.5, 0.0)

    def texts(answering: Answering) -> list[list[tuple[int, ...]]]:
        module, spoken = evaluator(project, answering), []
        module._voters = lambda *asked: spoken.extend(found := Evaluator._voters(module, *asked)) or found  # type: ignore
        score(module, trainer, "ensemble")
        base = load_model(project / "build/models/tiny").state_dict()
        assert all((module.model.state_dict()[name] == kept).all() for name, kept in base.items())
        return [[tuple(response.tokens) for response in group] for group in spoken]

    together = texts(trio)
    assert all(first == last for first, _, last in together)
    assert any(first != other for first, other, _ in together)
    alone = texts(Answering(members=trio.members[1:2]))
    assert [other for _, other, _ in together] == [other for (other,) in alone]


def test_one_vote_at_the_evaluations_temperature_is_plain_sampling(project: Path, evaluate: Evaluate) -> None:
    run(project, "evaluate-tiny")
    plain = project / "build/evaluation/tiny"
    found = evaluate("once", Answering(votes=1, temperature=1.0))
    assert (found / "items.csv").read_bytes() == (plain / "items.csv").read_bytes()
    assert (found / "metrics.json").read_bytes() == (plain / "metrics.json").read_bytes()
    other = evaluate("often", Answering(votes=3, temperature=1.0))
    assert (other / "items.csv").read_bytes() != (plain / "items.csv").read_bytes()


def test_ways_to_answer_do_not_share_scores_in_the_cache(project: Path, evaluate: Evaluate) -> None:
    ways = [
        Answering(temperature=0.5),
        Answering(temperature=0.5, top_k=3),
        Answering(temperature=0.5, top_p=0.5),
        Answering(temperature=0.5, votes=2),
        Answering(temperature=0.5, template="{prompt} "),
        ensemble(0.1, 0.1),
        ensemble(0.1, 0.2),
    ]
    before = set((project / "build/resume/scores").glob("*.json"))
    for way in ways:
        evaluate("other", way)
    assert len(set((project / "build/resume/scores").glob("*.json")) - before) == 2 * len(ways)
    hashes = set()
    for way in ways:
        evaluate("other", way)
        hashes.add(weights_hash(project / "build/models/other"))
    assert len(set((project / "build/resume/scores").glob("*.json")) - before) == 2 * len(ways)
    assert len(hashes) == len(ways)


# -- files -------------------------------------------------------------------------------------------------------------


def test_a_way_to_answer_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_answering(tmp_path) is None
    answering = ensemble(0.001, 0.002).model_copy(update={"weights_of": "tiny", "template": "„{prompt}“\n"})
    write_answering(tmp_path, answering)
    once = (tmp_path / "answering.json").read_bytes()
    assert read_answering(tmp_path) == answering
    write_answering(tmp_path, answering)
    assert (tmp_path / "answering.json").read_bytes() == once
    (tmp_path / "answering.json").write_text('{"votes": "many"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"answering\.json: not a way to answer"):
        read_answering(tmp_path)


def test_an_ensemble_is_no_model(project: Path, evaluate: Evaluate) -> None:
    evaluate("voters", ensemble(0.0, 0.1))
    folder = project / "build/models/voters"
    told = "voters: a vote of 2 perturbations of tiny, without weights of its own"
    for use in (load_model, load_tokenizer, lambda used: check_same_vocabulary(project / "build/models/tiny", used)):
        with pytest.raises(ValueError, match=told):
            use(folder)


def test_weights_that_are_gone_or_others_are_told(project: Path, tmp_path: Path) -> None:
    folder = project / "build/models/tiny"
    own = Answering(temperature=0.9)
    assert weights_folder(folder, own, folder.parent) == folder
    with pytest.raises(ValueError, match=r"weights of nobody, and .*nobody is not there"):
        weights_folder(folder, Answering(weights_of="nobody"), folder.parent)
    with pytest.raises(ValueError, match="made for other weights than those that tiny has now"):
        weights_folder(folder, Answering(weights_of="tiny", weights="0" * 64), folder.parent)
