"""Candidates' scores on the selection items, kept on disk: a run that breaks off goes on after the last of them."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from thicket import ranks
from thicket.disk import set_aside, write_whole
from thicket.stages.selection import Tried

STATE = "candidates.json"
"""In the resume folder: what is known of the candidates so far."""


class Trials:
    """The candidates of a run, one after the other."""

    def __init__(self, folder: Path):
        """`folder`: of this very config's checkpoints."""
        self.path, self.taken = folder / STATE, list[Tried]()
        self.known = _read(self.path) if self.path.is_file() else []

    def take(self, try_out: Callable[[], Tried]) -> Tried:
        """What the next candidate came to; it is tried out unless a run before this one did."""
        if len(self.taken) == len(self.known):
            self.known.append(try_out())
            if ranks.first():
                write_whole(self.path, json.dumps([asdict(one) for one in self.known]))
        self.taken.append(self.known[len(self.taken)])
        return self.taken[-1]


def _read(path: Path) -> list[Tried]:
    try:
        return [Tried(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
    except (ValueError, TypeError) as error:
        set_aside(path, "candidates", str(error))
        return []
