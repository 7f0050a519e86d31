"""Distillation with several updates on a rollout batch: what is estimated at drawn tokens, though the student that drew
them is not the one of the moment. By enumeration of all tokens that it may have drawn, in float64."""

from collections.abc import Callable
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
from thicket.methods.opd import Opd
from thicket.models.characters import character_tokenizer
from thicket.models.folder import load_model, save_model
from thicket.models.teachers import Teachers, Voice
from thicket.sampling.rollouts import sequences

PROMPT, BEFORE = [5, 6, 7], 9
"""What every response begins with; the token after it is enumerated."""
WORDS = 40
TEACHERS = [Teacher(name="a", domain="sort", weight=0.5), Teacher(name="b", domain="sort", weight=1.5)]
SAMPLED = {"type": "sampled_token"}
REWARD = {"weight": 0.5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root, tokenizer = tmp_path_factory.mktemp("teachers"), character_tokenizer()
    for seed, name in enumerate(("a", "b"), start=1):
        save_model(random_llama(seed, 8, vocab_size=len(tokenizer)), tokenizer, root / name)
    return {name: root / name for name in ("a", "b")}


def student(seed: int = 0) -> PreTrainedModel:
    """Whose last logits are padding: no token has them, and they take probability where tokens are drawn alone."""
    return random_llama(seed, 8, vocab_size=len(character_tokenizer())).double()


def method(folders: dict[str, Path], **values: Any) -> Opd:
    made = {"prompts": WORDS, "group": 1, "steps": 1, "updates": 2, "optimizer": Optimizer(lr=1e-3), **values}
    voices = Teachers({name: Voice(folder) for name, folder in folders.items()})
    found = Opd(Config.model_validate({"type": "opd", **made}), TEACHERS, voices, WORDS)
    for model in found.frozen:
        model.double()
    return found


def last(model: PreTrainedModel) -> Tensor:
    """Logits after the prefix, logits_V, in float64."""
    return model(torch.tensor([[*PROMPT, BEFORE]])).logits[0, -1]


def every_token(method: Opd, old: PreTrainedModel) -> tuple[Rows, Tensor]:
    """A row for each token that may have been drawn, and the probability with which it was, old_B."""
    batch = sequences([PROMPT] * WORDS, [[BEFORE, token] for token in range(WORDS)], "cpu")
    nothing_B = torch.zeros(WORDS)
    given = Rows(batch, ["sort"] * WORDS, nothing_B, nothing_B, torch.zeros_like(batch.mask_BK))
    rows = method.prepare(given, 16)
    with torch.no_grad():
        log_old_V = (last(old) / method.config.temperature).log_softmax(dim=-1)
    drawn_B = rows.sequences.targets_BK[:, -1]
    log_old_BK = torch.stack([torch.zeros_like(nothing_B).double(), log_old_V[drawn_B]], dim=1)
    return replace(rows, old_log_probs_BK=log_old_BK), log_old_V[drawn_B].exp()


def expected_update(method: Opd, policy: PreTrainedModel, rows: Rows, old_B: Tensor) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradients of an update in which each token counts as often as it is drawn."""
    weights_BK = torch.stack([torch.zeros_like(old_B), old_B], dim=1)
    policy.zero_grad()
    updated = method.update(policy, rows, weights_BK)
    updated.loss.backward()
    kl = float((updated.figures["kl"] * weights_BK).sum())
    assert kl == pytest.approx(float(updated.loss.detach())), "the curve shows the same estimate"
    return kl, gradients_of(policy)


def gradients_of(model: PreTrainedModel) -> dict[str, Tensor]:
    return {name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None}


def exact(
    method: Opd, policy: PreTrainedModel, folders: dict[str, Path], more: Callable[[Tensor], Tensor], mass: float = 1.0
) -> tuple[float, dict[str, Tensor]]:
    """Σ_i w_i KL(p ‖ q_i) of the student of the moment by its formula, and the gradients of mass · that + more(p)."""
    temperature, total = method.config.softmax_temperature, torch.zeros((), dtype=torch.float64)
    log_p_V = (last(policy)[:WORDS] / temperature).log_softmax(dim=-1)
    for teacher in TEACHERS:
        with torch.no_grad():
            logits_V = last(load_model(folders[teacher.name]).double().eval())
        log_q_V = (logits_V[:WORDS] / temperature).log_softmax(dim=-1)
        total = total + teacher.weight * (log_p_V.exp() * (log_p_V - log_q_V)).sum()
    policy.zero_grad()
    (mass * total + more(log_p_V.exp())).backward()
    return float(total.detach()), gradients_of(policy)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """The norms of Llama's trunk compute in float32; tests/ops/test_distillation.py has the same in float64."""
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def nothing(p_V: Tensor) -> Tensor:
    return p_V.sum() * 0


@pytest.mark.parametrize(("drawn_at", "compared_at"), [(1.0, 1.0), (0.8, 1.3)])
def test_the_estimate_is_that_of_the_student_of_the_moment(
    folders: dict[str, Path], drawn_at: float, compared_at: float
) -> None:
    """In expectation over the old student's tokens it has the reverse KL's value and gradient at the new student."""
    made = method(folders, signal=SAMPLED, temperature=drawn_at, softmax_temperature=compared_at)
    rows, old_B = every_token(made, student(3))
    policy = student()
    value, gradients = expected_update(made, policy, rows, old_B)
    divergence, expected = exact(made, policy, folders, nothing)
    assert value == pytest.approx(divergence, rel=1e-6)
    assert_same(gradients, expected)


@pytest.mark.parametrize("signal", [{"type": "full_vocab"}, SAMPLED], ids=["the whole", "sampled"])
def test_the_rewards_gradient_is_that_of_the_student_of_the_moment(
    folders: dict[str, Path], signal: dict[str, Any]
) -> None:
    """That of −α Σ_v p(v) Â(v). The whole divergence is there once for each token, as often as that is drawn."""
    made = method(folders, signal=signal, reward=REWARD, group=2)
    rows, old_B = every_token(made, student(3))
    advantages_B = torch.linspace(-2, 2, WORDS, dtype=torch.float64)
    rows = replace(rows, advantages_BK=advantages_B.unsqueeze(1) * rows.sequences.mask_BK)
    policy = student()
    _, gradients = expected_update(made, policy, rows, old_B)
    of_token_V = torch.zeros(WORDS, dtype=torch.float64).index_put((rows.sequences.targets_BK[:, -1],), advantages_B)
    mass = 1.0 if signal is SAMPLED else float(old_B.sum())
    assert_same(gradients, exact(made, policy, folders, lambda p_V: -0.5 * (p_V * of_token_V).sum(), mass)[1])


@pytest.mark.parametrize("values", [{"signal": SAMPLED}, {"reward": REWARD, "group": 2}], ids=["signal", "reward"])
def test_tokens_that_have_become_too_likely_count_for_nothing(folders: dict[str, Path], values: dict[str, Any]) -> None:
    made, free = (method(folders, **values, **bound) for bound in ({"ratio_max": 2.0}, {}))
    rows, old_B = every_token(made, student(3))
    rows = replace(rows, advantages_BK=rows.sequences.mask_BK)
    policy = student()
    drawn_B = rows.sequences.targets_BK[:, -1]
    likelier_B = last(policy)[:WORDS].log_softmax(dim=-1)[drawn_B].exp() / old_B > 2
    assert 0 < int(likelier_B.sum()) < WORDS
    _, gradients = expected_update(made, policy, rows, old_B)
    without = replace(rows, advantages_BK=rows.advantages_BK * ~likelier_B.unsqueeze(1))
    of_signal_B = old_B * ~likelier_B if "signal" in values else old_B
    assert_same(gradients, expected_update(free, policy, without, of_signal_B)[1])


def test_a_student_that_has_not_moved_weighs_nothing(folders: dict[str, Path]) -> None:
    """The ratio is 1, as it is where nobody has asked for old probabilities, with one update a batch."""
    made = method(folders, signal=SAMPLED)
    policy = student()
    rows, old_B = every_token(made, policy)
    words_V = last(policy).detach()[:WORDS].log_softmax(dim=-1)
    old_BK = torch.stack([torch.zeros_like(old_B), words_V[rows.sequences.targets_BK[:, -1]]], dim=1)
    _, weighted = expected_update(made, policy, replace(rows, old_log_probs_BK=old_BK), old_B)
    _, plain = expected_update(made, policy, replace(rows, old_log_probs_BK=None), old_B)
    assert_same(weighted, plain)


def test_tokens_of_others_have_no_ratio(folders: dict[str, Path]) -> None:
    """What the student would never have written may have become infinitely likelier; no reward is in its gradient."""
    made = method(folders, reward=REWARD, group=2)
    rows, old_B = every_token(made, student(3))
    policy = student()
    _, expected = expected_update(made, policy, rows, old_B)
    rows = replace(rows, old_log_probs_BK=torch.full_like(rows.sequences.mask_BK, -1e4, dtype=torch.float64))
    assert_same(expected_update(made, policy, rows, old_B)[1], expected)


def test_old_probabilities_are_asked_for_where_something_is_estimated(folders: dict[str, Path]) -> None:
    assert not method(folders).needs_old
    assert not method(folders, signal={"type": "top1"}).needs_old
    assert method(folders, signal=SAMPLED).needs_old
    assert method(folders, reward=REWARD, group=2).needs_old
