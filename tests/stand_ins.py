"""Rows of the form of real data sets, put where the domains that read them look."""

import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from thicket.config.domain import Domain
from thicket.config.source import DatasetSource, IfevalSource, LivecodebenchSource

ROWS = 80
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
    "ifeval-short": lambda n: {
        "key": n,
        "prompt": f"Write {n} lines.",
        "instruction_id_list": ["length_constraints:number_words" if n % 2 else "punctuation:no_comma"],
        "kwargs": [{"relation": "at least", "num_words": 9} if n % 2 else {}],
    },
    "arc-easy": lambda n: {"id": str(n), "question": f"{n}?", "choices": options(n, "1234"), "answerKey": "3"},
    "arc-easy-text": lambda n: {"id": str(n), "question": f"{n}?", "choices": options(n), "answerKey": "B"},
    "arc-challenge": lambda n: {"id": str(n), "question": f"{n}?", "choices": options(n), "answerKey": "D"},
    "openbookqa": lambda n: {"id": str(n), "question_stem": f"{n} is", "choices": options(n), "answerKey": "A"},
    "openbookqa-text": lambda n: {"id": str(n), "question_stem": f"{n} is", "choices": options(n), "answerKey": "C"},
    "boolq": lambda n: {"question": f"is {n} even", "answer": n % 2 == 0, "passage": f"It is {n}."},
    "livecodebench": lambda n: {
        "question_title": f"Add {n}",
        "question_content": f"Read a number and print it plus {n}.",
        "platform": "atcoder",
        "question_id": f"abc{n}",
        "contest_date": "2024-09-01T00:00:00",
        "starter_code": "",
        "difficulty": ("easy", "medium", "hard")[n % 3],
        "public_test_cases": json.dumps([{"input": "1\n", "output": f"{n + 1}\n", "testtype": "stdin"}]),
        "private_test_cases": json.dumps([{"input": "2\n", "output": f"{n + 2}\n", "testtype": "stdin"}]),
        "metadata": "{}",
    },
    "winogrande": lambda n: {"sentence": f"_ has {n}.", "option1": "Ann", "option2": "Bob", "answer": "2"},
}


def stand_in(domain: Domain, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts rows where the domain's source looks for them: the hub's package, or files under the working directory."""
    monkeypatch.chdir(folder)
    source = domain.source
    if not isinstance(source, DatasetSource | IfevalSource | LivecodebenchSource):
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
