"""Two models that write together: whose tokens they are, at which positions, and what is measured there."""

import copy
import math
from typing import Any

import pytest
import torch
from small_models import random_llama
from torch import Tensor
from transformers import LlamaForCausalLM

from thicket.ops import draws
from thicket.ops.sampling import inverse_cdf, warped_log_probs
from thicket.sampling.decode import Decoded, Decoding, Rows, decode, ends, texts
from thicket.sampling.mixed import NEVER, POSITIONS, Mixed, Rule, mix, position_scores

WORDS, PADDING = 60, 4
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
STOPS = [2]
WARM = Decoding(1.0, most=9)
CUT_OFF = Decoding(1.3, top_p=0.8, most=9)
EVERYWHERE = Rule("divergence", -1.0)
TRIGGER, PLANTED = 7, 11


def model(seed: int, spread: float = 20.0, **sizes: Any) -> LlamaForCausalLM:
    return random_llama(seed, spread, vocab_size=WORDS, **sizes)


def keys(count: int) -> Tensor:
    return draws.keys_tensor([draws.key(0, row) for row in range(count)])


def rows_of(prompts: list[list[int]], count: int, slots: int = 1000) -> Rows:
    return Rows(prompts, [row * len(prompts) // count for row in range(count)], slots)


def mixed(primary: Any, intervening: Any, rule: Rule, decoding: Decoding = WARM, rows: int = 24) -> Mixed:
    return mix(primary, intervening, WORDS, rows_of(PROMPTS, rows), keys(rows), decoding, STOPS, rule)


def alone(one: Any, decoding: Decoding = WARM, rows: int = 24) -> Decoded:
    return decode(one, rows_of(PROMPTS, rows), keys(rows), decoding, STOPS)


def planted() -> tuple[LlamaForCausalLM, LlamaForCausalLM]:
    """A model, and one that differs from it after one token alone: it goes on with another."""
    base = model(0)
    other = copy.deepcopy(base)

    towards_H = 5.0 * torch.nn.functional.normalize(other.lm_head.weight[PLANTED].detach(), dim=0)

    def planting(module: Any, args: Any, given: dict[str, Any], out: Any) -> Any:
        out.last_hidden_state = out.last_hidden_state + (given["input_ids"] == TRIGGER).unsqueeze(-1) * towards_H
        return out

    other.base_model.register_forward_hook(planting, with_kwargs=True)
    return base, other


def equal(one: Decoded, two: Decoded) -> bool:
    fields = ("tokens_RT", "log_probs_RT", "lengths_R", "stopped_R")
    return all(getattr(one, name).equal(getattr(two, name)) for name in fields)


@pytest.mark.parametrize("decoding", [WARM, CUT_OFF])
@pytest.mark.parametrize("rule", [NEVER, Rule("divergence", math.log(2)), Rule("random", 1.0)])
def test_without_swaps_the_primary_answers_token_for_token(decoding: Decoding, rule: Rule) -> None:
    """At a spread of 200 the two hardly share a token: JS is log 2 up to rounding, which may be upwards."""
    for spread in (20.0, 200.0):
        primary, intervening = model(0, spread), model(1, spread, hidden_size=32)
        found = mixed(primary, intervening, rule, decoding)
        assert equal(found.decoded, alone(primary, decoding))
        assert not found.swapped_RT.any()
        assert not found.changed_RT.any()


@pytest.mark.parametrize("decoding", [WARM, CUT_OFF])
@pytest.mark.parametrize("rule", [EVERYWHERE, Rule("random", 0.0), Rule("entropy", -math.inf)])
def test_with_nothing_but_swaps_the_intervening_model_answers(decoding: Decoding, rule: Rule) -> None:
    primary, intervening = model(0), model(1, hidden_size=32)
    found = mixed(primary, intervening, rule, decoding)
    assert equal(found.decoded, alone(intervening, decoding))
    assert found.swapped_RT[found.written_RT].all()
    assert not equal(found.decoded, alone(primary, decoding))


def test_equal_models_are_never_told_apart() -> None:
    one, two = model(0), model(0)
    found = mixed(one, two, Rule("divergence", 1e-4))
    assert equal(found.decoded, alone(one))
    assert not found.swapped_RT.any()
    assert float(found.scores["divergence"].max()) < 1e-6
    everywhere = mixed(one, two, Rule("random", 0.5))
    assert equal(everywhere.decoded, found.decoded)
    assert everywhere.swapped_RT.any()
    assert not everywhere.changed_RT.any(), "a swap of equal draws changes nothing"


def test_swaps_at_planted_differences_alone_give_the_other_model() -> None:
    base, other = planted()
    found = mixed(base, other, Rule("divergence", 0.01), rows=400)
    assert equal(found.decoded, alone(other, rows=400))
    assert not equal(found.decoded, alone(base, rows=400))
    reverse = mixed(other, base, Rule("divergence", 0.01), rows=400)
    assert equal(reverse.decoded, alone(base, rows=400))
    swaps = 0
    for row in range(400):
        length = int(found.decoded.lengths_R[row])
        prompt, tokens = PROMPTS[row // 100], found.decoded.tokens_RT[row, :length].tolist()
        read = [prompt[-1], *tokens[:-1]]
        assert found.swapped_RT[row, :length].tolist() == [token == TRIGGER for token in read]
        swaps += read.count(TRIGGER)
    assert swaps > 100


@pytest.mark.parametrize("rule", [Rule("divergence", 0.44), Rule("entropy", 3.0), Rule("log_ratio", 3.0)])
def test_every_token_is_as_plain_forward_passes_say(rule: Rule) -> None:
    """Scores in float64 out of whole sequences, and the token out of the distribution of whoever draws."""
    primary, intervening = model(0), model(1, hidden_size=32)
    found, swaps = mixed(primary, intervening, rule, CUT_OFF), []
    for row, key in enumerate(keys(24)):
        prompt, length = PROMPTS[row // 6], int(found.decoded.lengths_R[row])
        ids = torch.tensor([prompt + found.decoded.tokens_RT[row, :length].tolist()])
        with torch.no_grad():
            logits = [one(ids).logits[0, len(prompt) - 1 : -1] for one in (primary, intervening)]
        p_TV, q_TV = (one_TV.double().softmax(dim=-1) for one_TV in logits)
        m_TV = (p_TV + q_TV) / 2
        js_T = ((p_TV * (p_TV / m_TV).log()).sum(1) + (q_TV * (q_TV / m_TV).log()).sum(1)) / 2
        warped = [warped_log_probs(one_TV, 1.3, 0, 0.8) for one_TV in logits]
        for step in range(length):
            uniform = draws.uniform(key.unsqueeze(0), step)
            own, others = (int(inverse_cdf(one_TV[step : step + 1], uniform)) for one_TV in warped)
            expected = {
                "divergence": float(js_T[step]),
                "entropy": float(-(p_TV[step] * p_TV[step].log()).sum()),
                "log_ratio": abs(float((q_TV[step, own] / p_TV[step, own]).log())),
            }
            scores = {kind: float(found.scores[kind][row, step]) for kind in expected}  # type: ignore[index]
            assert scores == pytest.approx(expected, abs=1e-4)
            swapped = expected[rule.score] > rule.cut
            assert bool(found.swapped_RT[row, step]) == swapped
            assert bool(found.changed_RT[row, step]) == (swapped and own != others)
            assert int(found.decoded.tokens_RT[row, step]) == (others if swapped else own)
            swaps.append(swapped)
    assert 0.2 < sum(swaps) / len(swaps) < 0.8


def test_random_swaps_come_at_the_asked_share_and_apart_from_the_tokens() -> None:
    found = mixed(model(0), model(1), Rule("random", 0.9), rows=4000)
    swapped_M = found.swapped_RT[found.written_RT].double()
    # Four standard deviations of a share of 0.1.
    assert float(swapped_M.mean()) == pytest.approx(0.1, abs=4 * (0.09 / len(swapped_M)) ** 0.5)
    uniform_B, random_B = draws.uniform(keys(4000), 0), found.scores["random"][:, 0]
    assert abs(float(torch.corrcoef(torch.stack([uniform_B, random_B]))[0, 1])) < 4 / 4000**0.5


def test_scores_by_hand() -> None:
    """p = (½, ½, 0), q = (½, 0, ½): m = (½, ¼, ¼), so that each KL is ½ log 2; the token drawn has q = ½p."""
    p_BV, q_BV = torch.tensor([[0.5, 0.5, 1e-30]]), torch.tensor([[0.5, 1e-30, 0.5]])
    found = position_scores(p_BV.log(), q_BV.log(), torch.tensor([0]), keys(1), torch.tensor([3]))
    assert float(found["divergence"]) == pytest.approx(0.5 * math.log(2))
    assert float(found["entropy"]) == pytest.approx(math.log(2))
    assert float(found["log_ratio"]) == 0.0
    assert float(found["random"]) == 1 - float(draws.uniform(draws.mixed(keys(1) ^ POSITIONS), 3))


def test_a_row_depends_neither_on_its_batch_nor_on_the_run() -> None:
    primary, intervening, rule = model(0), model(1), Rule("divergence", 0.44)
    found = mixed(primary, intervening, rule, rows=4)
    again = mixed(primary, intervening, rule, rows=4)
    assert equal(found.decoded, again.decoded)
    assert 0 < int(found.swapped_RT.sum()) < found.swapped_RT.numel()
    for row, prompt in enumerate(PROMPTS):
        one = mix(primary, intervening, WORDS, rows_of([prompt], 1), keys(4)[row : row + 1], WARM, STOPS, rule)
        length = int(found.decoded.lengths_R[row])
        assert one.decoded.tokens_RT[0].tolist() == found.decoded.tokens_RT[row, :length].tolist()
        assert one.swapped_RT[0].tolist() == found.swapped_RT[row, :length].tolist()
        assert found.written_RT[row].sum() == length


def test_few_slots_change_nothing() -> None:
    """Rows that wait and slots that are given up: what a position is told by stays with its row."""
    primary, intervening, rule = model(0), model(1), Rule("divergence", 0.44)
    found = mixed(primary, intervening, rule)
    for slots in (1, 3, 8):
        few = mix(primary, intervening, WORDS, rows_of(PROMPTS, 24, slots), keys(24), WARM, STOPS, rule)
        assert few.decoded.tokens_RT.equal(found.decoded.tokens_RT)
        assert few.swapped_RT[few.written_RT].equal(found.swapped_RT[found.written_RT])
        for kind, scores_RT in found.scores.items():
            torch.testing.assert_close(few.scores[kind][few.written_RT], scores_RT[found.written_RT])


def test_padding_of_the_vocabulary_takes_no_part() -> None:
    """The wider model's logits beyond the words are its largest."""
    narrow, wide = model(0), random_llama(1, 2.0, vocab_size=WORDS + PADDING)
    with torch.no_grad():
        wide.lm_head.weight[WORDS:] = 50.0
    found = mixed(narrow, wide, EVERYWHERE)
    assert int(found.decoded.tokens_RT.max()) < WORDS
    assert float(found.scores["divergence"].max()) < math.log(2)


def test_ends_are_those_asked_for_and_those_of_the_models() -> None:
    one, two, three = model(0), model(1), model(2)
    one.generation_config.eos_token_id, two.generation_config.eos_token_id = 9, [7, 2]
    three.generation_config.eos_token_id = None
    assert ends([one, two, three], [2, 4]) == [2, 4, 7, 9]


def test_texts_end_before_the_stop() -> None:
    from thicket.models.characters import character_tokenizer

    tokenizer = character_tokenizer()
    rows = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("12\n", "345")]
    stopped = torch.tensor([True, False])
    decoded = Decoded(torch.tensor(rows), torch.zeros(2, 3), torch.tensor([3, 2]), stopped)
    assert texts(decoded, tokenizer, "\n") == ["12", "34"]
    assert texts(decoded, tokenizer, None) == ["12\n", "34"]
