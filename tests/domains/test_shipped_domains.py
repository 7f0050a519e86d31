"""Every domain that ships makes its data, out of stand-ins of the same form where it reads a data set.

Those whose responses are programs have tests of their own (test_sandbox.py and its neighbours).
"""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thicket.config.domain import Domain
from thicket.config.library import Library
from thicket.config.source import DatasetSource, IfevalSource, ReasoningGymSource
from thicket.config.stages import DataStage
from thicket.domains.instructions import CHECKS
from thicket.domains.item import SPLIT_NAMES, Item, read_items
from thicket.domains.registry import judge_of
from thicket.stages.data import make_data

LIBRARY = Library(Path(__file__).parents[2] / "conf")
SHIPPED = [Domain.model_validate(LIBRARY.option("domain", name).value) for name in LIBRARY.options("domain")]
JUDGED = [domain for domain in SHIPPED if domain.verifier.type != "code"]
ROWS = 80
FEW = {"train": 6, "selection": 2, "test": 4}

Row = dict[str, Any]


def options(n: int, letters: str = "ABCD") -> Row:
    return {"text": [f"{n} {word}" for word in ("suns", "moons", "seas", "trees")], "label": list(letters)}


STAND_INS: dict[str, Callable[[int], Row]] = {
    "gsm8k": lambda n: {
        "question": f"What is {n} + 2?",
        "answer": f"{n} + 2 = <<{n}+2={n + 2}>>{n + 2}.\n#### {n + 2:,}",
    },
    "math": lambda n: {
        "problem": f"Halve ${n}$.",
        "level": "Level 1",
        "type": "Algebra",
        "solution": rf"It is $\frac{{{n}}}{{2}}$, so \boxed{{\frac{{{n}}}{{2}}}}.",
    },
    "math-500": lambda n: {
        "problem": f"Halve ${n}$.",
        "solution": rf"It is $\boxed{{\frac{{{n}}}{{2}}}}$.",
        "answer": rf"\frac{{{n}}}{{2}}",
        "subject": "Algebra",
        "level": 1 + n % 5,
        "unique_id": f"test/{n}.json",
    },
    "aime24": lambda n: {"id": n, "problem": f"Find {n}.", "solution": rf"$\boxed{{{n}}}$", "answer": f"{n:03}"},
    "aime25": lambda n: {"id": str(n), "problem": f"Find {n}.", "answer": str(n)},
    "svamp": lambda n: {"ID": str(n), "Body": f"Ann has {n} pens.", "Question": "How many?", "Answer": f"{n}.0"},
    "word-problems": lambda n: {"Body": f"Ann has {n} pens.", "Question": "How many?", "Answer": float(n)},
    "mawps": lambda n: {"input": f"Ann has {n} pens . How many ?", "target": float(n)},
    "ifeval": lambda n: {
        "key": n,
        "prompt": f"Write {n} lines.",
        "instruction_id_list": ["language:response_language" if n % 2 else "punctuation:no_comma"],
        "kwargs": [{"language": "fr"} if n % 2 else {}],
    },
    "arc-easy": lambda n: {"id": str(n), "question": f"{n}?", "choices": options(n, "1234"), "answerKey": "3"},
    "arc-challenge": lambda n: {"id": str(n), "question": f"{n}?", "choices": options(n), "answerKey": "D"},
    "openbookqa": lambda n: {"id": str(n), "question_stem": f"{n} is", "choices": options(n), "answerKey": "A"},
    "boolq": lambda n: {"question": f"is {n} even", "answer": n % 2 == 0, "passage": f"It is {n}."},
    "winogrande": lambda n: {"sentence": f"_ has {n}.", "option1": "Ann", "option2": "Bob", "answer": "2"},
}


def stand_in(domain: Domain, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts rows where the domain's source looks for them: the hub's package, or files under the working directory."""
    monkeypatch.chdir(folder)
    source = domain.source
    if not isinstance(source, DatasetSource | IfevalSource):
        return
    if isinstance(source, DatasetSource) and source.path:
        hub: Any = types.ModuleType("datasets")
        hub.load_dataset = lambda *asked, **options: [STAND_INS[domain.name](n) for n in range(1, ROWS)]
        monkeypatch.setitem(sys.modules, "datasets", hub)
    files = [source.data_files] if isinstance(source.data_files, str) else source.data_files or []
    for place, name in enumerate(files):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        rows = [STAND_INS[domain.name](n) for n in range(1 + place * ROWS, ROWS + place * ROWS)]
        Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


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
    assert {domain.name for domain in read} == set(STAND_INS)


def test_ifeval_keeps_the_kinds_that_have_a_check() -> None:
    (domain,) = [domain for domain in SHIPPED if domain.name == "ifeval"]
    assert isinstance(domain.source, IfevalSource)
    assert set(domain.source.kinds) == set(CHECKS)
