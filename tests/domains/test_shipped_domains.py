"""Every domain that ships makes its data, out of stand-ins of the same form where it reads a data set.

Those whose responses are programs have tests of their own (test_sandbox.py and its neighbours).
"""

from pathlib import Path

import pytest
from stand_ins import STAND_INS, stand_in

from thicket.config.domain import Domain
from thicket.config.library import Library
from thicket.config.source import IfevalSource, ReasoningGymSource
from thicket.config.stages import DataStage
from thicket.domains.instructions import CHECKS
from thicket.domains.item import SPLIT_NAMES, Item, read_items
from thicket.domains.registry import judge_of
from thicket.domains.sources import reasoning_gym
from thicket.stages.data import make_data

LIBRARY = Library(Path(__file__).parents[2] / "conf")
SHIPPED = [Domain.model_validate(LIBRARY.option("domain", name).value) for name in LIBRARY.options("domain")]
JUDGED = [domain for domain in SHIPPED if domain.verifier.type != "code"]
FEW = {"train": 6, "selection": 2, "test": 4}


def made(domain: Domain, folder: Path) -> dict[str, list[Item]]:
    prompt = domain.prompt.model_copy(update={"shot_pool": max(1, domain.prompt.shots)})
    few = domain.model_copy(update={"prompt": prompt, "splits": domain.splits.model_copy(update=FEW)})
    make_data(DataStage(name=domain.name, domain=few.data_part()), folder)
    return {name: read_items(folder / f"{name}.jsonl") for name in SPLIT_NAMES}


@pytest.mark.parametrize("domain", JUDGED, ids=lambda domain: domain.name)
def test_its_data_is_made_and_its_verifier_knows_the_answers(
    domain: Domain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(domain.source, ReasoningGymSource):
        pytest.importorskip("reasoning_gym")
        # In this process: one of their own for each of them loads the package anew (test_reasoning_gym.py has some).
        monkeypatch.setattr(reasoning_gym, "raw_items", reasoning_gym._items)
    stand_in(domain, tmp_path, monkeypatch)
    splits = made(domain, tmp_path)
    counts = {**FEW, **({} if domain.splits.trainable else {"train": 0, "selection": 0})}
    assert {name: len(items) for name, items in splits.items()} == counts
    items = [item for split in splits.values() for item in split]
    judge = judge_of(domain.verifier)
    assert not any(verdict.correct for verdict in judge([("", item) for item in items]))
    shown = [item for item in items if item.demonstration]
    assert bool(shown) is (domain.verifier.type not in ("instructions", "writing"))
    assert all(verdict.correct for verdict in judge([(item.demonstration, item) for item in shown]))
    if domain.stop:
        assert not any(domain.stop in item.demonstration for item in shown)


def test_every_data_set_has_a_stand_in() -> None:
    read = [
        domain
        for domain in JUDGED
        if getattr(domain.source, "path", None) or getattr(domain.source, "data_files", None)
    ]
    assert {domain.name for domain in read} == set(STAND_INS) - {"livecodebench"}


def test_ifeval_keeps_the_kinds_that_have_a_check() -> None:
    (domain,) = [domain for domain in SHIPPED if domain.name == "ifeval"]
    assert isinstance(domain.source, IfevalSource)
    assert set(domain.source.kinds) == set(CHECKS)
