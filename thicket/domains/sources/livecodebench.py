"""Problems of programming contests in the form of LiveCodeBench (Jain et al. 2024, arXiv 2403.07974)."""

import base64
import json
import pickletools
import zlib
from collections.abc import Iterator
from typing import Any

from thicket.config.source import LivecodebenchSource
from thicket.domains.files import Row, read_rows
from thicket.domains.item import RawItem, place_of

LEVELS = {"easy": 1, "medium": 2, "hard": 3}
DAY_CHARACTERS = len("2024-08-01")
MOST_BYTES = 1 << 28
"""Largest hidden tests of a problem, inflated; LiveCodeBench's are of up to some tens of megabytes."""
AROUND_TEXT = frozenset(("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP"))
"""What stands around the text in a pickle of one."""


def raw_items(source: LivecodebenchSource, seed: int) -> Iterator[RawItem]:
    """An item a problem of the window, in an order that the seed draws.

    Raises: ValueError where the files can't be read, or a problem isn't of LiveCodeBench's form.
    """
    rows = read_rows(source.data_files)
    # By the row and not its item: hidden tests inflate to tens of megabytes, and those beyond a cap are not needed.
    for row in sorted(rows, key=lambda row: place_of(str(row["question_content"]), seed)):
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
    except (KeyError, TypeError, ValueError, zlib.error, RecursionError) as error:
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
        return json.loads(_pickled_text(_inflated(base64.b64decode(text))))


def _inflated(compressed: bytes) -> bytes:
    """Raises: ValueError where it breaks off or is more than tests can be: kilobytes can inflate to gigabytes."""
    inflater = zlib.decompressobj()
    whole = inflater.decompress(compressed, MOST_BYTES)
    if not inflater.eof:
        more = f"they inflate to more than {MOST_BYTES} bytes"
        raise ValueError(more if len(whole) >= MOST_BYTES else "they break off")
    return whole


def _pickled_text(pickled: bytes) -> str:
    """The text that a pickle holds and nothing else. It is not unpickled, which can run code: its one text is read.

    Raises: ValueError where the pickle is broken or does more than hold a text.
    """
    texts = []
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name.endswith("UNICODE"):
            texts.append(argument)
        elif operation.name not in AROUND_TEXT:
            raise ValueError(f"a pickle of more than a text: it has the operation {operation.name}")
    if len(texts) != 1:
        raise ValueError(f"a pickle of {len(texts)} texts in place of one")
    return texts[0]
