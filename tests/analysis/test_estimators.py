"""Estimators: gradients against plain autograd and against sums over the vocabulary, and the cases that are known."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from in_memory import SEED, TOKENIZER, WORDS, case_of, environment, model, texts, written
from torch import Tensor

from thicket.analysis.estimators import REPLICATES, _drawn, _gradient, analyze
from thicket.analysis.found import Found, Statistic
from thicket.analysis.gradients import SKETCH, Reader, Reading, _key
from thicket.config.analysis import Estimators
from thicket.ops import distillation, sketch
from thicket.reporting.jsonfile import plain
from thicket.reporting.pictures.estimators import picture
from thicket.statistics.ratios import ratio

STUDENT, TEACHER = 0, 1
PROMPT: list[int] = TOKENIZER("odd 31=")["input_ids"]


def analysed(student: Any, teacher: Any, items: int = 6, window: int = 6, **values: Any) -> Found:
    config = Estimators.model_validate({"type": "estimators", "resamples": 4, **values})
    asked = [environment("a", texts(items), window=window), environment("b", texts(3, 50), window=window)]
    return analyze(config, case_of({"student": student, "teacher": teacher}, asked))


def statistic(found: Found, name: str, domain: str, of: str = "") -> Statistic:
    (one,) = [one for one in found.statistics if (one.name, one.domain, one.of) == (name, domain, of)]
    return one


def readings(responses: list[list[int]]) -> tuple[Reader, Reading, Reader, Reading]:
    student, teacher = Reader(model(STUDENT), WORDS, SEED), Reader(model(TEACHER), WORDS, SEED)
    with torch.no_grad():
        judged = teacher.read(PROMPT, responses)
    return student, student.read(PROMPT, responses), teacher, judged


def naive(responses: list[list[int]]) -> Tensor:
    """The sketch of the gradient of Σ KL(p ‖ q) over the responses' positions, in float64, row by row."""
    student, teacher, loss = model(STUDENT).double(), model(TEACHER).double(), torch.zeros((), dtype=torch.float64)
    for response in responses:
        ids, first = torch.tensor([PROMPT + response]), len(PROMPT) - 1
        log_p, log_q = (one(ids).logits[0, first:-1, :WORDS].log_softmax(dim=-1) for one in (student, teacher))
        loss = loss + (log_p.exp() * (log_p - log_q.detach())).sum()
    loss.backward()
    found_M = torch.zeros(SKETCH, dtype=torch.float64)
    for name, parameter in student.named_parameters():
        assert parameter.grad is not None
        sketch.add(found_M, parameter.grad, _key(SEED, name))
    return found_M


def test_the_exact_gradient() -> None:
    responses = [[9, 10, 2], [11], [4, 4]]
    student, reading, teacher, judged = readings(responses)
    expected_M = naive(responses)
    for _ in range(2):  # the trunk's graph is there for more than one
        found_M, kl_T = _gradient(student, reading, teacher, judged, distillation.reverse_kl, reading.tokens_N)
        torch.testing.assert_close(found_M.double(), expected_M, rtol=1e-4, atol=1e-6 * float(expected_M.norm()))
        assert kl_T.shape == (6,)


def test_the_sampled_tokens_expectation_is_the_exact_gradient() -> None:
    """At one position: the sum over the vocabulary of probability times the gradient of that token."""
    student, reading, teacher, judged = readings([[7]])
    probability_V = student.log_probs(reading.hidden_NH).exp()[0].tolist()
    expected_M = torch.zeros(SKETCH, dtype=torch.float64)
    for token, probability in enumerate(probability_V):
        tokens_T = torch.tensor([token])
        one_M, _ = _gradient(student, reading, teacher, judged, distillation.sampled_token(None), tokens_T)
        expected_M += probability * one_M.double()
    exact_M = naive([[7]])
    assert float((expected_M - exact_M).norm() / exact_M.norm()) < 1e-5


def test_tokens_are_drawn_from_the_student() -> None:
    student, reading, _, _ = readings([[7, 8]])
    drawn_D2 = torch.stack(_drawn(student, reading, key=3, resamples=4000))
    expected_2V = student.log_probs(reading.hidden_NH).exp().detach()
    for place in range(2):
        share_V = torch.bincount(drawn_D2[:, place], minlength=WORDS) / 4000
        assert float((share_V - expected_2V[place]).abs().max()) < 4 * math.sqrt(0.25 / 4000)
    assert not drawn_D2[:, 0].equal(drawn_D2[:, 1])
    assert drawn_D2.equal(torch.stack(_drawn(student, reading, key=3, resamples=4000)))


def test_noise_and_bias_of_many_draws() -> None:
    """Against sums over the vocabulary, of responses of one token; the draws' mean is off by what they explain."""
    case = case_of({"s": model(STUDENT), "t": model(TEACHER)}, [environment("a", texts(2), window=1)])
    found = analyze(Estimators(type="estimators", resamples=256), case)
    noise = statistic(found, "token_noise", "a", "sampled_token")
    assert noise.weights_U is not None
    for place, prompt in enumerate(case.environments[0].prompts):
        student, teacher = (Reader(model(seed), WORDS, SEED) for seed in (STUDENT, TEACHER))
        reading, judged = student.read(prompt, [[7]]), teacher.read(prompt, [[7]])
        exact_M, _ = _gradient(student, reading, teacher, judged, distillation.reverse_kl, torch.tensor([7]))
        second = -float(exact_M.square().sum())
        for token, probability in enumerate(student.log_probs(reading.hidden_NH).exp()[0].tolist()):
            one_M, _ = _gradient(
                student, reading, teacher, judged, distillation.sampled_token(None), torch.tensor([token])
            )
            second += probability * float(one_M.square().sum())
        assert noise.amounts_U[place] == pytest.approx(second, rel=0.3)
        assert noise.weights_U[place] == pytest.approx(float(exact_M.square().sum()), rel=1e-4)
    values = found.figures["values"]
    chance = values["bias_noise:sampled_token:a"]
    assert 0.4 * chance < values["bias:sampled_token:a"] < 1.8 * chance
    assert values["cosine:sampled_token:a"] > 0.9
    few = analyze(Estimators(type="estimators", resamples=16), case).figures["values"]
    assert 2.5 * chance < few["bias_noise:sampled_token:a"] < 6 * chance, "four times: a sixteenth of the draws"


def test_a_top_k_of_the_whole_vocabulary_is_exact() -> None:
    found = analysed(model(STUDENT), model(TEACHER), k=WORDS)
    values = found.figures["values"]
    assert values["bias:top_k:a"] < 1e-5
    assert values["cosine:top_k:a"] == pytest.approx(1.0, abs=1e-9)
    assert values["variance:top_k:a"] == pytest.approx(values["variance:full_vocab:a"], rel=1e-4)
    less = analysed(model(STUDENT), model(TEACHER), k=2).figures["values"]
    assert less["bias:top_k:a"] > 0.01


def test_one_model_as_student_and_teacher() -> None:
    """The gradient is 0: nothing is relative to it, and nothing breaks."""
    found = analysed(model(STUDENT), model(STUDENT))
    assert statistic(found, "kl", "a").amounts_U == [0.0] * 6
    assert set(found.figures["values"].values()) == {None}
    for one in found.statistics:
        assert ratio(one.amounts_U, one.weights_U) == (0.0 if one.name == "kl" else None)
    json.dumps(plain(found.figures), allow_nan=False)
    assert {row["variance"] for row in found.tables["estimators"]} == {None}


def test_the_parts_of_the_sampled_tokens_variance() -> None:
    """Over prompts and draws together it is that over prompts, the floor, and that of the draws."""
    found = analysed(model(STUDENT), model(TEACHER), items=12, resamples=24)
    values = found.figures["values"]
    parts = values["variance:full_vocab:a"] + values["noise:sampled_token:a"]
    assert values["variance:sampled_token:a"] == pytest.approx(parts, rel=0.15)
    assert values["noise:sampled_token:a"] > 0.2 * parts
    replicates = found.figures["replicates"]
    known = [value for value in replicates["variance:sampled_token:a"] if value is not None]
    assert len(replicates["variance:sampled_token:a"]) == REPLICATES
    low, high = np.quantile(known, [0.1, 0.9])
    assert low < values["variance:sampled_token:a"] < high


def test_top1_has_a_bias_and_no_noise() -> None:
    """By prompt and of the batch."""
    found = analysed(model(STUDENT), model(TEACHER))
    row = {one["estimator"]: one for one in found.tables["estimators"] if one["domain"] == "a"}
    assert 0 < row["top1"]["cosine"] < 0.99  # type: ignore[operator]
    assert row["top1"]["bias"] > 0.1  # type: ignore[operator]
    assert row["top1"]["noise"] is None
    away = statistic(found, "item_bias", "a", "top1")
    assert ratio(away.amounts_U, away.weights_U) > 0.1  # type: ignore[operator]


def test_it_is_the_same_again_and_in_other_batches() -> None:
    one = analysed(model(STUDENT), model(TEACHER))
    assert one == analysed(model(STUDENT), model(TEACHER))
    config = Estimators(type="estimators", resamples=4)
    case = case_of({"student": model(STUDENT), "teacher": model(TEACHER)}, [environment("a", texts(6))])
    whole = analyze(config, case)
    assert statistic(whole, "kl", "a") == statistic(one, "kl", "a")
    again = analyze(config, replace(case, batch=2))
    for key, value in whole.figures["values"].items():
        assert again.figures["values"][key] == pytest.approx(value, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("teacher", [STUDENT, TEACHER])
def test_the_picture_shows_what_has_a_value(teacher: int) -> None:
    config = Estimators(type="estimators", resamples=4)
    case = case_of({"student": model(STUDENT), "teacher": model(teacher)}, [environment("a", texts(6))])
    found = analyze(config, case)
    variance, bias, cosine = picture(*written(found, case)).axes
    for axes, kind in ((variance, "variance"), (bias, "bias"), (cosine, "cosine")):
        shown = {str(line.get_label()): line.get_xdata() for line in axes.get_lines()}
        label = {"top1": "top 1", "sampled_token": "sampled token"}
        for name, text in label.items():
            value = found.figures["values"][f"{kind}:{name}:a"]
            assert (text in shown) == (value is not None)
            assert value is None or float(np.asarray(shown[text])[0]) == pytest.approx(value, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    config, asked = Estimators(type="estimators", resamples=4), [environment("a", texts(6))]

    def values(device: str) -> dict[str, float]:
        case = case_of({"student": model(STUDENT), "teacher": model(TEACHER)}, asked, device=device)
        return analyze(config, case).figures["values"]

    assert values("cuda") == pytest.approx(values("cpu"), rel=1e-3, abs=1e-5)
