"""Samples that a training leaves for people: few, of the right steps, with what it learned from."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from toys import changed, stages

from thicket.config.distillation import Reward
from thicket.config.shown import FILE, Shown, read_shown, write_shown
from thicket.models.folder import load_model, load_tokenizer
from thicket.stages.run import in_pipeline, run_stage
from thicket.training.rewards import reward
from thicket.training.shown import first_of_each, is_shown, of_first_prompts


def made(project: Path, stage: Any) -> Path:
    targets = in_pipeline(project, stage)
    run_stage(project, stage, targets)
    return targets.artifact


def is_right(one: Shown) -> bool:
    digits = one.prompt.removeprefix("sort ").partition("=")[0].strip()
    return one.response.strip() == "".join(sorted(digits))


def test_steps_are_kept_as_often_as_their_number_doubles() -> None:
    assert [step for step in range(1, 100) if is_shown(step)] == [1, 2, 4, 8, 16, 32, 64]


def test_a_few_of_each_domain_are_kept() -> None:
    words = ["a1", "b1", "a2", "a3", "b2", "a4", "a5", "a6"]
    assert first_of_each(words, lambda word: word[0]) == ["a1", "a2", "a3", "a4", "b1", "b2"]
    groups = ["a1", "a2", "a3", "a4", "b1", "b2"]
    assert of_first_prompts(groups, 2, lambda word: word[0]) == ["a1", "a2", "b1", "b2"]
    assert of_first_prompts(groups, 6, lambda word: word[0]) == ["a1", "a2", "a3", "a4"]


def test_a_training_leaves_samples_with_their_rewards(project: Path) -> None:
    stage = changed(stages(project)["specialist-sort-grpo"], "method.steps", 3)
    folder = made(project, stage)
    found = read_shown(folder)
    assert [one.step for one in found] == [1] * 4 + [2] * 4
    assert {(one.domain, one.writer, one.divergence) for one in found} == {("sort", None, None)}
    for one in found:
        assert one.correct is is_right(one)
        assert one.reward == reward(is_right(one), one.tokens, stage.domain, 0), one
        assert one.tokens >= len(one.response)
    again = (folder / FILE).read_bytes()
    made(project, stage)
    assert (folder / FILE).read_bytes() == again


def test_a_distillation_leaves_samples_with_their_divergence_from_the_teachers(project: Path) -> None:
    """Step 1 is made with the base's own weights: its divergence from the teacher is taken anew, token by token."""
    stage = changed(stages(project)["student-opd"], "method.steps", 1)
    found = read_shown(made(project, stage))
    assert {one.domain for one in found} == {"sort", "reverse"}
    tokenizer = load_tokenizer(project / "build/models/tiny")
    ends = [tokenizer.convert_tokens_to_ids("\n"), tokenizer.eos_token_id]
    for one in found:
        assert (one.reward, one.correct, one.writer) == (None, None, None), "nobody verifies these"
        prompt, answer = tokenizer(one.prompt)["input_ids"], tokenizer(one.response)["input_ids"][1:]
        missing = one.tokens - len(answer)  # the token that stopped it, of which the text says nothing
        answers = [[*answer, end] for end in ends] if missing else [answer]
        distances = [divergence(project, f"{one.domain}-grpo", prompt, whole) for whole in answers]
        assert min(distances) > 0
        assert min(abs((one.divergence or 0) / distance - 1) for distance in distances) < 0.005, one


@torch.no_grad()
def divergence(project: Path, teacher: str, prompt: list[int], answer: list[int]) -> float:
    """Mean KL of the base from a teacher over an answer's tokens."""
    ids = torch.tensor([prompt + answer])
    log_probs = [
        load_model(project / f"build/models/{name}").double()(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
        for name in ("tiny", teacher)
    ]
    return float((log_probs[0].exp() * (log_probs[0] - log_probs[1])).sum(-1).mean())


def test_verdicts_and_writers_are_told_where_they_are_known(project: Path) -> None:
    stage = changed(changed(stages(project)["student-opd"], "method.steps", 1), "method.on_policy", 0.5)
    stage = changed(changed(stage, "method.group", 2), "method.reward", Reward(weight=0.1))
    stage = changed(stage, "domains", list(reversed(stage.domains)))
    writers = defaultdict[str, set[str | None]](set)
    for one in read_shown(made(project, stage)):
        writers[one.domain].add(one.writer)
        assert one.correct is not None
        assert one.reward is not None
        assert one.divergence is not None
    assert writers == {"sort": {"sort-grpo"}, "reverse": {"reverse-grpo"}}, "the first half of each is the teachers'"


def test_any_text_comes_back(tmp_path: Path) -> None:
    shown = [
        Shown(1, "sort", "a\u2028b\r\n", "\x00\u202e</script>", None, 3, "tiny", True, 0.5),
        Shown(2, "sort", "", "", 1.0, 0),
    ]
    write_shown(tmp_path, shown)
    assert read_shown(tmp_path) == shown
    assert read_shown(tmp_path / "elsewhere") == []


@pytest.mark.parametrize("text", ["{", "[1]\n", json.dumps({"step": 1}) + "\n"])
def test_what_is_no_file_of_samples_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ValueError, match=r"samples\.jsonl: not samples of a training"):
        read_shown(tmp_path)
