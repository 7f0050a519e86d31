"""Candidates' scores on the selection items, kept on disk: a run that breaks off goes on after the last of them."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.stages import SpecialistStage, StudentStage
from thicket.evaluation.scores import ItemScore
from thicket.sampling.prompts import Tokenizer
from thicket.stages.publish import write_whole
from thicket.stages.selection import selection_scores, share_correct

STATE = "candidates.json"
"""In the resume folder: what is known of the candidates so far."""


@dataclass(frozen=True)
class Tried:
    """What a candidate came to."""

    score: float
    """Share of the answers to the selection items that are correct, the mean over the domains."""
    read: int
    """Prompt tokens."""
    generated: int
    seconds: float


class Trials:
    """The candidates of a run, one after the other."""

    def __init__(self, folder: Path):
        """`folder`: of this very config's checkpoints."""
        self.path, self.taken = folder / STATE, list[Tried]()
        known = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else []
        self.known = [Tried(**one) for one in known]

    def take(self, try_out: Callable[[], Tried]) -> Tried:
        """What the next candidate came to; it is tried out unless a run before this one did."""
        if len(self.taken) == len(self.known):
            self.known.append(try_out())
            write_whole(self.path, json.dumps([asdict(one) for one in self.known]))
        self.taken.append(self.known[len(self.taken)])
        return self.taken[-1]


def tried(
    config: SpecialistStage | StudentStage,
    answering: Answering,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    data: Path,
    samples: int,
    title: str,
    most: int | None = None,
) -> Tried:
    """Tries a way to answer out on the first `most` selection items of each domain (None: all).

    Raises: ValueError where a prompt does not fit the window; Interrupted.
    """
    started = time.monotonic()
    scores = selection_scores(config, answering, model, tokenizer, data, samples, title, most)
    rows = [row for of_domain in scores.values() for row in of_domain]
    return Tried(
        score=share_correct(scores),
        read=sum(row.prompt for row in rows),
        generated=sum(map(_generated, rows)),
        seconds=time.monotonic() - started,
    )


def _generated(row: ItemScore) -> int:
    return round(row.samples * row.calls * row.length)  # a whole number but for the mean's rounding
