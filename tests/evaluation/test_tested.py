"""What an evaluation notes of its test: each part changes with what it stands for, and with nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thicket.config.domain import ScoredDomain, Window
from thicket.config.verifier import ExactVerifier, JudgeModel, NumberVerifier, WritingVerifier
from thicket.domains.item import Item
from thicket.domains.registry import judge_of
from thicket.evaluation.tested import noted_test
from thicket.sampling.environment import Environment

VERIFIER = NumberVerifier(type="number")
ITEMS = [Item(id, f"{id}=", answer, 1) for id, answer in (("a", "1"), ("b", "2"))]


def environment(items: list[Item], **changes: Any) -> Environment:
    window = Window(prompt=8, response=8)
    domain = ScoredDomain(name="sort", verifier=VERIFIER, window=window).model_copy(update=changes)
    return Environment(domain, items, [[1]] * len(items), [0], judge_of(domain.verifier))


@pytest.mark.parametrize(
    ("items", "changes", "differing"),
    [
        (ITEMS, {"verifier": NumberVerifier(type="number", tolerance=0.5)}, {"verifier"}),
        (ITEMS, {"verifier": ExactVerifier(type="exact")}, {"verifier"}),
        (ITEMS, {"stop": ";"}, {"stop character"}),
        ([ITEMS[0], replace(ITEMS[1], answer="3")], {}, {"answers"}),
        ([ITEMS[0], replace(ITEMS[1], reference={"tests": []})], {}, {"answers"}),
        ([ITEMS[0], replace(ITEMS[1], prompt="b:")], {}, {"prompts"}),
        (ITEMS[::-1], {}, set()),
        ([replace(item, demonstration="shown") for item in ITEMS], {}, set()),
        (ITEMS, {"verifier": NumberVerifier(type="number", which="last")}, set()),  # as by default
        (ITEMS, {"window": Window(prompt=8, response=16), "prefix": "Think: "}, set()),  # another effort
    ],
)
def test_the_parts(items: list[Item], changes: dict[str, Any], differing: set[str]) -> None:
    before, after = noted_test(environment(ITEMS), {}), noted_test(environment(items, **changes), {})
    assert {part for part in before if before[part] != after[part]} == differing


def test_the_code_of_ones_own_verifier(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "thicket.domains.verifiers.number"
    assert noted_test(environment(ITEMS), {module: "1"}) == noted_test(environment(ITEMS), {module: "2"})
    monkeypatch.setattr("thicket.evaluation.tested.is_plugin", lambda _: True)
    assert (
        noted_test(environment(ITEMS), {module: "1"})["verifier"]
        != noted_test(environment(ITEMS), {module: "2"})["verifier"]
    )


def test_the_weights_that_judge(tmp_path: Path) -> None:
    """Another judge in the same folder judges otherwise."""
    judged = {"verifier": WritingVerifier(type="writing", judge=JudgeModel(folder=str(tmp_path)))}
    found = set()
    for weights in (b"one", b"another"):
        (tmp_path / "model.safetensors").write_bytes(weights)
        found.add(noted_test(environment(ITEMS, **judged), {})["verifier"])
    assert len(found) == 2
