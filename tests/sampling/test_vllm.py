"""The vllm sampler beside a stand-in for vLLM: what is asked of it, and what its outputs are taken for."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from fake_vllm import TOKENIZER, Engines, installed, output
from small_models import plain_logits, random_llama

from thicket.config.run import TorchSampling, VllmSampling
from thicket.models.pooled import Pooled
from thicket.ops.log_probs import token_log_probs
from thicket.ops.sampling import warped_log_probs
from thicket.sampling.decode import Decoding
from thicket.sampling.prompts import stop_ids
from thicket.sampling.rollouts import Request, Response, sequences
from thicket.sampling.sampler import Sampler, TorchSampler, sampler_of
from thicket.sampling.vllm import seed_of

NEWLINE, END = TOKENIZER("\n", add_special_tokens=False)["input_ids"][0], TOKENIZER.eos_token_id
STOPS = stop_ids(TOKENIZER, "\n")
CONFIG = VllmSampling(type="vllm", batch=8, gpu_memory=0.4, dtype="float32", eager=True)


@pytest.fixture
def engines() -> Iterator[Engines]:
    with installed() as made:
        yield made


def model(seed: int = 0, **sizes: Any) -> Any:
    return random_llama(seed, spread=4.0, vocab_size=len(TOKENIZER), **sizes)


def requests(count: int = 3) -> list[Request]:
    texts = ("sort 31=", "odd 7=", "reverse abcde=")
    return [Request(TOKENIZER(text)["input_ids"], key, count) for key, text in enumerate(texts)]


def answered(sampler: Sampler, decoding: Decoding, asked: list[Request], policy: Any = None) -> list[list[Response]]:
    return sampler.respond(policy or model(), TOKENIZER, asked, decoding, STOPS, "\n")


def test_the_config_chooses(engines: Engines) -> None:
    assert sampler_of(TorchSampling(type="torch", batch=7)) == TorchSampler(7)
    assert sampler_of(CONFIG).batch == 8
    assert sampler_of(CONFIG) is sampler_of(CONFIG), "an engine takes its memory once"
    assert engines.started == [], "an engine starts when it is first needed"


def test_what_the_engine_is_started_with(engines: Engines) -> None:
    answered(sampler_of(CONFIG), Decoding(1.0, most=4), requests())
    engine = engines.only
    assert engine.config.architectures == ["LlamaForCausalLM"]
    assert engine.options == {
        "skip_tokenizer_init": True,
        "generation_config": "vllm",
        "load_format": "dummy",
        "dtype": "float32",
        "logprobs_mode": "processed_logprobs",
        "max_num_seqs": 8,
        "max_model_len": -1,
        "gpu_memory_utilization": 0.4,
        "enforce_eager": True,
    }


def test_what_is_asked_of_it(engines: Engines) -> None:
    asked = requests(count=3)
    policy = model(eos_token_id=END)
    answered(sampler_of(CONFIG), Decoding(0.7, top_k=5, top_p=0.9, most=6), asked, policy)
    ((prompts, params),) = engines.only.generated
    assert prompts == [{"prompt_token_ids": request.prompt} for request in asked]
    assert params == [
        {
            "n": 3,
            "temperature": 0.7,
            "top_k": 5,
            "top_p": 0.9,
            "max_tokens": 6,
            "stop_token_ids": sorted({NEWLINE, END}),
            "ignore_eos": True,
            "seed": seed_of(request),
            "logprobs": 0,
            "detokenize": False,
        }
        for request in asked
    ]


def test_seeds_are_small_enough_to_be_counted_up_from() -> None:
    seeds = [seed_of(Request([], key)) for key in (0, 1, 2**64 - 1, 12345678901234567890)]
    assert len(set(seeds)) == 4
    assert all(0 <= seed < 2**62 for seed in seeds)


def test_responses_are_those_of_the_model_in_the_order_of_the_requests(engines: Engines) -> None:
    """The stand-in writes with thicket's own loop: from the same keys come the same responses."""
    asked, policy, decoding = requests(count=2), model(), Decoding(0.8, top_k=9, most=8)
    asked[1] = Request(asked[1].prompt, asked[1].key, 5)
    found = answered(sampler_of(CONFIG), decoding, asked, policy)
    keyed = [Request(request.prompt, seed_of(request), request.responses) for request in asked]
    expected = TorchSampler(100).respond(policy, TOKENIZER, keyed, decoding, STOPS, "\n")
    assert [[one.tokens for one in group] for group in found] == [[one.tokens for one in group] for group in expected]
    assert [[one.text for one in group] for group in found] == [[one.text for one in group] for group in expected]
    assert [[one.stopped for one in group] for group in found] == [[one.stopped for one in group] for group in expected]
    assert {one.stopped for group in found for one in group} == {True, False}


def test_log_probabilities_are_those_after_temperature_and_truncation(engines: Engines) -> None:
    policy, decoding = model(), Decoding(0.8, top_k=9, top_p=0.95, most=8)
    for request, group in zip(requests(), answered(sampler_of(CONFIG), decoding, requests(), policy), strict=True):
        for one in group:
            batch = sequences([request.prompt], [one.tokens], "cpu")
            logits_KV = plain_logits(policy, batch)[0].detach()
            log_probs_KV = warped_log_probs(logits_KV, 0.8, 9, 0.95)
            expected_K = token_log_probs(log_probs_KV.unsqueeze(0), batch.targets_BK)[0]
            torch.testing.assert_close(torch.tensor(one.log_probs), expected_K.float(), rtol=1e-4, atol=1e-4)


def test_greedy_responses_are_written_once_and_cost_no_draws(engines: Engines) -> None:
    found = answered(sampler_of(CONFIG), Decoding(0.0, most=5), requests(count=3))
    assert [given["n"] for given in engines.only.generated[0][1]] == [1, 1, 1]
    assert [given["logprobs"] for given in engines.only.generated[0][1]] == [None] * 3
    for group in found:
        assert len(group) == 3
        assert group[0] == group[1] == group[2]
        assert group[0].log_probs == [0.0] * len(group[0].tokens)


def test_a_response_holds_its_stop_token_and_its_text_does_not(engines: Engines) -> None:
    ten = [*TOKENIZER("10", add_special_tokens=False)["input_ids"]]
    engines.scripted = [
        [output([*ten, NEWLINE], [-0.5, -0.25, -0.125]), output([*ten, *ten[:1]], [-1.0, -2.0, -3.0], "length")],
        [output([END], [-0.5]), output([*ten, END], [-1.0, -2.0, -3.0], "length")],
    ]
    first, second = answered(sampler_of(CONFIG), Decoding(1.0, most=3), requests(count=2)[:2])
    assert first == [
        Response([*ten, NEWLINE], [-0.5, -0.25, -0.125], stopped=True, text="10"),
        Response([*ten, ten[0]], [-1.0, -2.0, -3.0], stopped=False, text="101"),
    ]
    assert second[0] == Response([END], [-0.5], stopped=True, text="")
    assert second[1].stopped, "whatever reason is given: the last token is a stop"


def test_a_response_that_breaks_off_is_no_response(engines: Engines) -> None:
    engines.scripted = [[output([5, 6], [-1.0, -1.0], "length")]]
    with pytest.raises(ValueError, match=r"a response broke off after 2 of 9 tokens \(length\).*sampler\.gpu_memory"):
        answered(sampler_of(CONFIG), Decoding(1.0, most=9), requests(count=1)[:1])


# -- what it can't do --------------------------------------------------------------------------------------------------


def test_one_model_at_a_time(engines: Engines) -> None:
    pooled = Pooled([model(), model(1)], [0.5, 0.5], len(TOKENIZER))
    with pytest.raises(ValueError, match="sampler vllm: it writes for one model at a time; `sampler: torch` writes"):
        answered(sampler_of(CONFIG), Decoding(1.0), requests(), pooled)
    with pytest.raises(ValueError, match="one model at a time"):
        sampler_of(CONFIG).respond(model(), TOKENIZER, requests(), Decoding(1.0), STOPS, None, copies=2)


@pytest.mark.parametrize("temperature", [0.005, 2.5])
def test_temperatures_that_vllm_does_not_take(engines: Engines, temperature: float) -> None:
    with pytest.raises(ValueError, match=rf"temperature {temperature}; allowed: 0, or from 0\.01 to 2\.0"):
        answered(sampler_of(CONFIG), Decoding(temperature), requests())


def test_a_missing_package_says_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thicket.sampling.vllm.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"the package vllm can't be found; `pip install -e '\.\[vllm\]'` installs"):
        sampler_of(VllmSampling(type="vllm", batch=9))


def test_an_engine_that_does_not_start_says_why(engines: Engines, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("no GPU")

    monkeypatch.setattr("vllm.LLM", fail)
    with pytest.raises(ValueError, match="sampler vllm: the engine does not start: no GPU"):
        answered(sampler_of(CONFIG), Decoding(1.0), requests())
