"""Search in weight space on toy sizes: what is chosen, that σ = 0 is the base, that a broken run is an unbroken one."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from breaking import End, break_step, counts, either_way, kill
from commands import Command
from safetensors.torch import load_file
from small_models import SIZES
from toys import changed, run, stages, toy_project
from transformers import MixtralConfig, MixtralForCausalLM

from thicket.config.search import Es, Member, Randopt
from thicket.config.verifier import JudgeModel, WritingVerifier
from thicket.domains.item import read_items, write_items
from thicket.methods.es import EsSearch, z_scores
from thicket.methods.randopt import RandoptSearch
from thicket.models.answering import read_answering
from thicket.models.folder import load_model, load_tokenizer, save_model, weights_hash
from thicket.models.perturb import Direction, move
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import load_environment
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler
from thicket.stages.run import in_pipeline, on_its_own, run_stage
from thicket.training.loop import Steps

RANDOPT = Randopt(type="randopt", items=8, perturbations=7, sigmas=[0.001, 0.004, 0.008], members=3)
MIXTURE = "build/models/mixture"
ES = Es(type="es", items=8, steps=3, population=4, sigma=0.004, alpha=0.002)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base, and a domain in which its greedy response is right for every other item."""
    root = toy_project(tmp_path_factory.mktemp("search") / "project")
    run(root, "data-sort", "base-tiny")
    folder, data = root / "build/models/tiny", root / "build/data/sort"
    model, tokenizer, domain = load_model(folder), load_tokenizer(folder), stages(root)["specialist-sort-grpo"].domain
    decoding = Decoding(0.0, most=domain.window.response)
    for split in ("train", "selection", "test"):
        there = load_environment(domain, data, split, tokenizer)
        requests = [Request(prompt, 0) for prompt in there.prompts]
        given = TorchSampler(len(requests)).respond(model, tokenizer, requests, decoding, there.stop_ids, domain.stop)
        items = zip(read_items(data / f"{split}.jsonl"), given, strict=True)
        answers = [replace(item, answer="no" if n % 2 else said.text) for n, (item, (said,)) in enumerate(items)]
        write_items(data / f"{split}.jsonl", answers)
    return root


@pytest.fixture
def project(made: Path) -> Path:
    """The project, shared: each test makes models of its own names."""
    return made


def stage_of(root: Path, name: str, method: Any, base: str = "tiny") -> Any:
    stage = stages(root)["specialist-sort-grpo"]
    return stage.model_copy(update={"name": name, "method": method, "base": base})


def make(root: Path, name: str, method: Any, base: str = "tiny") -> Path:
    """Runs the stage and returns the model's folder."""
    stage = stage_of(root, name, method, base)
    targets = in_pipeline(root, stage)
    run_stage(root, stage, targets)
    return targets.artifact


def rewards(root: Path, name: str) -> list[float]:
    header, *rows = (root / f"build/curves/{name}.csv").read_text().splitlines()
    return [float(row.split(",")[header.split(",").index("reward")]) for row in rows]


def ledger(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"build/metrics/{name}.json").read_text())


# -- what is chosen --------------------------------------------------------------------------------------------------


def test_the_best_candidates_are_the_ensemble_and_ties_go_to_the_earlier() -> None:
    search = RandoptSearch(RANDOPT, seed=5)
    ensemble = search.ensemble([0.25, 0.5, 1.0, 0.5, 0.5, 0.0, 0.25])
    chosen = [search.direction(candidate) for candidate in (2, 1, 3)]
    assert [(member.seed, member.sigma) for member in ensemble] == [(at.seed, at.weight) for at in chosen]
    assert [member.score for member in ensemble] == [1.0, 0.5, 0.5]


def test_sigmas_are_dealt_in_turn_and_seeds_are_their_own() -> None:
    directions = [RandoptSearch(RANDOPT, seed).direction(candidate) for seed in (0, 1) for candidate in range(7)]
    assert [at.weight for at in directions] == [0.001, 0.004, 0.008, 0.001, 0.004, 0.008, 0.001] * 2
    assert len({at.seed for at in directions}) == 14
    assert all(0 <= at.seed < 2**63 for at in directions)


def test_z_scores_by_hand() -> None:
    # Mean 2, mean square deviation ((−1)² + 0 + 1² + 0)/4 = 1/2.
    assert z_scores([1.0, 2.0, 3.0, 2.0]) == pytest.approx([-(2**0.5), 0.0, 2**0.5, 0.0])
    assert z_scores([0.1, 0.1, 0.1]) == [0.0, 0.0, 0.0]


def test_a_step_of_es_is_its_formula(project: Path) -> None:
    folder = make(project, "one-step", changed(ES, "steps", 1))
    scores = torch.tensor(rewards(project, "one-step"), dtype=torch.float64)
    assert len(scores) == 4
    assert len(set(scores.tolist())) > 1, "the step is not trivial"
    z = (scores - scores.mean()) / scores.std(correction=0)
    base = load_model(project / "build/models/tiny")
    expected = {name: weights.detach().double() for name, weights in base.named_parameters()}
    for n in range(4):
        neighbour = load_model(project / "build/models/tiny")
        move(neighbour, [Direction(EsSearch(ES, seed=0).direction(n).seed, 1.0)])
        for name, weights in neighbour.named_parameters():
            noise = weights.detach().double() - dict(base.named_parameters())[name].detach().double()
            expected[name] = expected[name] + ES.alpha / 4 * float(z[n]) * noise
    found = load_file(folder / "model.safetensors")
    for name, weights in found.items():
        torch.testing.assert_close(weights.double(), expected[name], atol=1e-6, rtol=0)


def test_equal_rewards_leave_es_where_it_is(project: Path) -> None:
    still = make(project, "still", Es(type="es", items=8, steps=2, population=3, sigma=1e-9, alpha=1.0))
    assert len(set(rewards(project, "still"))) == 1
    assert _weights(still) == _weights(project / "build/models/tiny")


# -- the ensemble ----------------------------------------------------------------------------------------------------


def _weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_without_sigma_every_member_is_the_base_votes_and_all(project: Path) -> None:
    folder = make(project, "zero", changed(RANDOPT, "sigmas", [0.0]))
    assert set(rewards(project, "zero")) == {rewards(project, "zero")[0]}
    best = make(project, "zero-best", Member(type="member"), base="zero")
    assert _weights(best) == _weights(project / "build/models/tiny")
    evaluate = stages(project)["evaluate-tiny"]
    evaluate = evaluate.model_copy(update={"domains": evaluate.domains[:1]})
    figures = {}
    for name in ("tiny", "zero"):
        stage = evaluate.model_copy(update={"name": name})
        run_stage(project, stage, in_pipeline(project, stage))
        metrics = json.loads((project / f"build/evaluation/{name}/metrics.json").read_text())
        figures[name] = metrics["domains"]["sort"]
    assert figures["zero"]["pass@1"] == figures["tiny"]["greedy"] == 0.5
    assert figures["zero"]["calls"] == 3
    assert ledger(project, "zero")["selection_pass@1"] == 0.5
    assert sorted(path.name for path in folder.iterdir()) == ["answering.json", "provenance.json"]
    assert sum(path.stat().st_size for path in folder.iterdir()) < 20_000


def test_a_members_score_is_that_of_its_model(project: Path) -> None:
    """The best member, as a model of its own, scores on the same items what the ensemble's file says."""
    folder = make(project, "found", RANDOPT)
    ensemble = read_answering(folder)
    assert ensemble is not None
    assert [member.score for member in ensemble.members] == sorted(rewards(project, "found"), reverse=True)[:3]
    assert len(set(rewards(project, "found"))) > 1
    make(project, "found-best", Member(type="member"), base="found")
    make(project, "again", changed(changed(RANDOPT, "sigmas", [0.0]), "perturbations", 3), base="found-best")
    assert rewards(project, "again") == [pytest.approx(ensemble.members[0].score)] * 3
    made_from = json.loads((project / "build/models/found-best/provenance.json").read_text())
    assert list(made_from["parents"]) == ["found"]
    assert made_from["cost"] == {"found": ledger(project, "found")["flops"], "found-best": 0.0}


def test_the_ledger_counts_two_flops_a_parameter_and_token(project: Path) -> None:
    make(project, "counted", RANDOPT)
    found = ledger(project, "counted")
    parameters = sum(weights.numel() for weights in load_model(project / "build/models/tiny").parameters())
    domain, folder = stage_of(project, "counted", RANDOPT).domain, project / "build/models/tiny"
    there = load_environment(domain, project / "build/data/sort", "train", load_tokenizer(folder))
    read = 7 * sum(map(len, there.prompts[:8]))
    assert found["steps"] == 7
    assert found["flops"] == 2 * parameters * (read + found["tokens_generated"])


@pytest.mark.parametrize(("method", "scored"), [(RANDOPT, 3), (ES, 4)], ids=["randopt", "es"])
def test_a_spent_budget_ends_it_when_there_is_enough(project: Path, method: Any, scored: int) -> None:
    name = f"spent-{method.type}"
    make(project, name, changed(method, "flops", 1.0))
    assert len(rewards(project, name)) == scored


def test_several_at_once_are_what_they_are_one_after_another(project: Path) -> None:
    for method in (RANDOPT, ES):
        alone = make(project, f"alone-{method.type}", method)
        together = make(project, f"together-{method.type}", changed(method, "together", 3))
        assert rewards(project, alone.name) == pytest.approx(rewards(project, together.name))
        assert ledger(project, alone.name)["flops"] == ledger(project, together.name)["flops"]
    assert read_answering(project / "build/models/alone-randopt") == read_answering(
        project / "build/models/together-randopt"
    )


def test_neighbours_that_judge_themselves_are_scored_one_after_another(project: Path) -> None:
    """Each gives the verdict on its own answers, which all of them together can't."""
    stage = stage_of(project, "itself", RANDOPT)
    verifier = WritingVerifier(type="writing", judge=JudgeModel(template="{response}", accepted=0.0))
    judged = stage.model_copy(update={"domain": stage.domain.model_copy(update={"verifier": verifier})})
    run_stage(project, judged, in_pipeline(project, judged))
    together = judged.model_copy(update={"method": changed(RANDOPT, "together", 3)})
    with pytest.raises(
        ValueError, match=r"because of the verdict, which each gives on its own answers; allowed: 1, null"
    ):
        run_stage(project, together, in_pipeline(project, together))


# -- breaking off ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [RANDOPT, changed(RANDOPT, "together", 3), ES], ids=["randopt", "together", "es"])
@either_way
def test_resumed_equals_unbroken(project: Path, monkeypatch: pytest.MonkeyPatch, method: Any, end: End) -> None:
    name = "broken"
    artifact = make(project, name, method)
    file = artifact / ("answering.json" if method.type == "randopt" else "model.safetensors")
    unbroken, curves = file.read_bytes(), (project / f"build/curves/{name}.csv").read_text()
    spent = counts(project / f"build/metrics/{name}.json")
    with monkeypatch.context() as patched:
        break_step(patched, 5, end)
        with pytest.raises(end.raised):
            make(project, name, method)
    step, taken = Steps.one_step, list[int]()

    def counted(self: Steps) -> None:
        taken.append(self.step)
        step(self)

    monkeypatch.setattr(Steps, "one_step", counted)
    make(project, name, method)
    # A checkpoint comes every two steps; of three that are scored together it comes after each three.
    last = 3 if method.together == 3 else 4
    assert taken[0] == last if end.come is kill else taken[0] > last
    assert file.read_bytes() == unbroken
    assert (project / f"build/curves/{name}.csv").read_text() == curves
    assert counts(project / f"build/metrics/{name}.json") == spent


def test_candidates_that_are_scored_together_are_one_step_of_lightnings(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four, and the last one, in each of three populations."""
    whole, begun = Steps.training_step, list[int]()

    def counted(self: Steps, batch: Any, batch_index: int) -> None:
        begun.append(self.step)
        whole(self, batch, batch_index)

    monkeypatch.setattr(Steps, "training_step", counted)
    make(project, "blocks", changed(ES, "together", 3))
    assert begun == [0, 3, 4, 7, 8, 11]


def test_where_there_are_fewer_items_all_are_asked(project: Path) -> None:
    make(project, "all", changed(RANDOPT, "items", 24))
    make(project, "more", changed(RANDOPT, "items", 25))
    assert (project / "build/curves/more.csv").read_text() == (project / "build/curves/all.csv").read_text()


# -- what can't be done ----------------------------------------------------------------------------------------------


def test_the_best_member_of_what_has_none(project: Path) -> None:
    with pytest.raises(ValueError, match="tiny is no ensemble"):
        make(project, "none", Member(type="member"))


def test_a_mixture_of_experts_is_searched_one_after_another(project: Path) -> None:
    """Router and experts are in the search; asked to be stacked, the model says why it can't be."""
    folder = project / "build/models/tiny"
    tokenizer, like = load_tokenizer(folder), load_model(folder).config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = MixtralConfig(**{**SIZES, "vocab_size": like.vocab_size}, num_local_experts=4)
        model = MixtralForCausalLM(config)
    save_model(model, tokenizer, project / MIXTURE)
    made = json.loads((folder / "provenance.json").read_text()) | {"weights": weights_hash(project / MIXTURE)}
    (project / MIXTURE / "provenance.json").write_text(json.dumps(made))
    walked = load_file(make(project, "mixture-es", ES, base="mixture") / "model.safetensors")
    before = load_file(project / MIXTURE / "model.safetensors")
    assert len(set(rewards(project, "mixture-es"))) > 1
    assert all(not walked[name].equal(before[name]) for name in before)
    make(project, "mixture-randopt", RANDOPT, base="mixture")
    with pytest.raises(ValueError, match=r"method.together = 2: .* one after another"):
        make(project, "stacked", changed(RANDOPT, "together", 2), base="mixture")


# -- on the command line ---------------------------------------------------------------------------------------------


def test_materialize(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    make(project, "ensemble", RANDOPT)
    best = make(project, "best", Member(type="member"), base="ensemble")
    monkeypatch.chdir(project)
    said = command("model", "materialize", "ensemble", "--out", str(tmp_path / "members"))
    assert (said.status, said.err) == (0, "")
    assert [line.rpartition(": ")[2].split(",")[0] for line in said.out.splitlines()] == [
        f"member {rank} of ensemble" for rank in (1, 2, 3)
    ]
    assert _weights(tmp_path / "members/1") == _weights(best)
    assert len({_weights(tmp_path / f"members/{rank}") for rank in (1, 2, 3)}) == 3

    assert command("model", "materialize", "ensemble", "--member", "2").status == 0
    assert _weights(project / "build/members/ensemble/2") == _weights(tmp_path / "members/2")
    said = command("model", "materialize", "ensemble", "--member", "2")
    assert said.status == 1
    assert "is there already" in said.err


def test_materialize_an_ensemble_of_a_run_of_its_own(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command
) -> None:
    targets = on_its_own(project, stage := stage_of(project, "alone", RANDOPT))
    run_stage(project, stage, targets)
    make(project, "alone", RANDOPT)
    best = make(project, "best-of-alone", Member(type="member"), base="alone")
    monkeypatch.chdir(targets.artifact)
    said = command("model", "materialize", ".", "--member", "1")
    assert (said.status, said.err) == (0, "")
    assert _weights(project / "build/members" / targets.artifact.parent.name / "1") == _weights(best)
    said = command("model", "materialize", str(project / "build/models/tiny"))
    assert (said.status, said.out) == (2, "")
    assert "not an ensemble" in said.err


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("ensembel",), "did you mean: ensemble"),
        (("tiny",), "not an ensemble"),
        (("nothing",), "there is no such ensemble"),
        (("ensemble", "--member", "4"), "allowed: 1 … 3"),
        (("ensemble", "--member", "0"), "allowed: 1 … 3"),
        (("ensemble", "--member", "best"), "invalid int value: 'best'"),
    ],
)
def test_materialize_of_what_is_not_there(
    project: Path, monkeypatch: pytest.MonkeyPatch, command: Command, arguments: tuple[str, ...], wrong: str
) -> None:
    make(project, "ensemble", RANDOPT)
    monkeypatch.chdir(project)
    said = command("model", "materialize", *arguments)
    assert (said.status, said.out) == (2, "")
    assert wrong in said.err


def test_materialize_over_other_weights(project: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    """The base was made again, and is another: its ensemble's seeds mean nothing any more."""
    file = make(project, "stale", RANDOPT) / "answering.json"
    ensemble = read_answering(file.parent)
    assert ensemble is not None
    file.write_text(file.read_text().replace(str(ensemble.weights), "0" * 64))
    monkeypatch.chdir(project)
    said = command("model", "materialize", "stale")
    assert said.status == 1
    assert "other weights" in said.err
