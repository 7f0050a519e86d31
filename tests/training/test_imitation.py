"""Training on fixed texts: the loss, micro-batches, what a run costs, and runs that are broken off in either phase."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from breaking import Break, End, Killed, break_step, check_resumed, either_way, kill, make
from safetensors.torch import load_file
from small_models import random_llama
from torch import Tensor
from toys import VALUES, changed, run, stages, toy_project

from thicket.config.answering import Answering, Perturbation
from thicket.config.imitation import Sft
from thicket.config.on_policy import Lora
from thicket.config.optimizer import Optimizer
from thicket.config.shown import DEMONSTRATION, read_shown
from thicket.domains.verifiers import exact
from thicket.methods.texts import Text
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import load_model, load_tokenizer, weights_hash
from thicket.models.perturb import Direction, Neighbourhood
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import load_environment
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler
from thicket.training.imitation import ImitationTraining
from thicket.training.ledger import Ledger
from thicket.training.order import dealt
from thicket.training.records import Record, read_records
from thicket.training.samples import Sampling, asked

SIZES = {"steps": 6, "batch": 4, "micro_batch": 3, "select_samples": 2}
METHODS = {
    "sft": SIZES,
    "rft": {**SIZES, "samples": 2, "keep": "all"},
    "ssd": {**SIZES, "answer_temperature": 0.7},
}
DECLARED = {
    "experiment": "toy",
    "seed": 0,
    "domains": ["sort"],
    "bases": {"tiny": {"base": "tiny"}},
    "specialists": {f"sort-{name}": {"base": "tiny", "domain": "sort", "method": name} for name in METHODS},
    "values": {**VALUES, "method": METHODS},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("imitation") / "project", DECLARED)
    run(root, "data-sort", "base-tiny")
    return root


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "project"))


@pytest.fixture(autouse=True)
def easy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of this size solves nothing: here responses of an even length are right."""
    monkeypatch.setattr(exact, "verify", lambda config, response, item: len(response) % 2 == 0)


def ledger(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / f"build/metrics/{name}.json").read_text())


# -- the loss ----------------------------------------------------------------------------------------------------------

# Token 0 is what rows are padded with, and 2 stands for an end of sequence that is the padding token as well.
PLAIN = (([5, 6, 7], [9, 0, 2]), ([8], [11, 2]), ([8, 9], [12, 13, 14, 0, 2]), ([5], [2]))
TEXTS = [Text(prompt, response, "sort", DEMONSTRATION) for prompt, response in PLAIN]


def training(micro_batch: int) -> ImitationTraining:
    model = random_llama(spread=20, pad_token_id=2).double()
    config = Sft(type="sft", steps=1, batch=4, micro_batch=micro_batch, optimizer=Optimizer(lr=1e-3))
    no_selection: Any = None
    module = ImitationTraining(model, None, TEXTS, no_selection, config, 1.0, 0, TorchSampler(1), Ledger())
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]
    return module


def naive_loss(module: ImitationTraining) -> Tensor:
    """A token at a time, each row on its own, no padding."""
    losses = []
    for text in TEXTS:
        for place, token in enumerate(text.response):
            seen = torch.tensor([text.prompt + text.response[:place]])
            losses.append(-module.model(seen).logits[0, -1].log_softmax(dim=-1)[token])
    return torch.stack(losses).sum() / len(losses)


def gradients(module: ImitationTraining) -> dict[str, Tensor]:
    found = {name: parameter.grad for name, parameter in module.model.named_parameters()}
    return {name: gradient.clone() for name, gradient in found.items() if gradient is not None}


@pytest.mark.parametrize("micro_batch", [1, 3, 4])
def test_loss_and_gradient_are_those_of_the_mean_over_response_tokens(micro_batch: int) -> None:
    module = training(micro_batch)
    loss = module.gradients(TEXTS)
    found = gradients(module)
    module.zero_grad()
    expected = naive_loss(module)
    expected.backward()
    assert loss == pytest.approx(float(expected.detach()), rel=1e-6)
    assert found.keys() == {name for name, _ in module.model.named_parameters()}
    for name, gradient in gradients(module).items():  # logits are read in float32
        torch.testing.assert_close(found[name], gradient, rtol=1e-5, atol=1e-6)
    assert module.ledger.tokens_trained == sum(len(text.prompt) + len(text.response) for text in TEXTS)


def test_each_pass_is_in_an_order_of_its_own() -> None:
    passes = [dealt(range(first, first + 10), 10, 0, 1) for first in (0, 10, 20)]
    assert all(sorted(order) == list(range(10)) for order in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]
    across = dealt(range(7, 13), 10, 0, 1)
    assert across == [*passes[0][7:], *passes[1][:3]]


# -- samples for people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", METHODS)
def test_the_texts_that_are_trained_on_are_left_for_people(project: Path, name: str) -> None:
    stage = stages(project)[f"specialist-sort-{name}"]
    make(project, stage)
    shown = read_shown(project / f"build/models/sort-{name}")
    assert [one.step for one in shown] == [step for step in (1, 2, 4) for _ in range(4)]
    tokenizer = load_tokenizer(project / "build/models/tiny")
    train = load_environment(stage.domain, project / "build/data/sort", "train", tokenizer)
    of_prompt = {
        tokenizer.decode(ids, skip_special_tokens=True): item
        for ids, item in zip(train.prompts, train.items, strict=True)
    }
    answers = {"sft": (DEMONSTRATION, None), "rft": ("tiny", True), "ssd": ("tiny", None)}
    for one in shown:
        assert (one.writer, one.correct) == answers[name], one
        assert (one.reward, one.divergence) == (None, None)
        if name == "sft":
            assert one.response == of_prompt[one.prompt].demonstration + "\n", "to the token that ends it"
    assert len({one.prompt for one in shown}) > 4, "each step has texts of its own"


# -- what a run costs --------------------------------------------------------------------------------------------------


def test_the_ledger_counts_what_is_sampled_and_what_is_trained(project: Path) -> None:
    stage = stages(project)["specialist-sort-rft"]
    make(project, stage)
    spent = ledger(project, "sort-rft")
    model = load_model(project / "build/models/tiny")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    train = load_environment(
        stage.domain, project / "build/data/sort", "train", load_tokenizer(project / "build/models/tiny")
    )
    read = sum(map(len, train.prompts)) + spent["tokens_generated"]
    assert spent["tokens_generated"] >= 2 * len(train.items)
    assert spent["flops"] == parameters * (2 * read + 6 * spent["tokens_trained"])
    assert spent["steps"] == 6
    given = stages(project)["specialist-sort-sft"]
    make(project, given)
    spent = ledger(project, "sort-sft")
    assert spent["flops"] == 6 * parameters * spent["tokens_trained"]
    assert spent["tokens_generated"] == 0


def test_a_budget_of_flops_ends_a_run_over_both_phases(project: Path) -> None:
    stage = stages(project)["specialist-sort-rft"]
    make(project, stage)
    whole = ledger(project, "sort-rft")["flops"]
    flops = [float(line.split(",")[1]) for line in (project / "build/curves/sort-rft.csv").read_text().split()[1:]]
    budget = (flops[2] + flops[3]) / 2
    make(project, changed(stage, "method.flops", budget))
    spent = ledger(project, "sort-rft")
    assert spent["steps"] == 4, "the step that reaches the budget is the last"
    assert spent["flops"] == pytest.approx(flops[3], rel=1e-5)
    assert spent["selection_pass@1"] is not None
    make(project, changed(stage, "method.flops", 2 * whole))
    assert ledger(project, "sort-rft")["steps"] == 6


def test_a_budget_that_samples_use_up_is_an_error(project: Path) -> None:
    stage = changed(stages(project)["specialist-sort-rft"], "method.flops", 10.0)
    wrong = r"method\.flops = 10 is spent before anything is trained: sampling: 10 samples"
    for _ in ("as they come", "out of the resume folder"):
        with pytest.raises(ValueError, match=wrong):
            make(project, changed(stage, "sampler.batch", 10))


# -- broken off --------------------------------------------------------------------------------------------------------


def break_training(monkeypatch: pytest.MonkeyPatch, end: End) -> None:
    break_step(monkeypatch, 3, end)


def break_sampling(monkeypatch: pytest.MonkeyPatch, end: End) -> None:
    with_work = Sampling.work

    def work(self: Sampling, piece: tuple[int, list[int]]) -> list[Record]:
        if self.records:
            end.come()
        return with_work(self, piece)

    monkeypatch.setattr(Sampling, "work", work)


LORA = {"method.lora": Lora(rank=2, dropout=0.5)}


@pytest.mark.parametrize(
    ("name", "changes", "phase"),
    [
        ("sft", {}, break_training),
        ("sft", LORA, break_training),
        ("rft", {}, break_training),
        ("rft", {}, break_sampling),
        ("ssd", {"method.temperature": 1.6, "method.top_k": 3}, break_sampling),
    ],
)
@either_way
def test_resumed_equals_unbroken(
    project: Path, monkeypatch: pytest.MonkeyPatch, name: str, changes: dict[str, Any], phase: Break, end: End
) -> None:
    stage = changed(stages(project)[f"specialist-sort-{name}"], "sampler.batch", 10)
    for path, value in changes.items():
        stage = changed(stage, path, value)
    check_resumed(project, stage, monkeypatch, phase, end)


def test_what_is_sampled_is_not_sampled_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = changed(stages(project)["specialist-sort-rft"], "sampler.batch", 10)
    with monkeypatch.context() as patched:
        break_sampling(patched, End(kill, Killed))
        with pytest.raises(Killed):
            make(project, stage)
    (folder,) = (project / "build/resume").glob("*/samples")
    kept = {record.item for record in read_records(folder)}
    assert len(kept) == 5, "a piece holds a batch of the sampler: 5 prompts of 2 samples"

    answered: list[str] = []
    answer = Sampling._answer

    def counted(self: Sampling, member: int, places: list[int]) -> Any:
        answered.extend(self.environment.items[place].id for place in places)
        return answer(self, member, places)

    monkeypatch.setattr(Sampling, "_answer", counted)
    make(project, stage)
    assert len(answered) == 24 - 5
    assert not kept & set(answered)


@pytest.mark.parametrize("path", ["sampler.batch", "method.micro_batch"])
def test_batches_change_nothing(project: Path, path: str) -> None:
    """One step: afterwards Adam turns rounding of gradients near zero into steps of full size."""
    stage = changed(stages(project)["specialist-sort-rft"], "method.steps", 1)
    stage = changed(stage, "method.optimizer", Optimizer(lr=1e-3))
    start = load_file(project / "build/models/tiny/model.safetensors")
    whole, parts = (make(project, changed(stage, path, size)) for size in (64, 2))
    assert any(not whole[key].equal(start[key]) for key in whole)
    for key in whole:
        torch.testing.assert_close(parts[key], whole[key], rtol=0, atol=1e-5)


# -- starts that answer in a way of their own --------------------------------------------------------------------------


def test_samples_are_dealt_to_the_members() -> None:
    assert asked(prompts=3, samples=2, members=1) == {(0, 0): 2, (0, 1): 2, (0, 2): 2}
    shares = asked(prompts=3, samples=2, members=3)
    assert shares == {(0, 0): 1, (1, 0): 1, (2, 1): 1, (0, 1): 1, (1, 2): 1, (2, 2): 1}
    every = asked(prompts=2, samples=3, members=3)
    assert every == {(member, prompt): 1 for member in range(3) for prompt in range(2)}
    assert sum(asked(prompts=5, samples=4, members=3).values()) == 20


MEMBERS = [Perturbation(seed=11, sigma=0.05, score=0.5), Perturbation(seed=12, sigma=0.1, score=0.4)]


@pytest.fixture
def ensemble(project: Path) -> Path:
    """The folder of an ensemble around the base, which holds no weights."""
    folder = project / "build/models/ensemble"
    folder.mkdir()
    base = project / "build/models/tiny"
    write_answering(folder, Answering(weights_of="tiny", weights=weights_hash(base), members=MEMBERS))
    shutil.copy(base / "provenance.json", folder)
    return folder


def test_an_ensemble_teaches_the_model_that_its_members_are_perturbations_of(
    project: Path, ensemble: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = changed(stages(project)["specialist-sort-rft"], "base", "ensemble")
    stage = changed(changed(stage, "method.temperature", 0.0), "method.keep", "shortest")
    drawn: list[Sampling] = []
    answer = Sampling.work
    monkeypatch.setattr(Sampling, "work", lambda self, piece: (drawn.append(self), answer(self, piece))[1])
    make(project, stage)

    base = project / "build/models/tiny"
    model, tokenizer = load_model(base), load_tokenizer(base)
    train = load_environment(stage.domain, project / "build/data/sort", "train", tokenizer)
    neighbourhood = Neighbourhood(model)
    expected: list[list[str]] = [[] for _ in train.items]
    for member in MEMBERS:
        with neighbourhood.at(Direction(member.seed, member.sigma)):
            requests = [Request(prompt, 0) for prompt in train.prompts]
            decoding = Decoding(0.0, most=stage.domain.window.response)
            for texts, (response,) in zip(
                expected,
                TorchSampler(64).respond(model, tokenizer, requests, decoding, train.stop_ids, "\n"),
                strict=True,
            ):
                texts.append(response.text)
    assert [[sample.text for sample in samples] for samples in drawn[0].drawn] == expected
    assert any(first != second for first, second in expected), "the members differ"
    provenance = json.loads((project / "build/models/sort-rft/provenance.json").read_text())
    assert list(provenance["parents"]) == ["ensemble"]


def test_self_distillation_answers_at_a_temperature_of_its_own(project: Path) -> None:
    make(project, stages(project)["specialist-sort-ssd"])
    assert read_answering(project / "build/models/sort-ssd") == Answering(temperature=0.7)
    make(project, stages(project)["specialist-sort-sft"])
    assert read_answering(project / "build/models/sort-sft") is None


def test_nothing_kept_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "verify", lambda config, response, item: False)
    with pytest.raises(
        ValueError, match=r"domain sort: there is nothing to imitate: no sample was kept.*correct 0\.000"
    ):
        make(project, stages(project)["specialist-sort-rft"])
