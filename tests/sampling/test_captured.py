"""The decode loop on a GPU, where steps are replayed: against `generate`, against the CPU, and from call to call."""

from pathlib import Path
from typing import Any

import pytest
import torch
from breaking import counted
from small_models import random_llama
from test_decode import FAMILIES, PROMPTS, keys, rows_of
from test_decode import small_model as typed_model
from test_rollout_log import EVERY, break_off, logged, respond

from thicket.config.on_policy import Lora
from thicket.models.lora import adapt
from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.pooled import Pooled
from thicket.models.stacked import stacked
from thicket.sampling import kept_boards, writing
from thicket.sampling.decode import Decoded, Decoding, Rows, decode
from thicket.sampling.rollout_log import RolloutLog

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def small_model(family: str = "llama", spread: float = 8.0) -> Any:
    return typed_model(family, spread)


def kept(model: Any) -> list[Any]:
    return list(kept_boards._kept.get(model, {}).values())


def same(found: Decoded, expected: Decoded) -> None:
    assert found.tokens_RT.tolist() == expected.tokens_RT.tolist()
    assert found.lengths_R.tolist() == expected.lengths_R.tolist()
    assert found.stopped_R.tolist() == expected.stopped_R.tolist()
    torch.testing.assert_close(found.log_probs_RT.cpu(), expected.log_probs_RT.cpu(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_those_of_the_cpu(family: str) -> None:
    """40 rows in 16 slots, so that rows wait and take the places of others; float32, logits far apart."""
    model, decoding, stops = small_model(family, spread=0.5), Decoding(1.0, most=20), list(range(2, 8))
    expected = decode(model, rows_of(PROMPTS, 10, 16), keys(40), decoding, stops)
    model.to("cuda")
    for _ in range(2):
        same(decode(model, rows_of(PROMPTS, 10, 16), keys(40).cuda(), decoding, stops), expected)
    (board,) = kept(model)
    assert board._graph is not None


@pytest.mark.parametrize("decoding", [Decoding(0.0, most=12), Decoding(1.5, 8, 0.9, most=12)], ids=["greedy", "top"])
def test_other_ways_to_draw(decoding: Decoding) -> None:
    model = small_model(spread=2.0)
    expected = decode(model, rows_of(PROMPTS, 4), keys(16), decoding, [2])
    model.to("cuda")
    same(decode(model, rows_of(PROMPTS, 4), keys(16).cuda(), decoding, [2]), expected)


def test_a_replay_reads_the_weights_of_today() -> None:
    """What is captured once is replayed after an update in place; under autocast the casts are made again."""
    model, decoding = small_model(spread=2.0).cuda(), Decoding(1.0, most=16)
    with torch.autocast("cuda", torch.bfloat16):
        first = decode(model, rows_of(PROMPTS, 4), keys(16).cuda(), decoding, [2])
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        second = decode(model, rows_of(PROMPTS, 4), keys(16).cuda(), decoding, [2])
        assert second.tokens_RT.tolist() != first.tokens_RT.tolist()
        (board,) = kept(model)
        kept_boards._kept.clear()
        same(second, decode(model, rows_of(PROMPTS, 4), keys(16).cuda(), decoding, [2]))
    assert board._graph is not None


def test_a_board_serves_other_rows_and_lengths() -> None:
    model = small_model(spread=2.0)
    cases = [(PROMPTS[:2], 8, 12), (PROMPTS, 3, 20), (PROMPTS[1:], 5, 4)]
    expected = [
        decode(model, rows_of(p, each), keys(len(p) * each), Decoding(1.0, most=m), [2]) for p, each, m in cases
    ]
    model.to("cuda")
    for (prompts, each, most), right in zip(cases, expected, strict=True):
        same(
            decode(model, rows_of(prompts, each), keys(len(prompts) * each).cuda(), Decoding(1.0, most=most), [2]),
            right,
        )
    assert len(kept(model)) == 1


def test_adapters_that_are_switched_off_are_not_read() -> None:
    model: Any = adapt(small_model(spread=2.0), Lora(rank=2, alpha=64), 0)
    model.to("cuda")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_()
    rows, decoding = rows_of(PROMPTS, 4), Decoding(1.0, most=12)
    on = decode(model, rows, keys(16).cuda(), decoding, [2])
    with model.disable_adapter():
        off = decode(model, rows, keys(16).cuda(), decoding, [2])
    assert off.tokens_RT.tolist() != on.tokens_RT.tolist()
    same(off, decode(small_model(spread=2.0), rows, keys(16), decoding, [2]))
    same(decode(model, rows, keys(16).cuda(), decoding, [2]), on)


def test_neighbours_and_ensembles() -> None:
    model, decoding, stops = small_model(spread=0.5), Decoding(0.0, most=12), list(range(2, 20))
    directions = [Direction(seed, 0.3) for seed in range(3)]
    rows = Rows(PROMPTS * 3, range(12), 6, lanes=3)
    with stacked(model, directions):
        expected = decode(model, rows, keys(12), decoding, stops)
    model.to("cuda")
    with stacked(model, directions):
        same(decode(model, rows, keys(12).cuda(), decoding, stops), expected)
    alone = []
    for direction in directions:  # one after another in the same memory: the graph is captured once
        with Neighbourhood(model).at(direction):
            alone += decode(model, rows_of(PROMPTS), keys(4).cuda(), decoding, stops).lengths_R.tolist()
    assert alone == expected.lengths_R.tolist()
    together: Any = Pooled([small_model(), small_model("qwen2", spread=5.0)], [0.7, 0.3], 56)
    right = decode(together, rows_of(PROMPTS, 2), keys(8), Decoding(1.0, most=6), [2])
    same(decode(together.to("cuda"), rows_of(PROMPTS, 2), keys(8).cuda(), Decoding(1.0, most=6), [2]), right)


def test_in_bfloat16_log_probs_are_those_of_a_forward_pass() -> None:
    model: Any = random_llama(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, vocab_size=60)
    model.to("cuda")
    with torch.autocast("cuda", torch.bfloat16):
        found = decode(model, rows_of(PROMPTS, 8), keys(32).cuda(), Decoding(1.0, most=24), [2])
        for row in range(32):
            prompt, length = PROMPTS[row // 8], int(found.lengths_R[row])
            ids = torch.tensor([prompt + found.tokens_RT[row, :length].tolist()], device="cuda")
            log_probs = model(ids).logits[0, len(prompt) - 1 : -1].detach().float().log_softmax(dim=-1)
            expected = log_probs.gather(1, ids[0, len(prompt) :].unsqueeze(1)).squeeze(1)
            torch.testing.assert_close(found.log_probs_RT[row, :length], expected, rtol=0, atol=0.1)


def test_what_a_model_held_is_freed_with_it() -> None:
    model = small_model().cuda()
    decode(model, rows_of(PROMPTS), keys(4).cuda(), Decoding(1.0, most=8), [2])
    count = len(kept_boards._kept)
    del model
    assert len(kept_boards._kept) == count - 1


@pytest.mark.parametrize("slots", [16, 64])
@pytest.mark.parametrize("family", ["llama", "gemma3", "qwen3.5"])
def test_a_call_that_was_broken_off_goes_on(
    family: str, slots: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the board that is kept, whose steps are replayed; what was logged is taken as it was drawn."""
    monkeypatch.setattr(writing, "TOLD_AT", EVERY)
    model = small_model(family, spread=0.5).cuda()
    with counted() as steps:
        whole = respond(model, None, slots)
    at = len(steps) // 2
    break_off(model, tmp_path, at, slots)
    known = logged(model, tmp_path)
    with counted() as left:
        resumed = respond(model, RolloutLog(tmp_path), slots)
    assert len(left) <= len(steps) - at + 2 * EVERY  # a look is every eight steps
    assert [one.tokens for one in resumed] == [one.tokens for one in whole]
    for row, (one, other) in enumerate(zip(resumed, whole, strict=True)):
        drawn = len(known[row].tokens) if row in known else 0
        assert one.log_probs[:drawn] == other.log_probs[:drawn]
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-3)
    assert any(0 < len(part.tokens) < len(whole[row].tokens) for row, part in known.items())
