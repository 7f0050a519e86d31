"""Distillation on a batch: every signal and routing against loops over tokens, from forward passes of single rows."""

import weakref
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import random_llama
from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.distillation import Opd as Config
from thicket.config.optimizer import Optimizer
from thicket.config.stages import Teacher
from thicket.methods.method import Rows
from thicket.methods.opd import Opd, loss_of
from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.teachers import Teachers, Voice
from thicket.ops.head import Head
from thicket.sampling.rollouts import sequences

PROMPTS = [[5, 6, 7], [5, 6], [8], [8, 9, 10], [4]]
RESPONSES = [[9, 10, 2], [11, 2], [12, 13, 14, 15], [2], [3, 3]]
DOMAINS = ["sort", "reverse", "sort", "odd", "reverse"]
TOKENS = sum(map(len, RESPONSES))
WORDS = 40
TEACHERS = [
    Teacher(name="a", domain="sort", weight=0.5),
    Teacher(name="wide", domain="sort", weight=1.5),
    Teacher(name="b", domain="reverse", weight=2.0),
    Teacher(name="a", domain="odd", weight=1.0),
    Teacher(name="b", domain="odd", weight=0.0),
]
SIGNALS = [
    {"type": "full_vocab"},
    {"type": "full_vocab", "divergence": "forward_kl"},
    {"type": "full_vocab", "divergence": "jsd", "beta": 0.3},
    {"type": "top_k", "k": 6},
    {"type": "top_k", "k": 6, "rest": "measure"},
    {"type": "sampled_token", "clip": 1.0},
    {"type": "top1"},
]


def teachers_of(folders: dict[str, Path]) -> Teachers:
    return Teachers({name: Voice(folder) for name, folder in folders.items()})


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, tokenizer = tmp_path_factory.mktemp("teachers"), character_tokenizer()
    sizes = {"vocab_size": len(tokenizer)}
    models = {"a": random_llama(1, 8, **sizes), "b": random_llama(2, 8, **sizes)}
    models["wide"] = random_llama(3, 8, **sizes, hidden_size=32)
    for name, model in models.items():
        save_model(model, tokenizer, root / name)
    return {name: root / name for name in models}


@pytest.fixture
def student() -> PreTrainedModel:
    return random_llama(0, 8, vocab_size=len(character_tokenizer())).requires_grad_()


def config(**values: Any) -> Config:
    made = {"prompts": 5, "group": 1, "steps": 1, "optimizer": Optimizer(lr=1e-3), **values}
    return Config.model_validate({"type": "opd", **made})


def rows() -> Rows:
    batch = sequences(PROMPTS, RESPONSES, "cpu")
    zeros_B = torch.zeros(len(PROMPTS))
    return Rows(batch, DOMAINS, zeros_B, zeros_B, torch.zeros_like(batch.mask_BK))


def log_probs(model: PreTrainedModel, row: int, temperature: float) -> Tensor:
    """At each token of a response, from a forward pass over that row alone, in float64."""
    ids = torch.tensor([PROMPTS[row] + RESPONSES[row]])
    first = len(PROMPTS[row]) - 1
    logits_TV = model(ids).logits[0, first : first + len(RESPONSES[row]), :WORDS].double()
    return (logits_TV / temperature).log_softmax(dim=-1)


def naive(made: Config, student: PreTrainedModel, folders: dict[str, Path], without: tuple[int, ...] = ()) -> Tensor:
    """The mean over tokens of the weighted losses, teacher by teacher; `without`: rows that are left out."""
    models = {name: load_model(folder).eval() for name, folder in folders.items()}
    total, count = torch.zeros((), dtype=torch.float64), TOKENS - sum(len(RESPONSES[row]) for row in without)
    for row, domain in ((row, domain) for row, domain in enumerate(DOMAINS) if row not in without):
        own_TV = log_probs(student, row, made.softmax_temperature)
        for teacher in TEACHERS:
            if made.routing == "all" or teacher.domain == domain:
                with torch.no_grad():
                    other_1TV = log_probs(models[teacher.name], row, made.softmax_temperature).unsqueeze(0)
                one = torch.ones(1, dtype=torch.float64)
                loss_T = loss_of(made.signal)(own_TV, other_1TV, one, torch.tensor(RESPONSES[row]))
                total = total + teacher.weight * loss_T.sum() / count
    return total


def found(made: Config, student: PreTrainedModel, folders: dict[str, Path], micro_batch: int) -> float:
    """The loss through the method, whose gradients are added to the student's."""
    method = Opd(made, TEACHERS, teachers_of(folders), WORDS)
    whole = method.prepare(rows(), micro_batch)
    weights_BK, total = method.weights(whole), 0.0
    for part in parts(len(DOMAINS), micro_batch):
        micro = whole.rows(part)
        updated = method.update(student, micro, weights_BK[part, : micro.sequences.mask_BK.shape[1]])
        updated.loss.backward()
        total += float(updated.loss.detach())
    return total


def gradients_of(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def parts(count: int, size: int) -> Iterator[Tensor]:
    for start in range(0, count, size):
        yield torch.arange(start, min(start + size, count))


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: "-".join(map(str, signal.values())))
@pytest.mark.parametrize("routing", ["domain", "all"])
def test_the_loss_and_its_gradient(
    student: PreTrainedModel, folders: dict[str, Path], signal: dict[str, Any], routing: str
) -> None:
    """Without a clip for the sampled token: the sum of advantages is clipped, which is not the sum of clipped ones."""
    if signal["type"] == "sampled_token":
        signal = {**signal, "clip": None}
    made = config(signal=signal, routing=routing, temperature=1.3, softmax_temperature=1.3)
    expected = naive(made, student, folders)
    expected.backward()
    gradients = gradients_of(student)
    student.zero_grad()
    assert found(made, student, folders, micro_batch=2) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6)


def test_micro_batches_and_chunks_change_nothing(student: PreTrainedModel, folders: dict[str, Path]) -> None:
    one = found(config(), student, folders, micro_batch=5)
    for micro_batch in (1, 3):
        assert found(config(), student, folders, micro_batch) == pytest.approx(one, rel=1e-6)


def test_an_inner_update_compares_the_student_of_that_moment(
    student: PreTrainedModel, folders: dict[str, Path]
) -> None:
    """What was prepared for a rollout batch holds the teachers' words alone."""
    method = Opd(config(prompts=4, updates=2), TEACHERS, teachers_of(folders), WORDS)
    whole = method.prepare(rows(), 5)
    weights_BK = method.weights(whole)
    first = float(method.update(student, whole, weights_BK).loss.detach())
    with torch.no_grad():
        student.lm_head.weight.mul_(1.5)
    second = float(method.update(student, whole, weights_BK).loss.detach())
    assert abs(second / first - 1) > 1e-2
    assert second == pytest.approx(float(naive(config(), student, folders).detach()), rel=1e-5)


def test_rows_without_a_token_count_for_nothing(student: PreTrainedModel, folders: dict[str, Path]) -> None:
    """One of a domain's two rows, and all of a domain."""
    empty, given = (2, 3), rows()
    mask_BK = given.sequences.mask_BK.clone()
    mask_BK[list(empty)] = 0
    given = replace(given, sequences=replace(given.sequences, mask_BK=mask_BK))
    method = Opd(config(), TEACHERS, teachers_of(folders), WORDS)
    whole = method.prepare(given, 5)
    updated = method.update(student, whole, method.weights(whole))
    updated.loss.backward()
    gradients = gradients_of(student)
    student.zero_grad()
    expected = naive(config(), student, folders, without=empty)
    expected.backward()
    assert float(updated.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-4, atol=1e-6)


def test_one_domains_heads_are_in_memory_at_a_time(
    student: PreTrainedModel, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each that is not in its place is read once an update, whatever the micro-batches are, and let go after it."""
    read, together = list[weakref.ref[Tensor]](), list[int]()
    own = Teachers._read_head

    def reading(self: Teachers, name: str, like: Head) -> Head:
        found = own(self, name, like)
        read.append(weakref.ref(found.weight_VH))
        together.append(sum(one() is not None for one in read))
        return found

    monkeypatch.setattr(Teachers, "_read_head", reading)
    judged = {"a": "sort", "b": "odd", "other": "reverse"}
    teachers = [Teacher(name=name, domain=domain) for name, domain in judged.items()]
    method = Opd(config(), teachers, teachers_of({**folders, "other": folders["b"]}), WORDS)
    whole = method.prepare(rows(), 5)
    weights_BK = method.weights(whole)
    for part in parts(len(DOMAINS), 1):
        micro = whole.rows(part)
        method.update(student, micro, weights_BK[part, : micro.sequences.mask_BK.shape[1]])
    method.updated()
    assert together == [1, 1]
    assert all(one() is None for one in read)


def test_domains_in_balance_count_alike(folders: dict[str, Path]) -> None:
    """Tokens: sort 7, reverse 4, odd 1."""
    method = Opd(config(balance="domains"), TEACHERS, teachers_of(folders), WORDS)
    ordered = method.prepare(rows(), 5)
    assert ordered.domains == ["odd", "reverse", "reverse", "sort", "sort"]
    weights_B = method.weights(ordered).sum(dim=1)
    of = {
        domain: sum(float(w) for w, d in zip(weights_B, ordered.domains, strict=True) if d == domain)
        for domain in DOMAINS
    }
    assert of == pytest.approx({"sort": 1 / 3, "reverse": 1 / 3, "odd": 1 / 3})
    plain = Opd(config(), TEACHERS, teachers_of(folders), WORDS).weights(ordered)
    assert float(plain.sum()) == pytest.approx(1.0)
    assert plain[plain > 0].tolist() == pytest.approx([1 / TOKENS] * TOKENS)


@pytest.mark.parametrize(("routing", "passes"), [("domain", 4 / 3), ("all", 4.0)])
def test_the_teachers_passes_are_counted(folders: dict[str, Path], routing: str, passes: float) -> None:
    assert Opd(config(routing=routing), TEACHERS, teachers_of(folders), WORDS).passes.prepared == pytest.approx(passes)


def test_figures_are_those_of_the_tokens(student: PreTrainedModel, folders: dict[str, Path]) -> None:
    method = Opd(config(), TEACHERS, teachers_of(folders), WORDS)
    whole = method.prepare(rows(), 5)
    updated = method.update(student, whole, method.weights(whole))
    assert float((updated.figures["kl"] * updated.mask_BK).sum() / TOKENS) == pytest.approx(
        float(updated.loss.detach())
    )
    own_TV = log_probs(student, 3, 1.0).detach()
    place = whole.sequences.mask_BK[0].nonzero()[0]
    assert float(updated.figures["entropy"][0, place]) == pytest.approx(float(-(own_TV.exp() * own_TV).sum()), rel=1e-5)


def test_a_reward_is_a_policy_gradient_beside_the_divergence(
    student: PreTrainedModel, folders: dict[str, Path]
) -> None:
    """Two prompts of two responses; the last response is a teacher's, and no reward is in its gradient."""
    made = config(prompts=2, group=2, reward={"weight": 0.5})
    batch = sequences(PROMPTS[:4], RESPONSES[:4], "cpu")
    rewards_B, own_B = torch.tensor([1.0, 0.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 1.0, 0.0])
    given = Rows(batch, ["sort"] * 4, rewards_B, rewards_B, torch.zeros_like(batch.mask_BK), own_B=own_B)
    advantage = 0.5 / 2**-0.5
    expected = torch.zeros((), dtype=torch.float64)
    tokens = sum(map(len, RESPONSES[:4]))
    models = {name: load_model(folder).eval() for name, folder in folders.items()}
    for row, sign in enumerate((1, -1, -1, 0)):
        own_TV = log_probs(student, row, 1.0)
        for teacher in TEACHERS[:2]:
            with torch.no_grad():
                other_TV = log_probs(models[teacher.name], row, 1.0)
            expected = expected + teacher.weight * (own_TV.exp() * (own_TV - other_TV)).sum() / tokens
        taken_T = own_TV.gather(1, torch.tensor(RESPONSES[row]).unsqueeze(1)).squeeze(1)
        expected = expected - 0.5 * sign * advantage * taken_T.sum() / tokens
    expected.backward()
    gradients = gradients_of(student)
    student.zero_grad()
    method = Opd(made, TEACHERS, teachers_of(folders), WORDS)
    assert method.needs_rewards
    whole = method.prepare(given, 4)
    method.update(student, whole, method.weights(whole)).loss.backward()
    for name, parameter in student.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6)


def test_domains_further_from_their_teachers_weigh_more(student: PreTrainedModel, folders: dict[str, Path]) -> None:
    method = Opd(config(gap={"high": 1.5}), TEACHERS, teachers_of(folders), WORDS)
    whole = method.prepare(rows(), 5)
    first_BK = method.weights(whole)
    assert float(first_BK.sum()) == pytest.approx(1.0), "nothing is known yet"
    kl_BK = method.update(student, whole, first_BK).figures["kl"]
    method.updated()
    means = {}
    for domain in set(DOMAINS):
        of_B = torch.tensor([one == domain for one in whole.domains])
        means[domain] = float((kl_BK[of_B]).sum() / whole.sequences.mask_BK[of_B].sum())
    saved = dict(method.state)
    second_BK = method.weights(whole)
    for row, domain in enumerate(whole.domains):
        factor = min(1.5, means[domain] / (sum(means.values()) / 3))
        torch.testing.assert_close(second_BK[row], first_BK[row] * factor, rtol=1e-4, atol=1e-7)
    again = Opd(config(gap={"high": 1.5}), TEACHERS, teachers_of(folders), WORDS)
    again.state = saved
    assert again.weights(whole).equal(second_BK)


def test_the_students_share_of_the_answers_is_exact(folders: dict[str, Path]) -> None:
    method = Opd(config(on_policy=0.75), TEACHERS, teachers_of(folders), WORDS)
    answers = method.answers("sort", range(400))
    assert answers.count(None) == 300
    assert set(answers) == {None, "a", "wide"}
    assert answers[40:80] == method.answers("sort", range(40, 80))
    assert set(method.answers("odd", range(40))) == {None, "a"}, "a weight of 0 is no voice"
    assert Opd(config(), TEACHERS, teachers_of(folders), WORDS).answers("sort", range(9)) == [None] * 9
    own = load_model(folders["b"]).state_dict()
    assert all(tensor.equal(own[name]) for name, tensor in method.reader("b").state_dict().items())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"reward": {"weight": 1.0}}, "`group` of at least 2"),
        ({"gap": {"low": 2.0, "high": 1.0}}, "can't be above"),
        ({"reward": {"weight": 1.0}, "group": 2, "on_policy": 0}, "has no effect"),
        ({"signal": {"type": "sampled_token"}, "on_policy": 0.5}, "student's own tokens"),
        ({"signal": {"type": "sampled_token"}, "softmax_temperature": 1.3}, "have to be equal"),
        ({"reward": {"weight": 1.0}, "group": 5, "temperature": 0.5}, "have to be equal"),
        ({"signal": {"type": "sampled_token"}, "ratio_max": 2.0}, "`ratio_max` has no effect"),
        ({"updates": 5, "ratio_max": 2.0}, "`ratio_max` has no effect"),
        ({"signal": {"type": "sampled_token"}, "updates": 5, "ratio_max": 1.0}, "greater than 1"),
        ({"signal": {"type": "sampled_token"}, "gap": {}}, "needs a divergence"),
    ],
)
def test_what_does_not_go_together(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        config(**values)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("routing", ["domain", "all"])
def test_a_gpu_in_bfloat16_gives_what_the_cpu_gives(
    student: PreTrainedModel, folders: dict[str, Path], routing: str
) -> None:
    made = config(routing=routing)
    expected = found(made, student, folders, micro_batch=5)
    gradients = gradients_of(student)
    student.zero_grad()
    on_gpu: Any = student.to("cuda")  # type: ignore[arg-type]
    method = Opd(made, TEACHERS, teachers_of(folders), WORDS)
    for model in method.frozen:
        model.to("cuda")  # type: ignore[arg-type]
    given = rows()
    batch = sequences(PROMPTS, RESPONSES, "cuda")
    zeros_B = torch.zeros(len(PROMPTS), device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        whole = method.prepare(Rows(batch, given.domains, zeros_B, zeros_B, torch.zeros_like(batch.mask_BK)), 5)
        updated = method.update(on_gpu, whole, method.weights(whole))
    updated.loss.backward()
    assert float(updated.loss.detach()) == pytest.approx(expected, rel=2e-2)
    for name, gradient in gradients_of(on_gpu).items():
        assert (gradient.cpu() - gradients[name]).norm() / gradients[name].norm() < 5e-2, name
