"""The decode loop against `generate` and against a plain forward pass, on small random models of several families."""

from copy import deepcopy
from typing import Any

import pytest
import torch
from small_models import SIZES
from transformers import (
    AutoModelForCausalLM,
    FalconH1Config,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTBigCodeConfig,
    GPTNeoConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    NemotronHConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3_5TextConfig,
    Qwen3Config,
)

from thicket.models.perturb import Direction, Neighbourhood
from thicket.models.pooled import Pooled
from thicket.models.stacked import stacked
from thicket.ops import draws
from thicket.sampling import writing
from thicket.sampling.decode import Decoded, Decoding, Rows, decode
from thicket.sampling.slots import CanNotDecode

VOCABULARY = 60
PROMPTS = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
SHAPE: dict[str, Any] = {
    **SIZES,
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
DELTA: dict[str, Any] = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
MAMBA: dict[str, Any] = {"mamba_d_state": 8, "mamba_n_groups": 1, "mamba_chunk_size": 8}
FAMILIES = {
    "llama": LlamaConfig(**SHAPE),
    "qwen2": Qwen2Config(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, head_dim=8),
    # A window of four tokens in every layer, and in every other one.
    "mistral": MistralConfig(**SHAPE, head_dim=8, sliding_window=4),
    "gemma3": Gemma3TextConfig(
        **SHAPE, head_dim=8, sliding_window=4, layer_types=["sliding_attention", "full_attention"]
    ),
    # Its attention adds the mask to the scores.
    "gemma2": Gemma2Config(**SHAPE, head_dim=8, sliding_window=4),
    "learned positions": GPTBigCodeConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    # Layers that keep a state of all that was read, alone or beside keys and values; of the last one some keep nothing.
    "qwen3.5": Qwen3_5TextConfig(**SHAPE, head_dim=8, layer_types=["linear_attention", "full_attention"], **DELTA),
    "lfm2": Lfm2Config(**SHAPE, layer_types=["conv", "full_attention"]),
    "falcon-h1": FalconH1Config(**SHAPE, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, **MAMBA),
    "nemotron-h": NemotronHConfig(
        **{**SHAPE, "num_hidden_layers": 4},
        head_dim=8,
        layers_block_type=["mamba", "attention", "mlp", "mamba"],
        mamba_num_heads=4,
        mamba_head_dim=8,
        ssm_state_size=8,
        n_groups=1,
    ),
    "gpt2": GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, n_positions=64, eos_token_id=2),
}


def small_model(family: str = "llama", spread: float = 8.0) -> PreTrainedModel:
    """Random weights; logits spread out, so that no two tokens are near a tie."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(deepcopy(FAMILIES[family])).eval()  # Tests may change it.
    with torch.no_grad():
        model.get_output_embeddings().weight.mul_(spread)
    return model


def keys(count: int, seed: int = 0) -> torch.Tensor:
    return draws.keys_tensor([draws.key(seed, row) for row in range(count)])


def rows_of(prompts: list[list[int]], each: int = 1, slots: int = 1000) -> Rows:
    return Rows(prompts, [place for place in range(len(prompts)) for _ in range(each)], slots)


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_equals_generate(family: str) -> None:
    model, most = small_model(family), 12
    found = decode(model, rows_of(PROMPTS), keys(len(PROMPTS)), Decoding(0.0, most=most), stop_ids=[2])
    plain: Any = model
    for row, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        expected = plain.generate(ids, max_new_tokens=most, do_sample=False, eos_token_id=2, pad_token_id=0)
        tokens = expected[0, len(prompt) :].tolist()
        assert found.tokens_RT[row, : len(tokens)].tolist() == tokens
        assert int(found.lengths_R[row]) == len(tokens)


@pytest.mark.parametrize(("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (1.5, 8, 0.9)])
def test_behaviour_log_probs_are_those_of_a_plain_forward_pass(temperature: float, top_k: int, top_p: float) -> None:
    from thicket.ops.sampling import warped_log_probs

    model = small_model(spread=2.0)
    found = decode(model, rows_of(PROMPTS), keys(4), Decoding(temperature, top_k, top_p, most=10), stop_ids=[2])
    for row, prompt in enumerate(PROMPTS):
        length = int(found.lengths_R[row])
        tokens = found.tokens_RT[row, :length]
        logits_LV = model(torch.tensor([prompt + tokens.tolist()])).logits[0].detach()
        log_probs_TV = warped_log_probs(logits_LV[len(prompt) - 1 : -1], temperature, top_k, top_p)
        expected_T = log_probs_TV.gather(1, tokens.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(found.log_probs_RT[row, :length], expected_T, rtol=1e-4, atol=1e-5)


def test_a_row_does_not_depend_on_its_batch() -> None:
    model, decoding = small_model(spread=2.0), Decoding(1.0, most=10)
    whole = decode(model, rows_of(PROMPTS), keys(4), decoding, stop_ids=[2])
    for row, prompt in enumerate(PROMPTS):
        alone = decode(model, rows_of([prompt]), keys(4)[row : row + 1], decoding, stop_ids=[2])
        length = int(whole.lengths_R[row])
        assert int(alone.lengths_R[0]) == length
        assert alone.tokens_RT[0, :length].tolist() == whole.tokens_RT[row, :length].tolist()


@pytest.mark.parametrize("slots", [1, 2, 5, 16])
@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3", "qwen3.5", "lfm2", "falcon-h1"])
def test_rows_that_wait_for_a_slot_are_written_alike(family: str, slots: int) -> None:
    """40 rows in few slots: rows end early and late, others take their places, and at the end slots are given up."""
    model, decoding, stops = small_model(family, spread=0.5), Decoding(1.0, most=9), list(range(2, 14))
    whole = decode(model, rows_of(PROMPTS, 10), keys(40), decoding, stops)
    assert len(set(whole.lengths_R.tolist())) > 5
    few = decode(model, rows_of(PROMPTS, 10, slots), keys(40), decoding, stops)
    assert few.tokens_RT.equal(whole.tokens_RT)
    assert few.lengths_R.equal(whole.lengths_R)
    assert few.stopped_R.equal(whole.stopped_R)
    torch.testing.assert_close(few.log_probs_RT, whole.log_probs_RT)


def test_no_work_on_rows_that_have_ended_and_a_prompt_is_read_once() -> None:
    """Of 64 slots half are given up when half of the rows have ended, and so on."""
    model, read = small_model(spread=0.5), list[tuple[int, int]]()
    trunk: Any = model.base_model
    forward = trunk.forward
    trunk.forward = lambda *args, **given: read.append(tuple(given["input_ids"].shape)) or forward(*args, **given)
    found = decode(model, rows_of(PROMPTS, 16), keys(64), Decoding(1.0, most=40), list(range(2, 14)))
    prompts, *steps = read
    assert prompts == (4, 6)
    assert steps[0] == (64, 1)
    running = [int((found.lengths_R > step + 1).sum()) for step in range(len(steps))]
    for (slots, width), used in zip(steps, running, strict=True):
        assert width == 1
        assert used <= slots <= max(1, 2 * used)


@pytest.mark.parametrize("family", ["llama", "learned positions"])
def test_neighbours_that_are_one_model_keep_their_own_rows(family: str) -> None:
    """Three neighbours in few slots, against each by itself; their rows end at different times."""
    model, decoding, stops = small_model(family, spread=0.5), Decoding(0.0, most=12), list(range(2, 20))
    directions = [Direction(seed, 0.3) for seed in range(3)]
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16], [20, 21], [30], [31, 32, 33], [40]]
    alone = []
    for direction in directions:
        with Neighbourhood(model).at(direction):
            alone += _responses(decode(model, rows_of(prompts), keys(8), decoding, stops))
    assert len({len(tokens) for tokens in alone}) > 4
    with stacked(model, directions):
        for slots in (3, 7, 24):
            rows = Rows(prompts * 3, range(24), slots, lanes=3)
            assert _responses(decode(model, rows, keys(24), decoding, stops)) == alone


def _responses(decoded: Decoded) -> list[list[int]]:
    rows = zip(decoded.tokens_RT.tolist(), decoded.lengths_R.tolist(), strict=True)
    return [tokens[:length] for tokens, length in rows]


@pytest.mark.parametrize("lanes", [1, 2])
def test_prompts_are_read_some_at_a_time(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what a pass makes of them fits, however many rows are written at once; a prompt is still read once."""
    model, read = small_model(), list[list[int]]()
    trunk: Any = model.base_model
    forward = trunk.forward
    trunk.forward = lambda *args, **given: read.append(list(given["input_ids"].shape)) or forward(*args, **given)
    rows = Rows(PROMPTS, [0, 0, 1, 2, 2, 3, 3, 3], slots=8, lanes=lanes)
    keys_R = draws.keys_tensor(list(range(8)), torch.device("cpu"))
    decoding = Decoding(temperature=1.0, most=1)

    def written() -> Decoded:
        read.clear()
        if lanes == 1:
            return decode(model, rows, keys_R, decoding, [])
        with stacked(model, [Direction(seed, 0.3) for seed in range(lanes)]):
            return decode(model, rows, keys_R, decoding, [])

    whole = written()
    assert read == [[4 if lanes == 1 else 8, 6]]
    monkeypatch.setattr(writing, "READ_AT_ONCE", 12)
    in_parts = written()
    assert read == ([[2, 3], [2, 6]] if lanes == 1 else [[2, 6], [4, 3], [2, 6]])
    assert in_parts.tokens_RT.tolist() == whole.tokens_RT.tolist()
    torch.testing.assert_close(in_parts.log_probs_RT, whole.log_probs_RT)


def test_a_model_with_other_layers_than_attention_is_refused() -> None:
    model = small_model("qwen3")
    model.config.layer_types = ["full_attention", "chunked_attention"]
    with pytest.raises(CanNotDecode, match=r"Qwen3ForCausalLM: layers of \['chunked_attention'\] can't be decoded"):
        decode(model, rows_of(PROMPTS), keys(4), Decoding(0.0), stop_ids=[2])


def test_a_model_whose_attention_masks_by_itself_is_refused() -> None:
    config = GPTNeoConfig(
        vocab_size=VOCABULARY, hidden_size=32, num_layers=1, attention_types=[[["global"], 1]], num_heads=4
    )
    model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(ValueError, match="GPTNeoForCausalLM: its attention takes no mask but its own"):
        decode(model, rows_of(PROMPTS), keys(4), Decoding(0.0), stop_ids=[2])


def test_a_shared_prompt_equals_a_repeated_one() -> None:
    model, decoding = small_model(spread=2.0), Decoding(1.0, most=8)
    shared = decode(model, rows_of(PROMPTS, 3), keys(12), decoding, stop_ids=[2])
    repeated = decode(model, rows_of([p for p in PROMPTS for _ in range(3)]), keys(12), decoding, stop_ids=[2])
    assert shared.tokens_RT.tolist() == repeated.tokens_RT.tolist()
    assert len({tuple(row) for row in shared.tokens_RT[:3].tolist()}) > 1


def test_stops_and_truncation() -> None:
    model = small_model(spread=0.5)  # Nearly uniform: some rows stop early, some do not.
    stops = list(range(2, 12))
    found = decode(model, rows_of(PROMPTS[:1], 40), keys(40), Decoding(1.0, most=6), stop_ids=stops)
    assert 0 < int(found.stopped_R.sum()) < 40
    for tokens, length, stopped in zip(
        found.tokens_RT.tolist(), found.lengths_R.tolist(), found.stopped_R.tolist(), strict=True
    ):
        assert not any(token in stops for token in tokens[: length - 1])
        assert (tokens[length - 1] in stops) == stopped
        assert stopped or length == 6
        assert tokens[length:] == [0] * (len(tokens) - length)


def test_ends_when_all_rows_have_stopped() -> None:
    model, calls = small_model(), []
    trunk: Any = model.base_model
    forward = trunk.forward
    trunk.forward = lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs)
    found = decode(model, rows_of(PROMPTS), keys(4), Decoding(1.0, most=50), stop_ids=list(range(VOCABULARY)))
    assert found.tokens_RT.shape == (4, 1)
    assert len(calls) == 1  # the prefill; every row stopped at its first token


def test_samples_follow_the_models_distribution() -> None:
    model = small_model(spread=2.0)
    found = decode(model, rows_of(PROMPTS[:1], 20_000), keys(20_000), Decoding(1.0, most=1), stop_ids=[2])
    expected_V = model(torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(dim=-1).detach()
    counts_V = torch.bincount(found.tokens_RT[:, 0], minlength=VOCABULARY).float()
    large = expected_V * 20_000 >= 5
    statistic = float(((counts_V - expected_V * 20_000) ** 2 / (expected_V * 20_000))[large].sum())
    # χ²: mean ν, standard deviation √(2ν); four of them are beyond chance.
    freedom = int(large.sum())
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5


def test_under_autocast_log_probs_are_those_of_a_forward_pass_under_autocast() -> None:
    model = small_model(spread=2.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = decode(model, rows_of(PROMPTS), keys(4), Decoding(1.0, most=8), stop_ids=[2])
        for row, prompt in enumerate(PROMPTS):
            tokens = found.tokens_RT[row, : int(found.lengths_R[row])]
            logits_LV = model(torch.tensor([prompt + tokens.tolist()])).logits[0].detach().float()
            log_probs_TV = logits_LV[len(prompt) - 1 : -1].log_softmax(dim=-1)
            expected_T = log_probs_TV.gather(1, tokens.unsqueeze(1)).squeeze(1)
            # bfloat16 has eight bits of mantissa: sums in another order differ in the second decimal.
            torch.testing.assert_close(found.log_probs_RT[row, : len(tokens)], expected_T, rtol=0, atol=0.1)


def test_models_that_are_pooled_choose_by_the_product_of_their_distributions() -> None:
    """Against a plain forward pass of each over the whole sequence; the last four words are padding."""
    models = [small_model(), small_model("qwen2", spread=5.0)]
    together = Pooled(models, [0.7, 0.3], VOCABULARY - 4)
    found = decode(together, rows_of(PROMPTS, 2), keys(8), Decoding(1.0, most=6), stop_ids=[2])
    for row in range(8):
        prompt, length = PROMPTS[row // 2], int(found.lengths_R[row])
        ids = torch.tensor([prompt + found.tokens_RT[row, :length].tolist()])
        with torch.no_grad():
            each = [
                model(ids).logits[0, len(prompt) - 1 : -1, : VOCABULARY - 4].double().log_softmax(-1)
                for model in models
            ]
        expected = (0.7 * each[0] + 0.3 * each[1]).log_softmax(-1).gather(1, ids[0, len(prompt) :].unsqueeze(1))
        torch.testing.assert_close(found.log_probs_RT[row, :length], expected[:, 0].float(), rtol=1e-4, atol=1e-4)


def test_a_single_model_is_not_changed_by_being_pooled() -> None:
    model, prompts = small_model(), rows_of(PROMPTS)
    alone = decode(model, prompts, keys(4), Decoding(1.0, most=6), stop_ids=[2])
    pooled = decode(Pooled([model], [1.0], VOCABULARY), prompts, keys(4), Decoding(1.0, most=6), stop_ids=[2])
    assert pooled.tokens_RT.equal(alone.tokens_RT)
    assert pooled.log_probs_RT.equal(alone.log_probs_RT)
