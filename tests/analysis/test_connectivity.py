"""Lines between models: points against weights mixed by hand, and cases whose barrier and disagreement are known."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from banks import TOKENIZER
from dealing import dealt
from several import DOMAINS, case_of, drawn, mixed, near, of, small, value
from transformers import GenerationConfig, Qwen3MoeConfig, Qwen3MoeForCausalLM

from thicket.analysis.case import Case
from thicket.analysis.connectivity import analyze
from thicket.analysis.found import Found
from thicket.analysis.lines import Asking, alphas
from thicket.analysis.moved import Moved, beside, between
from thicket.analysis.weights import changes, opened
from thicket.config.analysis import Connectivity
from thicket.domains.registry import Answered
from thicket.domains.verdict import Verdict
from thicket.models.folder import load_model
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler

CONFIG = Connectivity(type="connectivity", points=5, random_directions=2)
SAMPLED = CONFIG.model_copy(update={"samples": 3, "random_directions": 0})


def reflected(model: Any) -> Any:
    """The same function by other weights: every hidden state has the other sign.

    RMSNorm and the maps to q, k, v and up are odd, scores of attention are even, and the gate is given its sign back.
    """
    other = type(model)(model.config)
    state = {
        name: -tensor if any(part in name for part in ("embed_tokens", "gate_proj", "lm_head")) else tensor
        for name, tensor in model.state_dict().items()
    }
    other.load_state_dict(state)
    return other.eval()


def said_by(case: Case, place: int, model: Any, samples: int = 1) -> list[list[str]]:
    """The texts of a model on a domain, with the draws of an evaluation."""
    asked = case.environments[place]
    requests = [
        Request(prompt, draws.key(case.seed, int(item.id, 16)), samples)
        for prompt, item in zip(asked.prompts, asked.items, strict=True)
    ]
    decoding = Decoding(0.0 if samples == 1 else 1.0, most=asked.domain.window.response)
    groups = TorchSampler(100).respond(model, TOKENIZER, requests, decoding, asked.stop_ids, None)
    return [[response.text for response in group] for group in groups]


def verdicts_on(case: Case, place: int, texts: list[list[str]]) -> list[bool]:
    asked = case.environments[place]
    answered = [(text, item) for group, item in zip(texts, asked.items, strict=True) for text in group]
    return [verdict.correct for verdict in asked.judge(answered)]


def score(case: Case, place: int, texts: list[list[str]]) -> float:
    return float(np.mean(verdicts_on(case, place, texts)))


def line(found: Found, pair: str, domain: str) -> dict[float, float]:
    rows = [row for row in found.tables["lines"] if (row["pair"], row["domain"]) == (pair, domain)]
    return {row["alpha"]: row["score"] for row in rows}  # type: ignore[misc]


def barriers(found: Found, pair: str, domain: str) -> tuple[float, list[float]]:
    key = f"barrier:{pair}:{domain}"
    return found.figures["values"][key], found.figures["replicates"][key]


@pytest.mark.parametrize("config", [CONFIG, SAMPLED], ids=["greedy", "sampled"])
def test_points_are_mixed_weights(tmp_path: Path, config: Connectivity) -> None:
    base = small(3)
    models = {"base": base, "one": near(base, 1, 0.3), "other": near(base, 2, 0.3)}
    case = case_of(tmp_path, models)
    found = analyze(config, case)
    loaded = {name: load_model(tmp_path / name).eval() for name in models}
    scores = set()
    for place, domain in enumerate(DOMAINS):
        for first, second in (("base", "one"), ("base", "other"), ("one", "other")):
            points = line(found, f"{first}~{second}", domain)
            assert list(points) == [0, 0.25, 0.5, 0.75, 1]
            for alpha, there in points.items():
                made = mixed(loaded[first], loaded[second], alpha)
                assert there == pytest.approx(score(case, place, said_by(case, place, made, config.samples)))
                scores.add(there)
            chord = [a * points[1] + (1 - a) * points[0] - points[a] for a in (0.25, 0.5, 0.75)]
            assert barriers(found, f"{first}~{second}", domain)[0] == pytest.approx(max(chord))
            assert value(of(found, "barrier_mid", domain, f"{first}~{second}")) == pytest.approx(chord[1])
        for name, model in loaded.items():
            there = score(case, place, said_by(case, place, model, config.samples))
            assert value(of(found, "score", domain, name)) == pytest.approx(there)
    assert len(scores) > 6, "points differ"


def test_disagreement_is_of_greedy_answers(tmp_path: Path) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.02)})
    for config in (CONFIG, SAMPLED):
        found = analyze(config, case)
        for place, domain in enumerate(DOMAINS):
            one, other = (said_by(case, place, load_model(tmp_path / name).eval()) for name in ("base", "one"))
            texts = of(found, "disagreement_text", domain, "base~one").amounts_U
            assert texts == [float(a != b) for a, b in zip(one, other, strict=True)]
            assert 0 < sum(texts) < len(texts)
            verdicts = of(found, "disagreement_verdict", domain, "base~one").amounts_U
            right = [verdicts_on(case, place, said) for said in (one, other)]
            assert verdicts == [float(a != b) for a, b in zip(*right, strict=True)]
            assert sum(verdicts) > 0


def test_a_twin_has_no_barrier(tmp_path: Path) -> None:
    case = case_of(tmp_path, {"base": small(3), "twin": small(3)})
    found = analyze(CONFIG, case)
    for domain in DOMAINS:
        point, replicates = barriers(found, "base~twin", domain)
        assert point == 0
        assert set(replicates) == {0.0}
        assert len(set(line(found, "base~twin", domain).values())) == 1
        for name in ("barrier_mid", "disagreement_verdict", "disagreement_text"):
            assert set(of(found, name, domain, "base~twin").amounts_U) == {0.0}
        own, beside_it = (of(found, name, domain, "twin").amounts_U for name in ("score", "random_score"))
        assert own == beside_it, "a direction of no length"
    whole = found.figures["deltas"]["twin"]
    assert (whole["norm"], whole["relative_norm"], whole["unchanged_share"]) == (0, 0, 1)
    assert found.figures["random_cosines"]["twin"] == {"cosines": [None, None], "deviation": None}
    assert "<svg" in drawn("connectivity", found, case, tmp_path / "drawn")


def test_equal_functions_with_nothing_between_them(tmp_path: Path) -> None:
    """Half-way between a model and its mirror image all hidden states are 0: the barrier is 1."""
    model = small(3)
    case = case_of(tmp_path, {"base": model, "mirror": reflected(model)})
    said = {
        asked.domain.name: {
            item.id: texts[0] for item, texts in zip(asked.items, said_by(case, place, model), strict=True)
        }
        for place, asked in enumerate(case.environments)
    }
    assert all(text for texts in said.values() for text in texts.values())

    def judged_by(domain: str) -> Any:
        def judge(answered: Sequence[Answered]) -> list[Verdict]:
            return [Verdict(text == said[domain][item.id]) for text, item in answered]

        return judge

    asked = [replace(one, judge=judged_by(one.domain.name)) for one in case.environments]
    found = analyze(CONFIG, replace(case, environments=asked))
    for domain in DOMAINS:
        points = line(found, "base~mirror", domain)
        assert (points[0], points[0.5], points[1]) == (1, 0, 1)
        assert barriers(found, "base~mirror", domain)[0] == 1
        assert found.figures["barriers"]["base~mirror"][domain] == {"chord": 1.0, "above_mean": 1.0}
        assert set(of(found, "barrier_mid", domain, "base~mirror").amounts_U) == {1.0}
        assert set(of(found, "disagreement_text", domain, "base~mirror").amounts_U) == {0.0}
    assert set(barriers(found, "base~mirror", "all")[1]) == {1.0}


def test_barriers_over_all_domains(tmp_path: Path) -> None:
    """Two domains with equally many items, which are resampled apart."""
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.5)})
    cut = [replace(one, items=one.items[:9], prompts=one.prompts[:9]) for one in case.environments]
    found = analyze(CONFIG, replace(case, environments=cut))
    points, draws_RD = zip(*(barriers(found, "base~one", domain) for domain in DOMAINS), strict=True)
    point, replicates = barriers(found, "base~one", "all")
    assert point == pytest.approx(np.mean(points))
    assert replicates == pytest.approx(np.mean(draws_RD, axis=0).tolist())
    assert len(replicates) == 500
    assert np.std(draws_RD, axis=1).min() > 0
    assert abs(np.corrcoef(draws_RD)[0, 1]) < 0.2
    assert found.figures["barriers"]["base~one"]["all"]["chord"] == pytest.approx(point)


def test_tables_of_weights(tmp_path: Path) -> None:
    base = small(3)
    one = near(base, 1, 0.1)
    models = {"base": base, "one": one, "back": mixed(base, one, 4.0)}
    found = analyze(CONFIG, case_of(tmp_path, models))
    q = "model.layers.0.self_attn.q_proj.weight"
    delta = (one.state_dict()[q] - base.state_dict()[q]).double().norm()
    (row,) = [row for row in found.tables["deltas"] if (row["model"], row["layer"], row["kind"]) == ("one", "0", "q")]
    assert row["norm"] == pytest.approx(float(delta))
    assert row["relative_norm"] == pytest.approx(float(delta / base.state_dict()[q].double().norm()))
    for row in found.tables["cosines"]:
        assert (row["a"], row["b"]) == ("one", "back")
        assert row["cosine"] == pytest.approx(-1, abs=1e-6)
    assert found.figures["cosines"]["one~back"] == pytest.approx(-1, abs=1e-6)
    for name in ("one", "back"):
        control = found.figures["random_cosines"][name]
        assert all(abs(cosine) < 5 * control["deviation"] for cosine in control["cosines"])
    rows = found.tables["controls"]
    assert len(rows) == 2 * 2 * 2
    for domain in DOMAINS:
        mean = np.mean([row["score"] for row in rows if (row["model"], row["domain"]) == ("one", domain)])  # type: ignore[arg-type]
        assert value(of(found, "random_score", domain, "one")) == pytest.approx(float(mean))


def test_equal_runs_and_other_batches(tmp_path: Path) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.3)})
    one = analyze(SAMPLED, case)
    assert one == analyze(SAMPLED, case)
    assert one == analyze(SAMPLED, replace(case, batch=100))


@pytest.mark.parametrize("config", [CONFIG, SAMPLED], ids=["greedy", "sampled"])
def test_points_are_dealt_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Connectivity) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.3), "other": near(base, 2, 0.3)})
    whole, dealings = analyze(config, case), dealt(monkeypatch)
    assert analyze(config, case) == whole
    parameters, points = map(len, dealings.shares)
    assert parameters == len(base.state_dict())
    assert points == 3 + 3 * 3 + 2 * config.random_directions


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same(tmp_path: Path) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.02)})
    one, other = analyze(CONFIG, case), analyze(CONFIG, replace(case, device="cuda"))
    for domain in DOMAINS:
        for name in ("base", "one"):
            assert of(one, "score", domain, name) == of(other, "score", domain, name)
    for row, there in zip(one.tables["deltas"], other.tables["deltas"], strict=True):
        assert there["norm"] == pytest.approx(row["norm"], rel=1e-12)
    control, there = (found.figures["random_cosines"]["one"] for found in (one, other))
    assert there["cosines"] == pytest.approx(control["cosines"], rel=1e-9)


def test_the_picture(tmp_path: Path) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.3), "far": small(4)})
    svg = drawn("connectivity", analyze(CONFIG, case), case, tmp_path / "drawn")
    assert all(name in svg for name in ("base~one", "one~far", "random directions", "sort", "odd"))
    without = drawn("connectivity", analyze(SAMPLED, case), case, tmp_path / "without")
    assert "random directions" not in without


def test_the_middle_is_always_a_point() -> None:
    assert alphas(3) == [0, 0.5, 1]
    assert alphas(4) == pytest.approx([0, 1 / 3, 0.5, 2 / 3, 1])
    assert len(alphas(11)) == 11


def test_models_of_another_shape_are_refused(tmp_path: Path) -> None:
    case = case_of(tmp_path, {"base": small(0), "wide": small(0, hidden_size=32)})
    with pytest.raises(ValueError, match="wide can't be compared with base"):
        analyze(CONFIG, case)


def test_an_end_of_one_model_ends_all_answers(tmp_path: Path) -> None:
    case = case_of(tmp_path, {"base": small(3), "twin": small(3)})
    GenerationConfig(eos_token_id=[2, 7]).save_pretrained(tmp_path / "twin")
    (tmp_path / "base/generation_config.json").unlink()
    with opened(case.models) as weights:
        asked = Asking(CONFIG, case, weights).environments
    assert [one.stop_ids for one in asked] == [[2, 7], [2, 7]]


# -- Putting weights in place ------------------------------------------------------------------------------------------


def mixture(seed: int) -> Any:
    """Its files name and shape the experts otherwise than the model does."""
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1, "num_attention_heads": 2}
    experts = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 8, "num_key_value_heads": 2}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Qwen3MoeForCausalLM(Qwen3MoeConfig(vocab_size=len(TOKENIZER), head_dim=8, **sizes, **experts)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [small, mixture, lambda seed: small(seed, tie_word_embeddings=True)])
def test_a_model_in_place(tmp_path: Path, make: Any) -> None:
    one, other = make(0), make(1)
    case = case_of(tmp_path, {"one": one, "other": other})
    with opened(case.models) as (first, second):
        moved = Moved(first, "cpu")
        for alpha in (0.3, 1.0, 0.0):
            there = moved.to(between(first, second, alpha, "cpu")).state_dict()
            for name, tensor in mixed(one, other, alpha).state_dict().items():
                assert torch.equal(there[name], tensor)


def test_weights_beside_the_base(tmp_path: Path) -> None:
    base = small(0)
    case = case_of(tmp_path, {"base": base, "one": near(base, 1, 0.1), "far": near(base, 2, 0.5)})
    with opened(case.models) as weights:
        by_name = changes(weights)
        there = {seed: dict(beside(weights[0], by_name, 1, seed, "cpu")) for seed in (1, 2)}
        again = dict(beside(weights[0], by_name, 1, 1, "cpu"))
    for name, tensor in there[1].items():
        assert torch.equal(tensor, again[name])
        deltas = [(there[seed][name] - base.state_dict()[name]).double().flatten() for seed in (1, 2)]
        for delta in deltas:
            assert float(delta.norm()) == pytest.approx(float(by_name[name].norms_M[1]), rel=1e-4)
        cosine = torch.nn.functional.cosine_similarity(*deltas, dim=0)
        assert abs(float(cosine)) < 5 / tensor.numel() ** 0.5
