"""Cross-sampling on models whose differences are known, with a judge that looks for a letter."""

import copy
import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_models import random_llama
from torch import Tensor
from transformers import LlamaForCausalLM

from thicket.analysis.case import Case, Subject
from thicket.analysis.cross_sampling import REPLICATES, analyze, cut_for
from thicket.analysis.found import Found, Statistic
from thicket.config.analysis import CrossSampling
from thicket.config.domain import ScoredDomain, Window
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item, item_id
from thicket.domains.verdict import Verdict
from thicket.models.characters import character_tokenizer
from thicket.ops import draws
from thicket.reporting.pictures.cross_sampling import picture
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import stop_ids
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler

TOKENIZER = character_tokenizer()
WORDS = len(TOKENIZER)
SEED, ITEMS, WINDOW, BATCH = 5, 40, 8, 30
LETTERS = {"sort": "z", "odd": "y"}
"""Domain → what a correct response holds."""


@dataclass(frozen=True)
class Loaded(Subject):
    """A model that is in memory already."""

    model: Any = None

    def load(self, device: str) -> Any:
        return self.model


def word(letter: str) -> int:
    return TOKENIZER(letter, add_special_tokens=False)["input_ids"][0]


def model(seed: int) -> LlamaForCausalLM:
    return random_llama(seed, 20.0, vocab_size=WORDS)


class Changed(torch.nn.Module):
    """A head whose logits are edited by the token that each hidden state was made of: its last channel."""

    def __init__(self, head: Any, change: Callable[[Tensor, Tensor], None]):
        super().__init__()
        self.weight, self.change = head.weight, change

    def forward(self, hidden: Tensor) -> Tensor:
        logits = hidden[..., :-1] @ self.weight.T
        self.change(logits, hidden[..., -1].long())
        return logits


def changed(base: LlamaForCausalLM, change: Callable[[Tensor, Tensor], None]) -> LlamaForCausalLM:
    """A copy whose logits `change` edits in place, by the tokens that they follow."""
    other: Any = copy.deepcopy(base)

    def telling(module: Any, args: Any, given: dict[str, Any], out: Any) -> Any:
        read = given["input_ids"].unsqueeze(-1).to(out.last_hidden_state.dtype)
        out.last_hidden_state = torch.cat([out.last_hidden_state, read], dim=-1)
        return out

    other.base_model.register_forward_hook(telling, with_kwargs=True)
    other.lm_head = Changed(other.lm_head, change)
    return other


def silent(logits: Tensor, read: Tensor) -> None:
    logits[..., [word("z"), word("y")]] = -30.0


def speaking(logits: Tensor, read: Tensor) -> None:
    """A `z` or a `y` follows the letters up to `f`; elsewhere the model is silent as the other."""
    silent(logits, read)
    after = (read >= word("a")) & (read <= word("f"))
    logits[..., [word("z"), word("y")]] += 55.0 * after.unsqueeze(-1)


def environment(domain: str, items: int = ITEMS) -> Environment:
    made = ScoredDomain(
        name=domain, verifier=ExactVerifier(type="exact"), stop="\n", window=Window(prompt=20, response=WINDOW)
    )
    texts = [f"{domain} {place}=" for place in range(items)]
    return Environment(
        domain=made,
        items=[Item(item_id(text), text, "", 1) for text in texts],
        prompts=[TOKENIZER(text)["input_ids"] for text in texts],
        stop_ids=stop_ids(TOKENIZER, "\n"),
        judge=lambda answered: [Verdict(LETTERS[domain] in response) for response, _ in answered],
    )


def analysed(models: tuple[Any, Any], batch: int = BATCH, **values: Any) -> Found:
    subjects = [Loaded(name, Path(), one) for name, one in zip(("tiny", "grown"), models, strict=True)]
    environments = [environment("sort"), environment("odd", ITEMS // 2)]
    case = Case(subjects, environments, TOKENIZER, SEED, batch, "cpu", Path(), lambda share, text: None)
    return analyze(CrossSampling.model_validate({"type": "cross_sampling", **values}), case)


@pytest.fixture(scope="module")
def talkers() -> tuple[Any, Any]:
    """A model that is never right, and one that may be, after a few letters."""
    return changed(model(0), silent), changed(model(0), speaking)


@pytest.fixture(scope="module")
def found(talkers: tuple[Any, Any]) -> Found:
    return analysed(talkers, samples=3, thresholds=[0.7, 0.01, -1.0])


def of(found: Found, name: str, domain: str = "sort") -> Statistic:
    (one,) = (one for one in found.statistics if (one.name, one.domain) == (name, domain))
    return one


def value(found: Found, name: str, domain: str = "sort") -> float:
    one = of(found, name, domain)
    return sum(one.amounts_U) / sum(one.weights_U or [1] * len(one.amounts_U))


@pytest.mark.parametrize("domain", LETTERS)
def test_planted_differences_carry_the_whole_gap(found: Found, domain: str) -> None:
    assert value(found, "accuracy:base", domain) == 0
    assert value(found, "accuracy:other", domain) > 0.2
    for direction, steps_in in {"forward": "other", "reverse": "base"}.items():
        assert of(found, f"accuracy:{direction}:0.01", domain).amounts_U == pytest.approx(
            of(found, f"accuracy:{steps_in}", domain).amounts_U
        )
        assert 0 < value(found, f"swapped_share:{direction}:0.01", domain) < 0.5
        for where in (domain, "all"):
            assert found.figures["values"][f"recovered:{direction}:0.01:{where}"] == 1
            assert found.figures["values"][f"recovered:{direction}:0.01:random:{where}"] < 0.8


@pytest.mark.parametrize("domain", LETTERS)
def test_thresholds_at_the_ends_are_the_models_alone(found: Found, domain: str) -> None:
    """No swaps at ε ≥ log 2, and so none of the controls; everything below 0."""
    for direction, (answers, steps_in) in {"forward": ("base", "other"), "reverse": ("other", "base")}.items():
        for control in ("", ":random", ":entropy", ":log_ratio"):
            never, always = f"{direction}:0.7{control}", f"{direction}:-1{control}"
            assert (
                of(found, f"accuracy:{never}", domain).amounts_U == of(found, f"accuracy:{answers}", domain).amounts_U
            )
            assert (
                of(found, f"accuracy:{always}", domain).amounts_U == of(found, f"accuracy:{steps_in}", domain).amounts_U
            )
            assert value(found, f"swapped_share:{never}", domain) == 0
            assert value(found, f"swapped_share:{always}", domain) == 1
            assert found.figures["values"][f"recovered:{never}:{domain}"] == 0
            assert found.figures["values"][f"recovered:{always}:{domain}"] == 1


def test_a_model_alone_answers_as_it_does_in_an_evaluation(found: Found, talkers: tuple[Any, Any]) -> None:
    asked = environment("sort")
    requests = [
        Request(prompt, draws.key(SEED, int(item.id, 16)), 3)
        for prompt, item in zip(asked.prompts, asked.items, strict=True)
    ]
    groups = TorchSampler(1000).respond(
        talkers[1], TOKENIZER, requests, Decoding(1.0, most=WINDOW), asked.stop_ids, "\n"
    )
    correct, tokens = [], []
    for group in groups:
        correct.append(sum("z" in response.text for response in group) / 3)
        tokens.append(sum(len(response.tokens) for response in group))
    assert of(found, "accuracy:other").amounts_U == pytest.approx(correct)
    assert of(found, "swapped_share:forward:-1").weights_U == tokens
    assert of(found, "swapped_share:forward:-1").amounts_U == tokens
    assert of(found, "swapped_tokens:forward:-1").amounts_U == pytest.approx([count / 3 for count in tokens])


def test_swaps_are_counted_where_they_change_a_token(found: Found) -> None:
    """After one of the letters the other model draws `y` or `z`, which the base never draws: each swap changes one."""
    swapped, effect = of(found, "swapped_share:forward:0.01"), of(found, "changed_share:forward:0.01")
    assert effect.amounts_U == swapped.amounts_U
    assert effect.weights_U == swapped.weights_U
    everywhere = value(found, "changed_share:forward:-1")
    assert 0 < everywhere == pytest.approx(value(found, "swapped_share:forward:0.01"))


def test_random_swaps_come_at_the_share_of_the_threshold(found: Found) -> None:
    for direction in ("forward", "reverse"):
        asked = value(found, f"swapped_share:{direction}:0.01")
        random = of(found, f"swapped_share:{direction}:0.01:random")
        tokens = sum(random.weights_U or ())
        deviation = (asked * (1 - asked) / tokens) ** 0.5
        assert sum(random.amounts_U) / tokens == pytest.approx(asked, abs=4 * deviation)


def test_controls_swap_as_many_tokens_where_swaps_lead_nowhere_else() -> None:
    """Top-p leaves both models their first choice, which is the same: all ways write the same responses."""

    def doubting(logits: Tensor, read: Tensor) -> None:
        own_BL, second_BL = logits[..., word("q")], logits.max(dim=-1).values - 1
        logits[..., word("q")] = torch.where(read % 2 == 0, torch.maximum(own_BL, second_BL), own_BL)

    found = analysed((model(0), changed(model(0), doubting)), samples=1, top_p=1e-6, thresholds=[0.01])
    for direction in ("forward", "reverse"):
        for domain in LETTERS:
            name = f"swapped_share:{direction}:0.01"
            swapped = sum(of(found, name, domain).amounts_U)
            assert 10 < swapped < sum(of(found, name, domain).weights_U or ()) / 2
            assert sum(of(found, f"{name}:entropy", domain).amounts_U) == swapped
            assert sum(of(found, f"{name}:log_ratio", domain).amounts_U) == pytest.approx(swapped, abs=1)
            assert value(found, f"changed_share:{direction}:0.01", domain) == 0


def test_equal_models_have_no_gap() -> None:
    found = analysed((model(0), model(0)), thresholds=[1e-4], samples=2)
    assert value(found, "swapped_share:forward:0.0001") == 0
    for one in found.statistics:
        if one.name.startswith("accuracy"):
            assert one.amounts_U == of(found, "accuracy:base", one.domain).amounts_U
    assert all(math.isnan(share) for share in found.figures["values"].values())


def test_recovered_shares_by_loops(found: Found) -> None:
    """Each domain's items are resampled by draws of their own, and the two domains' gains are added up."""
    indices = {
        domain: np.random.default_rng(draws.key(SEED, place)).integers(0, count, (REPLICATES, count))
        for place, (domain, count) in enumerate({"sort": ITEMS, "odd": ITEMS // 2}.items())
    }
    for way, answers, steps_in in (("forward:0.01:random", "base", "other"), ("reverse:0.01:entropy", "other", "base")):
        for domains in (["sort"], ["odd"], ["sort", "odd"]):
            key = f"recovered:{way}:{domains[0] if len(domains) == 1 else 'all'}"
            amounts = {
                (domain, name): np.array(of(found, f"accuracy:{name}", domain).amounts_U)
                for domain in domains
                for name in (way, answers, steps_in)
            }
            whole = {one: amounts_N.mean() for one, amounts_N in amounts.items()}
            above = sum(whole[domain, way] - whole[domain, answers] for domain in domains)
            below = sum(whole[domain, steps_in] - whole[domain, answers] for domain in domains)
            assert found.figures["values"][key] == pytest.approx(above / below)
            replicates = found.figures["replicates"][key]
            assert len(replicates) == REPLICATES
            for place in (0, 1, REPLICATES - 1):
                means = {one: amounts_N[indices[one[0]][place]].mean() for one, amounts_N in amounts.items()}
                above = sum(means[domain, way] - means[domain, answers] for domain in domains)
                below = sum(means[domain, steps_in] - means[domain, answers] for domain in domains)
                assert replicates[place] == pytest.approx(above / below)


def test_equal_seeds_give_equal_results_whatever_the_batch(found: Found, talkers: tuple[Any, Any]) -> None:
    larger, again = (analysed(talkers, batch=100, samples=3, thresholds=[0.01]) for _ in range(2))
    assert again == larger
    assert len(larger.statistics) == len(LETTERS) * 2 * (1 + 4 * 4)
    assert all(one == of(found, one.name, one.domain) for one in larger.statistics)


def test_a_cut_leaves_the_share_above_it() -> None:
    scores_M = torch.tensor([3.0, 1.0, 4.0, 2.0])
    assert [cut_for(scores_M, share) for share in (0.0, 0.25, 0.5, 1.0)] == [math.inf, 3.5, 2.5, -math.inf]
    tied_M = torch.tensor([1.0, 1.0, 1.0, 0.0])
    assert int((tied_M > cut_for(tied_M, 0.5)).sum()) == 0
    assert int((tied_M > cut_for(tied_M, 0.75)).sum()) == 3


def test_the_picture_shows_the_curves(found: Found) -> None:
    rows = found.tables["curves"]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    statistics = [
        {"name": one.name, "domain": one.domain, "value": mean, "low": mean - 0.1, "high": mean + 0.1}
        for one in found.statistics
        for mean in [value(found, one.name, one.domain)]
    ]
    result = {"models": ["tiny", "grown"], "domains": list(LETTERS), "statistics": statistics}
    figure = picture(result, {"curves": list(csv.DictReader(io.StringIO(file.getvalue())))})
    assert len(figure.axes) == 4
    lines = {str(line.get_label()): line for line in figure.axes[3].get_lines()}
    shown = [row for row in rows if (row["domain"], row["direction"], row["way"]) == ("odd", "reverse", "random")]
    expected = sorted((float(row["swapped_share"] or 0) * 100, float(row["accuracy"] or 0) * 100) for row in shown)
    points = np.stack([np.asarray(axis, dtype=float) for axis in lines["at random"].get_data()], axis=1)
    np.testing.assert_allclose(points, expected)
    level = np.asarray(lines["other"].get_ydata(), dtype=float)[0]
    assert level == pytest.approx(100 * value(found, "accuracy:other", "odd"))
