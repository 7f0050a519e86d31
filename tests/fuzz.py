"""Asks for examples of every property for as long as is given, and prints how many there were and what came of them.

    python tests/fuzz.py --seconds 600 [PROPERTY …]

It ends with 1 where one fails; Hypothesis prints the smallest example that it found.
"""

import argparse
import resource
import sys
import time
import traceback
import warnings

import properties_of_models  # noqa: F401  # which adds its own
from hypothesis import settings
from properties import PROPERTIES, UNCHECKED, ran

MOST_BYTES = 12 << 30
"""Address space: input that would take more is refused or is a fault."""
TURN = 40
"""Examples of a property before it is the next one's turn."""


def main() -> int:
    """Every property in turn, until the time is over."""
    asked = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("only", nargs="*", metavar="PROPERTY")
    given = asked.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    warnings.simplefilter("ignore")
    left = {name: PROPERTIES[name] for name in given.only or PROPERTIES}
    many = settings(max_examples=TURN, database=None, deadline=None, suppress_health_check=UNCHECKED)
    failed, end = [], time.monotonic() + given.seconds
    while left and time.monotonic() < end:
        for name in list(left):
            if time.monotonic() >= end:
                break
            try:
                left[name](many)
            except BaseException as error:
                if isinstance(error, KeyboardInterrupt):
                    raise
                for one in getattr(error, "exceptions", [error]):
                    _tell(name, one)
                failed.append(name)
                del left[name]
    for name in PROPERTIES:
        counts = ", ".join(f"{count:,} {what}" for (known, what), count in sorted(ran.items()) if known == name)
        if counts or name in failed:
            print(f"{name.replace('_', ' ')}: {counts or 'none'}{'; FAILED' if name in failed else ''}")
    print(f"{sum(ran.values()):,} examples, {len(failed)} properties failed")
    return 1 if failed else 0


def _tell(name: str, error: BaseException) -> None:
    """The fault, the lines that led to it, and the smallest example."""
    print(f"-- {name.replace('_', ' ')}: {type(error).__name__}: {str(error)[:500]}")
    for frame in traceback.extract_tb(error.__traceback__)[-3:]:
        print(f"   {frame.filename}:{frame.lineno}: {frame.line}")
    print("\n".join(getattr(error, "__notes__", []))[:2000], flush=True)


if __name__ == "__main__":
    sys.exit(main())
