"""Problems of programming contests in the form of LiveCodeBench (Jain et al. 2024, arXiv 2403.07974)."""

import base64
import io
import json
import pickle
import random
import zlib
from collections.abc import Iterator
from typing import Any

from thicket.config.source import LivecodebenchSource
from thicket.domains.files import Row, read_rows
from thicket.domains.item import RawItem

LEVELS = {"easy": 1, "medium": 2, "hard": 3}
DAY_CHARACTERS = len("2024-08-01")


def raw_items(source: LivecodebenchSource, seed: int) -> Iterator[RawItem]:
    """An item a problem of the window, in an order that the seed draws.

    Raises: ValueError where the files can't be read, or a problem isn't of LiveCodeBench's form.
    """
    rows = read_rows(source.data_files)
    random.Random(f"livecodebench:{seed}").shuffle(rows)
    for row in rows:
        if (source.since or "") <= _day(row) <= (source.until or "9"):
            yield _item(source, row)


def _day(row: Row) -> str:
    """The day of the contest: `2024-08-03T00:00:00` → `2024-08-03`."""
    return str(row["contest_date"])[:DAY_CHARACTERS]


def _item(source: LivecodebenchSource, row: Row) -> RawItem:
    if row["difficulty"] not in LEVELS:
        raise ValueError(f"{row.place}: difficulty {row['difficulty']!r:.40}; allowed: {', '.join(LEVELS)}")
    try:
        cases = [*json.loads(row["public_test_cases"]), *_private(row["private_test_cases"])]
        kinds = {case["testtype"] for case in cases}
        tests = [{"input": case["input"], "output": case["output"]} for case in cases]
        reference: dict[str, Any] = {"stdin": tests}
        if kinds == {"functional"}:
            reference = {"functional": tests, "function": json.loads(row["metadata"])["func_name"]}
        elif kinds != {"stdin"}:
            raise ValueError(f"the tests are of the types {sorted(kinds)}; allowed: all stdin, or all functional")
    except (KeyError, TypeError, ValueError, zlib.error, pickle.UnpicklingError) as error:
        raise ValueError(f"{row.place}: its tests can't be read: {type(error).__name__}: {error}") from None
    asked = source.starter if "functional" in reference else source.whole
    # The code to complete is the empty string for whole programs.
    question = asked.replace("{code}", row["starter_code"]).replace("{question}", row["question_content"])
    return RawItem(question, "", LEVELS[row["difficulty"]], reference)


def _private(text: str) -> list[dict[str, str]]:
    """The hidden tests: JSON, or a pickle of such a text, compressed and in base 64."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return json.loads(_Text(io.BytesIO(zlib.decompress(base64.b64decode(text)))).load())


class _Text(pickle.Unpickler):
    """Reads pickles of text and numbers; a pickle that names anything to call is refused, since it can run code."""

    def find_class(self, module_name: str, global_name: str, /) -> Any:
        raise pickle.UnpicklingError(f"a pickle that calls {module_name}.{global_name}")
