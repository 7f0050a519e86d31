"""The analysis against plain forward passes in float64, on models whose differences are known.

Legend: N positions, T tokens of a response, V vocabulary.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import random_llama
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import LlamaForCausalLM

from thicket.analysis import divergence, positions
from thicket.analysis.case import Case, Subject
from thicket.analysis.divergence import Along, analyze
from thicket.analysis.found import Found, Statistic
from thicket.analysis.positions import Positions, Written, measure, written
from thicket.config.analysis import Divergence
from thicket.config.domain import ScoredDomain
from thicket.domains.item import Item, item_id
from thicket.models.characters import character_tokenizer
from thicket.ops.token_divergence import TokenDivergence
from thicket.reporting.jsonfile import plain
from thicket.reporting.pictures.draw import draw
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import encode_prompts, stop_ids
from thicket.stages.analyze import _write_csv
from thicket.statistics.ratios import ratio

TOKENIZER = character_tokenizer()
WORDS = len(TOKENIZER)
PADDED = WORDS + 23
"""Of the models' vocabulary, columns and all."""
CONFIG = Divergence(type="divergence", items=6, samples=5, bins=8)
RESPONSES = [
    Written(0, [1, 5, 6, 7], [9, 10, 11, 2]),
    Written(0, [1, 5, 6, 7], [12]),
    Written(1, [1, 8], [13, 14, 15, 16, 17, 18, 4]),
    Written(2, [1, 9, 10], [20, 21, 22]),
]


@dataclass(frozen=True)
class InMemory(Subject):
    """A model that is made already."""

    model: Any = None

    def load(self, device: str) -> Any:
        return self.model.to(device)


def llama(seed: int, vocabulary: int = WORDS) -> LlamaForCausalLM:
    return random_llama(seed, spread=12, vocab_size=vocabulary)


def planted(token: int, favourite: int) -> LlamaForCausalLM:
    """The model of seed 0, but that after one token it nearly always goes on with another one."""
    model = llama(0)
    aim_H = model.lm_head.weight[favourite].detach()
    push_H = 60 * aim_H / (aim_H @ aim_H)

    def hook(module: Any, args: Any, given: dict[str, Any], output: Any) -> Any:
        # After the last layer, so that no other position sees it.
        output.last_hidden_state = output.last_hidden_state + (given["input_ids"] == token).unsqueeze(-1) * push_H
        return output

    model.model.register_forward_hook(hook, with_kwargs=True)
    return model


def environment(name: str, *questions: str) -> Environment:
    domain = ScoredDomain.model_validate(
        {"name": name, "verifier": {"type": "exact"}, "stop": "\n", "window": {"prompt": 16, "response": 8}}
    )
    items = [Item(item_id(f"{name}{question}"), question, "", 1) for question in questions]
    prompts = encode_prompts(TOKENIZER, items, 16, name)
    return Environment(domain, items, prompts, stop_ids(TOKENIZER, "\n"), lambda answered: [])


def case_of(base: Any, other: Any, folder: Path, device: str = "cpu") -> Case:
    return Case(
        models=[InMemory("base", folder, base), InMemory("other", folder, other)],
        environments=[environment("sort", "31=", "4=", "215="), environment("odd", "7=", "abc=", "x=", "12=")],
        tokenizer=TOKENIZER,
        seed=3,
        batch=8,
        device=device,
        scratch=folder,
        tell=lambda share, text: None,
    )


def of(found: Found, name: str, domain: str, along: str) -> Statistic:
    (one,) = (one for one in found.statistics if (one.name, one.domain, one.of) == (name, domain, along))
    return one


def value(one: Statistic) -> float | None:
    return ratio(one.amounts_U, one.weights_U)


def exact_log_probs(model: Any, one: Written) -> Tensor:
    """From a forward pass over this response alone, log_probs_TV in float64."""
    with torch.no_grad():
        logits_LV = model(torch.tensor([one.prompt + one.tokens])).logits[0]
    first = len(one.prompt) - 1
    return logits_LV[first : first + len(one.tokens), :WORDS].double().log_softmax(dim=-1)


def kl(log_p_TV: Tensor, log_q_TV: Tensor) -> Tensor:
    return (log_p_TV.exp() * (log_p_TV - log_q_TV)).sum(dim=-1)


def naive(base: Any, other: Any, one: Written, top: int) -> dict[str, list[float]]:
    p_TV, q_TV = exact_log_probs(base, one), exact_log_probs(other, one)
    m_TV = ((p_TV.exp() + q_TV.exp()) / 2).log()
    first_T = q_TV.argmax(dim=-1)
    rows = list(zip(p_TV, q_TV, first_T.tolist(), strict=True))
    return {
        "js": ((kl(p_TV, m_TV) + kl(q_TV, m_TV)) / 2).tolist(),
        "kl_other_base": kl(q_TV, p_TV).tolist(),
        "kl_base_other": kl(p_TV, q_TV).tolist(),
        "entropy_base": (-(p_TV.exp() * p_TV).sum(dim=-1)).tolist(),
        "entropy_other": (-(q_TV.exp() * q_TV).sum(dim=-1)).tolist(),
        "rank": [1.0 + sum(float(p_V[v]) > float(p_V[first]) for v in range(WORDS)) for p_V, _, first in rows],
        "base_probability": [float(p_V[first].exp()) for p_V, _, first in rows],
        "overlap": [
            len({*p_V.topk(top).indices.tolist()} & {*q_V.topk(top).indices.tolist()}) / top for p_V, q_V, _ in rows
        ],
        "same": [float(int(p_V.argmax()) == first) for p_V, _, first in rows],
    }


def test_figures_of_every_position_equal_those_of_a_plain_forward_pass() -> None:
    """Prompts and responses of different lengths; the padding columns beyond the tokenizer take no probability."""
    base, other = llama(0, PADDED), llama(1, PADDED)
    for model in (base, other):
        model.lm_head.weight.data[WORDS:] *= 30
    found = measure(base, other, RESPONSES, WORDS, candidates=3, batch=3)
    assert found.item_N.tolist() == [0] * 5 + [1] * 7 + [2] * 3
    assert found.token_N.tolist() == [token for one in RESPONSES for token in one.tokens]
    assert found.place_N.tolist() == [0, 1, 2, 3, 0, 0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert found.length_N.tolist() == [4] * 4 + [1] + [7] * 7 + [3] * 3
    expected = [naive(base, other, one, 3) for one in RESPONSES]
    for name in expected[0]:
        joined = [figure for one in expected for figure in one[name]]
        assert found.figure(name).tolist() == pytest.approx(joined, rel=2e-5, abs=1e-6), name
    assert found.figure("js").max() > 0.1


def test_equal_models_differ_nowhere(tmp_path: Path) -> None:
    found = analyze(CONFIG, case_of(llama(0), llama(0), tmp_path))
    expected = {"js_below_0.0001": 1, "js_below_0.1": 1, "js_mean": 0, "argmax_same": 1, "topk_overlap": 1}
    expected |= {"high_share": 0, "top1_in_base_topK": None, "type_also_low": None, "changed_rare": None}
    for name, known in expected.items():
        values = [value(one) for one in found.statistics if one.name == name]
        assert values == [known] * 4, name
    assert all(math.isnan(share) for shares in found.figures["replicates"].values() for share in shares)
    assert all(row["share"] is None for row in found.tables["ranks"])
    shares = [(one.amounts_U, one.weights_U) for one in found.statistics if one.name == "entropy_base"]
    assert shares[0] == shares[1], "equal models write equal responses"


def test_planted_positions_are_found_and_no_others(tmp_path: Path) -> None:
    (token,) = TOKENIZER("=", add_special_tokens=False)["input_ids"]
    (favourite,) = TOKENIZER("q", add_special_tokens=False)["input_ids"]
    case = case_of(llama(0), planted(token, favourite), tmp_path)
    base, other = (subject.load("cpu") for subject in case.models)
    found = analyze(CONFIG, case)
    for asked in case.environments:
        domain = asked.domain.name
        for along, author in (("along-base", base), ("along-other", other)):
            responses = list(written(case, author, asked, 5, Decoding(1.0)))
            assert len(responses) == 5 * len(asked.items)
            before = [[one.prompt[-1], *one.tokens[:-1]] for one in responses]
            marked_N = np.array([of_one == token for row in before for of_one in row])
            js_N = measure(base, other, responses, WORDS, 3, 8).figure("js")
            assert js_N[~marked_N].tolist() == [0.0] * int((~marked_N).sum())
            assert (js_N[marked_N] > 0.1).all()
            high = of(found, "high_share", domain, along)
            planted_I = [
                sum(row.count(token) for row, one in zip(before, responses, strict=True) if one.item == place)
                for place in range(len(asked.items))
            ]
            assert high.amounts_U == planted_I
            assert high.weights_U is not None
            assert sum(high.weights_U) == len(js_N)
            below = value(of(found, "js_below_0.0001", domain, along))
            assert below == pytest.approx(1 - sum(planted_I) / len(js_N))
            rows = [row for row in found.tables["position"] if (row["domain"], row["along"]) == (domain, along)]
            assert rows[0]["share_high"] == 1.0, "every prompt ends with the token"
        asked_of = [row for row in found.tables["tokens"] if (row["domain"], row["along"]) == (domain, "along-other")]
        (count,) = (int(str(row["high"])) for row in asked_of if row["token"] == "q")
        assert count >= 4 * len(asked.items), "what is nearly always written at the first of the positions"


def test_memory_is_that_of_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    base, other = llama(0, PADDED), llama(1, PADDED)
    weights = {one.untyped_storage().data_ptr() for model in (base, other) for one in model.parameters()}

    class Largest(TorchDispatchMode):
        """The largest tensor with a row of the vocabulary for every position."""

        def __init__(self) -> None:
            super().__init__()
            self.numbers = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            made = func(*args, **(kwargs or {}))
            for one in made if isinstance(made, (tuple, list)) else [made]:
                wide = isinstance(one, Tensor) and one.dim() > 1 and one.shape[-1] in (WORDS, PADDED)
                if wide and one.untyped_storage().data_ptr() not in weights:
                    self.numbers = max(self.numbers, one.numel())
            return made

    whole, parts = Largest(), Largest()
    with whole:
        expected = measure(base, other, RESPONSES, WORDS, 3, batch=8)
    monkeypatch.setattr(positions, "ELEMENTS", 4 * PADDED)
    with parts:
        found = measure(base, other, RESPONSES, WORDS, 3, batch=8)
    assert whole.numbers == 15 * PADDED
    assert parts.numbers == 4 * PADDED
    for name in ("js", "entropy_other", "rank", "overlap"):
        assert found.figure(name).tolist() == pytest.approx(expected.figure(name).tolist(), rel=1e-5, abs=1e-7)


def test_batches_hold_what_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = lambda width, most: [len(rows) for rows in positions._batches(RESPONSES, width, most)]  # noqa: E731
    assert sizes(16, 8) == [4]
    assert sizes(16, 3) == [3, 1]
    monkeypatch.setattr(positions, "ELEMENTS", 16 * 18)
    assert sizes(16, 8) == [2, 2], "8 and 5 tokens, twice 8; 9 and 6, twice 9"
    monkeypatch.setattr(positions, "ELEMENTS", 1)
    assert sizes(16, 8) == [1, 1, 1, 1]


def same(one: Found, another: Found) -> bool:
    return repr((one.statistics, one.tables, one.figures)) == repr(
        (another.statistics, another.tables, another.figures)
    )


def test_equal_seeds_give_equal_results(tmp_path: Path) -> None:
    case = case_of(llama(0), llama(1), tmp_path)
    found = analyze(CONFIG, case)
    assert same(found, analyze(CONFIG, case))
    assert not same(found, analyze(CONFIG, replace(case, seed=4)))
    cooler = CONFIG.model_copy(update={"temperature": 0.3})
    assert not same(found, analyze(cooler, case))
    shared = found.figures["values"]["token_share_of_variance:along-other:sort"]
    replicates = found.figures["replicates"]["token_share_of_variance:along-other:sort"]
    assert len(replicates) == divergence.REPLICATES
    assert min(replicates) < shared < max(replicates)


def along(js: list[float], tokens: list[int], lengths: list[int], **figures: list[float]) -> Along:
    """Positions with figures that are given; the first half of the responses answers the first of two items."""
    zeros_N = torch.zeros(len(js))
    given = {f"{name}_N": torch.tensor(values) for name, values in ({"js": js} | figures).items()}
    blank = dict.fromkeys(TokenDivergence.__dataclass_fields__, zeros_N)
    items = [2 * place // len(lengths) for place in range(len(lengths))]
    made = Positions(
        item_N=np.repeat(items, lengths),
        token_N=np.array(tokens),
        place_N=np.concatenate([np.arange(length) for length in lengths]),
        length_N=np.repeat(lengths, lengths),
        figures=TokenDivergence(**(blank | given)),
    )
    config = CONFIG.model_copy(update={"cuts": [0.01, 0.2]})
    return divergence._along(config, environment("sort", "1=", "2="), "along-other", made)


def test_statistics_by_hand() -> None:
    """Two items of four positions each; high: the second, third and last; low, below 0.01: the first and fifth."""
    made = along(
        js=[0.005, 0.3, 0.15, 0.05, 0.0, 0.02, 0.03, 0.4],
        tokens=[5, 5, 6, 7, 8, 8, 5, 8],
        lengths=[4, 4],
        rank=[1, 3, 4, 1, 1, 2, 2, 1],
        base_probability=[0.9, 0.3, 0.001, 0.5, 0.9, 0.001, 0.6, 0.002],
        same=[1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0],
        overlap=[1.0, 0.5, 0.0, 1.0, 1.0, 1.0, 0.5, 1.0],
    )
    config = CONFIG.model_copy(update={"cuts": [0.01, 0.2]})
    found = {one.name: (list(one.amounts_U), one.weights_U) for one in divergence._statistics(config, made)}
    assert found["js_below_0.01"] == ([1, 1], [4, 4])
    assert found["js_below_0.2"] == ([3, 3], [4, 4])
    assert found["high_share"] == ([2, 1], [4, 4])
    assert found["argmax_same"] == ([2, 2], [4, 4])
    assert found["topk_overlap"] == ([2.5, 3.5], [4, 4])
    assert found["top1_in_base_top1"] == ([0, 1], [2, 1])
    assert found["top1_in_base_topK"] == ([1, 1], [2, 1])
    assert found["top1_base_rare"] == ([1, 1], [2, 1])
    assert found["changed_in_base_topK"] == ([1, 2], [2, 2])
    assert found["changed_rare"] == ([1, 1], [2, 2])
    assert found["type_also_low"] == ([1, 1], [2, 1]), "tokens 5 and 8 are low somewhere, 6 is not"
    assert found["type_low_share"] == (pytest.approx([1 / 3, 1 / 3]), [2, 1])
    assert found["js_mean"] == (pytest.approx([0.505, 0.45]), [4, 4])


def test_low_is_the_largest_cut_below_high() -> None:
    cuts = [[0.3, 1e-4, 0.02], [0.1], [0.5]]
    assert [divergence._low(CONFIG.model_copy(update={"cuts": one})) for one in cuts] == [0.02, 0.1, 0.1]


def test_tables_by_hand() -> None:
    js = [0.4, 0.0, 0.2, 0.3, 0.09, 0.0, 0.0, 0.0, 0.05]
    made = along(
        js=js,
        tokens=[5, 4, 4, 5, 5, 5, 5, 4, 5],
        lengths=[3, 1, 5],
        rank=[2.0, 1.0, 12.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0],
        entropy_base=[3.0, 0.0, 2.0, 3.5, 0.5, 0.25, 0.0, 0.0, 1.0],
    )
    rows = list(divergence._by_position(made, 2))
    # First halves: places 0 of 3; 0 of 1; 0 and 1 of 5 (half the way, place 2, begins the second half).
    assert [(row["bin"], row["positions"]) for row in rows] == [(0, 4), (1, 5)]
    assert [row["js"] for row in rows] == pytest.approx([0.79 / 4, 0.25 / 5])
    assert [row["share_high"] for row in rows] == pytest.approx([2 / 4, 1 / 5])
    ranks = {row["rank"]: row["share"] for row in divergence._by_rank(made)}
    assert list(ranks) == [*map(str, range(1, 11)), ">10"]
    assert (ranks["1"], ranks["2"], ranks[">10"]) == pytest.approx((0, 2 / 3, 1 / 3))
    five, four = divergence._by_type(made, TOKENIZER)
    assert (five["token"], five["count"], five["low"], five["high"]) == (" ", 6, 2, 2)
    assert (four["token"], four["id"], four["count"], four["low"], four["high"]) == ("\\n", 4, 3, 2, 1)
    assert five["js"] == pytest.approx((0.4 + 0.3 + 0.09 + 0.05) / 6)
    entropies = list(divergence._by_entropy(made, 3))
    assert [row["entropy"] for row in entropies] == pytest.approx([0, 1.75 / 3, 8.5 / 3])
    assert [row["js"] for row in entropies] == pytest.approx([0, 0.14 / 3, 0.9 / 3])
    assert divergence._correlations(made)["pearson"] == pytest.approx(
        np.corrcoef(js, made.positions.figure("entropy_base"))[0, 1]
    )


@pytest.mark.parametrize("other", [lambda: llama(0), lambda: llama(1)], ids=["equal", "different"])
def test_it_can_be_drawn(tmp_path: Path, other: Callable[[], Any]) -> None:
    found = analyze(CONFIG, case_of(llama(0), other(), tmp_path))
    statistics = [
        {
            "name": one.name,
            "domain": one.domain,
            "of": one.of,
            "value": value(one),
            "low": value(one),
            "high": value(one),
        }
        for one in found.statistics
    ]
    result = {
        "analysis": CONFIG.model_dump(),
        "name": "sparse",
        "models": ["base", "other"],
        "domains": ["sort", "odd"],
        "statistics": statistics,
        "figures": plain(found.figures),
    }
    (tmp_path / "result.json").write_text(json.dumps(result, allow_nan=False), encoding="utf-8")
    for name, rows in found.tables.items():
        _write_csv(tmp_path / f"{name}.csv", rows)
    draw("divergence", tmp_path)
    drawn = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    assert drawn.count("responses of ") == 2
    assert "rank in base of other" in drawn


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_figures_on_a_gpu_are_those_of_the_cpu() -> None:
    base, other = (InMemory(str(seed), Path(), llama(seed, PADDED)) for seed in range(2))
    expected = measure(base.load("cpu"), other.load("cpu"), RESPONSES, WORDS, 3, 3)
    found = measure(base.load("cuda"), other.load("cuda"), RESPONSES, WORDS, 3, 3)
    for name in TokenDivergence.__dataclass_fields__:
        figure = name.removesuffix("_N")
        assert found.figure(figure).tolist() == pytest.approx(expected.figure(figure).tolist(), rel=1e-4, abs=1e-6)
