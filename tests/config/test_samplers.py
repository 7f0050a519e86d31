"""What the sampler vllm can't do is said before anything runs."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path

import pytest
from broken import Broken, Change, apply, broken, edited, expect
from commands import Command

VLLM: tuple[Change, ...] = (
    ("conf/sampler/vllm.yaml", "", "batch: 16\ntype: vllm\n"),
    edited("seed: 0\n", "seed: 0\nsampler: vllm\n"),
)
WIDE = edited("bases:\n", "bases:\n  wide: {base: toy, set: {base.architecture.width: 32}}\n")
ENSEMBLE: tuple[Change, ...] = (
    ("conf/method/together.yaml", "", "type: ensemble\n"),
    edited("soup: {base: tiny, method: soup,", "soup: {base: tiny, method: together,"),
)
FROM_WIDE: tuple[Change, ...] = (
    WIDE,
    edited("teachers: [sort-grpo, {model: reverse-grpo,", "teachers: [sort-grpo, {model: wide, domain: reverse,"),
)
WRITTEN = edited("    method: opd\n", "    method: opd\n    set: {method.on_policy: 0.5}\n")

CASES = [
    broken(
        "an ensemble",
        *VLLM,
        *ENSEMBLE,
        """
        conf/sampler/vllm.yaml:2: sampler.type = 'vllm': the models of an ensemble choose each token together, and it writes for one at a time
            allowed: torch
            used by: evaluate soup
        """,
    ),
    broken(
        "a teacher of another architecture that answers",
        *VLLM,
        *FROM_WIDE,
        WRITTEN,
        """
        conf/sampler/vllm.yaml:2: sampler.type = 'vllm': models of two architectures answer in this stage, and it writes for one
            allowed: torch
            used by: student opd
        """,
    ),
    broken(
        "several devices",
        *VLLM,
        ("conf/trainer/default.yaml", "", "devices: 2\nstrategy: ddp\n"),
        """
        conf/trainer/default.yaml:1: trainer.devices = 2: the sampler vllm writes for a stage on one device
            allowed: 1
            used by: specialist sort-grpo, specialist reverse-grpo, student opd, student soup and 7 more
        """,
    ),
    broken(
        "all of the memory",
        *VLLM,
        ("conf/sampler/vllm.yaml", "batch: 16", "gpu_memory: 1.0"),
        """
        conf/sampler/vllm.yaml:1: sampler.gpu_memory = 1.0: out of range
            allowed: less than 1.0
            used by: specialist sort-grpo, specialist reverse-grpo, student opd, student soup and 7 more
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)


SOUND = {"vllm": VLLM, "torch": (*ENSEMBLE, *FROM_WIDE, WRITTEN), "judging teachers": (*VLLM, *FROM_WIDE)}


@pytest.mark.parametrize("changes", SOUND.values(), ids=SOUND)
def test_what_is_sound(changes: tuple[Change, ...], sample: Path, command: Command) -> None:
    apply(sample, changes)
    assert command("plan").status == 0
    said = command("check")
    assert (said.status, said.err) == (0, "")
