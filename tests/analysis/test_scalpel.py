"""KL, gain, forgetting and change of the weights against loops over single responses in float64."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from banks import TOKENIZER
from several import DOMAINS, case_of, drawn, near, of, small, value
from torch import Tensor

from thicket.analysis.case import Case
from thicket.analysis.scalpel import analyze
from thicket.config.analysis import Scalpel
from thicket.models.folder import load_model
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.rollouts import Request, Response
from thicket.sampling.sampler import TorchSampler

CONFIG = Scalpel(type="scalpel", samples=2)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    base = small(3)
    return case_of(tmp_path, {"base": base, "near": near(base, 1, 0.1), "far": near(base, 2, 0.4)})


def said(case: Case, model: Any, place: int) -> list[list[Response]]:
    asked = case.environments[place]
    requests = [
        Request(prompt, draws.key(case.seed, int(item.id, 16)), CONFIG.samples)
        for prompt, item in zip(asked.prompts, asked.items, strict=True)
    ]
    decoding = Decoding(1.0, most=asked.domain.window.response)
    return TorchSampler(100).respond(model, TOKENIZER, requests, decoding, asked.stop_ids, None)


def log_probs(model: Any, prompt: list[int], response: list[int]) -> Tensor:
    with torch.no_grad():
        logits_TV = model(torch.tensor([prompt + response])).logits[0, len(prompt) - 1 : -1]
    return logits_TV.double().log_softmax(dim=-1)


def nats(case: Case, p: Any, q: Any, place: int) -> list[float]:
    """KL(p ‖ q), summed over the tokens of p's responses to each item."""
    found = []
    for prompt, group in zip(case.environments[place].prompts, said(case, p, place), strict=True):
        total = 0.0
        for response in group:
            log_p, log_q = (log_probs(model, prompt, response.tokens) for model in (p, q))
            total += float((log_p.exp() * (log_p - log_q)).sum())
        found.append(total)
    return found


def scores(case: Case, model: Any, place: int) -> list[float]:
    asked = case.environments[place]
    return [
        float(np.mean([verdict.correct for verdict in asked.judge([(one.text, item) for one in group])]))
        for group, item in zip(said(case, model, place), asked.items, strict=True)
    ]


def test_against_single_responses(case: Case) -> None:
    found = analyze(CONFIG, case)
    base, *others = (load_model(subject.folder).eval() for subject in case.models)
    for name, model in zip(("near", "far"), others, strict=True):
        gains = []
        for place, domain in enumerate(DOMAINS):
            own, reference = scores(case, model, place), scores(case, base, place)
            assert of(found, "score", domain, name).amounts_U == own
            assert of(found, "score", domain, "base").amounts_U == reference
            gains.append([a - b for a, b in zip(own, reference, strict=True)])
            assert of(found, "gain", domain, name).amounts_U == gains[-1]
            for kind, p, q in (("kl_model_base", model, base), ("kl_base_model", base, model)):
                one = of(found, kind, domain, name)
                assert one.amounts_U == pytest.approx(nats(case, p, q, place), rel=1e-4, abs=1e-5)
                assert one.weights_U == [
                    sum(len(response.tokens) for response in group) for group in said(case, p, place)
                ]
        assert value(of(found, "forgetting", "all", name)) == pytest.approx(-np.mean(gains[1]))
    near_by, far_away = (value(of(found, "kl_model_base", "sort", name)) for name in ("near", "far"))
    assert 0 < near_by < far_away  # type: ignore[operator]


def test_domains_elsewhere_count_alike(case: Case) -> None:
    """Three domains, of 12, 9 and 5 items; the first is the one that the models were trained on."""
    first, second = case.environments
    third = replace(
        first,
        domain=first.domain.model_copy(update={"name": "third"}),
        items=first.items[:5],
        prompts=first.prompts[:5],
    )
    found = analyze(CONFIG, replace(case, environments=[first, second, third]))
    lost = [-float(np.mean(of(found, "gain", domain, "far").amounts_U)) for domain in ("odd", "third")]
    assert value(of(found, "forgetting", "all", "far")) == pytest.approx(np.mean(lost))
    assert len(of(found, "forgetting", "all", "far").amounts_U) == 9 + 5
    row = found.tables["models"][1]
    assert row["forgetting"] == pytest.approx(np.mean(lost))
    elsewhere = [value(of(found, "kl_model_base", domain, "far")) for domain in ("odd", "third")]
    assert row["kl_model_base_elsewhere"] == pytest.approx(np.mean(elsewhere))  # type: ignore[arg-type]


def test_tables_and_ratios(case: Case) -> None:
    found = analyze(CONFIG, case)
    for name, row in zip(("near", "far"), found.tables["models"], strict=True):
        assert row["model"] == name
        for column in ("score", "gain", "kl_model_base", "kl_base_model"):
            assert row[column] == pytest.approx(value(of(found, column, "sort", name)))
        gain, kl, lost = (row[column] for column in ("gain", "kl_model_base", "forgetting"))
        values, replicates = found.figures["values"], found.figures["replicates"]
        assert values[f"gain_per_kl:{name}"] == pytest.approx(gain / kl)  # type: ignore[operator]
        assert values[f"forgetting_per_kl:{name}"] == pytest.approx(lost / kl)  # type: ignore[operator]
        ratio = lost / gain if gain else math.nan  # type: ignore[operator]
        assert values[f"forgetting_per_gain:{name}"] == pytest.approx(ratio, nan_ok=True)
        drawn_R = np.array(replicates[f"gain_per_kl:{name}"])
        assert drawn_R.shape == (500,)
        assert drawn_R.min() < gain / kl < drawn_R.max()  # type: ignore[operator]
    base, far = (load_model(case.models[place].folder).state_dict() for place in (0, 2))
    k = "model.layers.0.self_attn.k_proj.weight"
    (row,) = [row for row in found.tables["kinds"] if (row["model"], row["kind"]) == ("far", "k")]
    relative = (far[k] - base[k]).double().norm() / base[k].double().norm()
    assert row["relative_norm"] == pytest.approx(float(relative))
    (row,) = [row for row in found.tables["kinds"] if (row["model"], row["kind"]) == ("far", "all")]
    assert row["relative_norm"] == value(of(found, "weight_change", "all", "far"))


def test_a_twin_of_the_base(tmp_path: Path) -> None:
    case = case_of(tmp_path, {"base": small(3), "twin": small(3)})
    found = analyze(CONFIG, case)
    for domain in DOMAINS:
        for name in ("gain", "kl_model_base", "kl_base_model"):
            assert set(of(found, name, domain, "twin").amounts_U) == {0.0}
    assert value(of(found, "forgetting", "all", "twin")) == 0
    assert value(of(found, "weight_change", "all", "twin")) == 0
    assert value(of(found, "unchanged_share", "all", "twin")) == 1
    assert math.isnan(found.figures["values"]["gain_per_kl:twin"])
    assert "<svg" in drawn("scalpel", found, case, tmp_path / "drawn")


def test_one_domain_alone(case: Case, tmp_path: Path) -> None:
    alone = replace(case, environments=case.environments[:1])
    found = analyze(CONFIG, alone)
    assert "forgetting" not in {one.name for one in found.statistics}
    assert [row["forgetting"] for row in found.tables["models"]] == [None, None]
    assert {key.partition(":")[0] for key in found.figures["values"]} == {"gain_per_kl"}
    assert "<svg" in drawn("scalpel", found, alone, tmp_path / "drawn")


def test_equal_runs_other_batches_and_the_picture(case: Case, tmp_path: Path) -> None:
    found, other = analyze(CONFIG, case), analyze(CONFIG, replace(case, batch=100))
    again = analyze(CONFIG, case)
    assert (found.statistics, found.tables) == (again.statistics, again.tables)
    for one, same in zip(found.statistics, other.statistics, strict=True):
        assert one.amounts_U == pytest.approx(same.amounts_U, rel=1e-4, abs=1e-5)
    svg = drawn("scalpel", found, case, tmp_path / "drawn")
    assert all(name in svg for name in ("near", "far", "KL on sort", "embedding"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_finds_the_same(tmp_path: Path) -> None:
    base = small(3)
    case = case_of(tmp_path, {"base": base, "near": near(base, 1, 0.02)})
    one, other = analyze(CONFIG, case), analyze(CONFIG, replace(case, device="cuda"))
    for domain in DOMAINS:
        for kind in ("kl_model_base", "kl_base_model"):
            expected, there = (value(of(found, kind, domain, "near")) for found in (one, other))
            assert there == pytest.approx(expected, rel=1e-3)


def test_models_of_another_shape_are_refused(tmp_path: Path) -> None:
    case = case_of(tmp_path, {"base": small(0), "wide": small(0, hidden_size=32)})
    with pytest.raises(ValueError, match="wide can't be compared with base"):
        analyze(CONFIG, case)
