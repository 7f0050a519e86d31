"""The log of rollouts: what is read back, what is not trusted, and how a call that was broken off goes on."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from breaking import Killed, counted
from fake_vllm import TOKENIZER
from full_disk import files_of_at_most
from small_models import random_llama
from test_decode import small_model

from thicket.models.perturb import Direction
from thicket.models.pooled import Pooled
from thicket.models.stacked import stacked
from thicket.ops import draws
from thicket.sampling import writing
from thicket.sampling.decode import Decoding, ends
from thicket.sampling.rollout_log import FILE, RolloutLog, name_of
from thicket.sampling.rollouts import Part, Request, Response
from thicket.sampling.sampler import InWholeCalls, TorchSampler

MOST, EVERY = 40, 8
DRAWN = Decoding(1.0, most=MOST)
STOPS = [2, 3, 4]
NAME, OTHER = b"a" * 16, b"b" * 16


def requests(seed: int = 0) -> list[Request]:
    prompts = [[5, 6, 7], [8], [9, 10, 11, 12, 13, 14], [15, 16]]
    return [Request(prompt, draws.key(seed, place), 5) for place, prompt in enumerate(prompts)]


def respond(model: Any, log: RolloutLog | None, slots: int = 64, decoding: Decoding = DRAWN) -> list[Response]:
    groups = TorchSampler(slots, log).respond(model, TOKENIZER, requests(), decoding, STOPS, None)
    return [response for group in groups for response in group]


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "TOLD_AT", EVERY)


def break_off(model: Any, folder: Path, at: int, slots: int = 64) -> None:
    with counted(at), pytest.raises(Killed):
        respond(model, RolloutLog(folder), slots)


def logged(model: Any, folder: Path) -> dict[int, Part]:
    return RolloutLog(folder).known(name_of("torch", model, requests(), DRAWN, ends([model], STOPS)))


# -- a call that goes on -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slots", [3, 64])
@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3", "learned positions", "pooled"])
def test_a_call_goes_on_where_it_was(family: str, slots: int, tmp_path: Path) -> None:
    """What was logged is taken as it was drawn. The rest are the same tokens: what is read of a response at once and
    what is read token by token differ by rounding, and no two tokens are near a tie here."""
    model: Any = small_model(family, 0.5) if family != "pooled" else None
    if family == "pooled":
        model = Pooled([small_model("llama", 0.5), small_model("qwen2", 0.5)], [0.7, 0.3], 56)
    with counted() as steps:
        whole = respond(model, None, slots)
    assert len({len(one.tokens) for one in whole}) > 8
    at = len(steps) // 2
    break_off(model, tmp_path, at, slots)
    known = logged(model, tmp_path)
    with counted() as left:
        resumed = respond(model, RolloutLog(tmp_path), slots)
    assert len(left) <= len(steps) - at + EVERY
    assert [one.tokens for one in resumed] == [one.tokens for one in whole]
    assert [one.stopped for one in resumed] == [one.stopped for one in whole]
    for row, (one, other) in enumerate(zip(resumed, whole, strict=True)):
        drawn = len(known[row].tokens) if row in known else 0
        assert one.log_probs[:drawn] == other.log_probs[:drawn]
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-5)
    assert any(0 < len(part.tokens) < len(whole[row].tokens) for row, part in known.items())


def test_rows_that_had_ended_and_steps_that_were_done_are_not_done_again(tmp_path: Path) -> None:
    """24 steps are done when it breaks off, and told of; so the next run's first has the rows that are longer."""
    model = small_model(spread=0.5)
    whole = respond(model, None)
    break_off(model, tmp_path, 3 * EVERY + 2)
    with counted() as steps:
        respond(model, RolloutLog(tmp_path))
    done = 3 * EVERY + 1  # a token for the prompt, and one a step
    longer = [len(one.tokens) - done for one in whole if len(one.tokens) > done]
    assert steps[0] == len([count for count in longer if count > 0])
    assert len(steps) == max(longer) - 1


def test_broken_off_again_and_again(tmp_path: Path) -> None:
    model = small_model(spread=0.5)
    whole, seen = respond(model, None), 0
    for _ in range(3):
        break_off(model, tmp_path, EVERY + 1)
        assert max(len(part.tokens) for part in logged(model, tmp_path).values()) == seen + EVERY + 1
        seen += EVERY + 1
    assert [one.tokens for one in respond(model, RolloutLog(tmp_path))] == [one.tokens for one in whole]


def test_long_responses_are_read_some_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = small_model(spread=0.5), list[tuple[int, int]]()
    whole = respond(model, None)
    break_off(model, tmp_path, EVERY + 1)
    monkeypatch.setattr(writing, "READ_AT_ONCE", 50)
    trunk: Any = model.base_model
    forward = trunk.forward
    trunk.forward = lambda *args, **given: read.append(tuple(given["input_ids"].shape)) or forward(*args, **given)
    resumed = respond(model, RolloutLog(tmp_path))
    wide = [(rows, width) for rows, width in read if width > 1]
    assert len(wide) > 3
    assert all(rows * width <= 50 for rows, width in wide)
    assert [one.tokens for one in resumed] == [one.tokens for one in whole]


def test_a_call_that_was_done_asks_the_model_for_nothing(tmp_path: Path) -> None:
    model = small_model(spread=0.5)
    whole = respond(model, RolloutLog(tmp_path))
    trunk: Any = model.base_model
    trunk.forward = None
    log = RolloutLog(tmp_path)
    assert log.calls == 1
    assert respond(model, log) == whole


@pytest.mark.parametrize("slots", [3, 64])
def test_a_log_changes_no_bit(slots: int, tmp_path: Path) -> None:
    assert respond(small_model(), RolloutLog(tmp_path), slots) == respond(small_model(), None, slots)


def test_another_engines_calls_are_logged_as_a_whole(tmp_path: Path) -> None:
    model = small_model(spread=0.5)
    asked: Any = (model, TOKENIZER, requests(), DRAWN, STOPS, None)
    first = InWholeCalls(TorchSampler(64), RolloutLog(tmp_path)).respond(*asked)
    with counted() as steps:
        again = InWholeCalls(TorchSampler(64), RolloutLog(tmp_path)).respond(*asked)
    assert not steps
    assert again == first


# -- a log that is not of this call --------------------------------------------------------------------------------


Change = Callable[[Any, list[Request], Decoding], tuple[Any, list[Request], Decoding]]


def trained(model: Any, asked: list[Request], decoding: Decoding) -> Any:
    """The least step of one weight that there is."""
    weight = model.lm_head.weight.data.view(-1)
    weight[3] = weight[3].nextafter(weight[3] + 1)
    return model, asked, decoding


CHANGES: dict[str, Change] = {
    "weights": trained,
    "batch": lambda model, asked, decoding: (model, [replace(one, key=one.key + 1) for one in asked], decoding),
    "prompts": lambda model, asked, decoding: (model, [replace(one, prompt=[5]) for one in asked], decoding),
    "temperature": lambda model, asked, decoding: (model, asked, replace(decoding, temperature=0.9)),
    "window": lambda model, asked, decoding: (model, asked, replace(decoding, most=MOST - 1)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_stale_log_is_not_used(change: Change, tmp_path: Path) -> None:
    model: Any = random_llama(vocab_size=len(TOKENIZER))
    TorchSampler(64, RolloutLog(tmp_path)).respond(model, TOKENIZER, requests(), DRAWN, STOPS, None)
    with counted() as before:
        model, asked, decoding = change(model, requests(), DRAWN)
        TorchSampler(64).respond(model, TOKENIZER, asked, decoding, STOPS, None)
    with counted() as steps:
        TorchSampler(64, RolloutLog(tmp_path)).respond(model, TOKENIZER, asked, decoding, STOPS, None)
    assert steps == before


def test_neighbours_in_one_pass_are_not_taken_for_the_model(tmp_path: Path) -> None:
    model, log = small_model(spread=0.5), RolloutLog(tmp_path)
    with stacked(model, [Direction(0, 0.3), Direction(1, 0.3)]):
        TorchSampler(64, log).respond(model, TOKENIZER, requests(), DRAWN, STOPS, None, copies=2)
    assert (tmp_path / FILE).stat().st_size == 0


# -- the file ------------------------------------------------------------------------------------------------------


def part(row: int, first: int, tokens: list[int], stopped: bool = False) -> Part:
    return Part(row, first, tokens, [-0.5 * token for token in tokens], stopped)


def two_records(folder: Path) -> tuple[bytes, int]:
    """The file's bytes, and where the second record begins."""
    log = RolloutLog(folder)
    log.add(NAME, [part(0, 0, [7, 8]), part(2, 0, [9], stopped=True)])
    first = (folder / FILE).stat().st_size
    log.add(NAME, [part(0, 2, [5])])
    return (folder / FILE).read_bytes(), first


def test_parts_are_joined(tmp_path: Path) -> None:
    two_records(tmp_path)
    log = RolloutLog(tmp_path)
    assert log.known(NAME) == {0: part(0, 0, [7, 8, 5]), 2: part(2, 0, [9], stopped=True)}
    assert log.known(OTHER) == {}


def test_a_torn_tail_is_cut_off_wherever_it_was_torn(tmp_path: Path) -> None:
    whole, first = two_records(tmp_path)
    path = tmp_path / FILE
    tails = [whole[:end] for end in range(first, len(whole))]
    tails += [whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :] for place in range(first, len(whole))]
    tails += [whole[:first] + bytes(count) for count in (1, 8, 64)]
    for torn in tails:
        path.write_bytes(torn)
        log = RolloutLog(tmp_path)
        assert log.known(NAME) == {0: part(0, 0, [7, 8]), 2: part(2, 0, [9], stopped=True)}
        assert path.read_bytes() == whole[:first]
        log.add(NAME, [part(0, 2, [5])])
        assert path.read_bytes() == whole


def test_a_checkpoint_empties_it(tmp_path: Path) -> None:
    two_records(tmp_path)
    log = RolloutLog(tmp_path)
    log.clear()
    assert not log.calls
    assert log.known(NAME) == {}
    log.add(OTHER, [part(0, 0, [7])])
    assert RolloutLog(tmp_path).known(OTHER) == {0: part(0, 0, [7])}


def test_where_nothing_can_be_written_the_run_goes_on_and_says_so_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = small_model(spread=0.5)
    whole, log = respond(model, None), RolloutLog(tmp_path)
    log.add(OTHER, [part(0, 0, [7])])
    with files_of_at_most(100):
        assert respond(model, log) == whole
        assert respond(model, log) == whole
    respond(model, log)  # nothing comes behind a piece
    said = capsys.readouterr().err
    assert said.count("responses are not logged") == 1
    assert str(tmp_path / FILE) in said
    assert (tmp_path / FILE).stat().st_size == 100, "a piece of a record is there"
    again = RolloutLog(tmp_path)
    assert again.known(OTHER) == {0: part(0, 0, [7])}
    log.clear()  # there is room again
    respond(model, log)
    assert RolloutLog(tmp_path).calls == 1


def test_a_folder_that_can_not_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    log = RolloutLog(tmp_path / "file" / "resume")
    assert "Not a directory: responses are not logged" in capsys.readouterr().err
    assert respond(small_model(), log) == respond(small_model(), None)
    assert os.listdir(tmp_path) == ["file"]
