"""Controls: the base itself, in the way to answer that is best on the domain's selection items. Nothing is trained."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from thicket.config.answering import Answering
from thicket.config.search import BestPrompt, Control, SelfConsistency
from thicket.config.stages import SpecialistStage
from thicket.evaluation.scores import ItemScore
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import active_parameter_count, load_model, load_tokenizer, weights_hash
from thicket.stages.outcome import Outcome, Places
from thicket.stages.publish import write_whole
from thicket.stages.selection import selection_scores, share_correct
from thicket.training.curves import Row
from thicket.training.ledger import Ledger

STATE = "candidates.json"
"""In the resume folder: what is known of the candidates so far."""


@dataclass(frozen=True)
class _Tried:
    """What a candidate came to."""

    score: float
    """Share of the answers to the selection items that are correct."""
    read: int
    """Prompt tokens."""
    generated: int
    seconds: float


def control(config: SpecialistStage, method: SelfConsistency | BestPrompt, places: Places) -> Outcome:
    """Writes the best candidate's way to answer, ties going to the earlier one.

    Raises: ValueError where a prompt does not fit the window; Interrupted.
    """
    folder = places.models / config.base
    module: Any = import_module(f"thicket.methods.{config.method.type}")
    candidates = [_whole(candidate, method, config.base, folder) for candidate in module.candidates(method)]
    tried, rows = _read(places.resume / STATE), list[Row]()
    try_out = _tester(config, module.answers(method), method.items, folder, places.data)
    ledger = Ledger(active_parameter_count(folder))
    for place, candidate in enumerate(candidates):
        if place and method.flops is not None and ledger.flops >= method.flops:
            break
        if place == len(tried):
            tried.append(try_out(candidate, f"specialist {config.name} {place + 1} of {len(candidates)}"))
            write_whole(places.resume / STATE, json.dumps([asdict(one) for one in tried]))
        ledger.forward(tried[place].read)
        ledger.generated(tried[place].generated)
        figures = {"temperature": candidate.temperature or 0.0, "selection": tried[place].score}
        rows.append({"step": place + 1, "flops": ledger.flops, **figures})
    scores = [one.score for one in tried]
    best = scores.index(max(scores))
    write_answering(places.out, candidates[best])
    print(f"specialist {config.name}: candidate {best + 1} of {len(tried)} is best, {scores[best]:.3f}", flush=True)
    return Outcome(
        parents=(config.base,),
        domains=[config.domain.name],
        ledger=ledger,
        seconds=sum(one.seconds for one in tried),
        steps=len(tried),
        selection=scores[best],
        rows=rows,
    )


def _whole(candidate: Answering, method: Control, base: str, folder: Path) -> Answering:
    """The candidate, with the base's own way where it says nothing, and nothing left for an evaluation to say."""
    own = read_answering(folder) or Answering()
    said = own.model_dump(exclude_none=True) | candidate.model_dump(exclude_unset=True)
    weights = {"weights_of": base, "weights": weights_hash(folder)}
    return Answering.model_validate({**said, "top_k": method.top_k, "top_p": method.top_p, **weights})


def _tester(
    config: SpecialistStage, answers: int, items: int, folder: Path, data: Path
) -> Callable[[Answering, str], _Tried]:
    """What scores a candidate on the first selection items."""
    model, tokenizer = load_model(folder), load_tokenizer(folder)

    def try_out(candidate: Answering, title: str) -> _Tried:
        started = time.monotonic()
        scores = selection_scores(config, candidate, model, tokenizer, data, answers, title, most=items)
        return _Tried(
            score=share_correct(scores),
            read=sum(row.prompt for row in scores),
            generated=sum(map(_generated, scores)),
            seconds=time.monotonic() - started,
        )

    return try_out


def _generated(row: ItemScore) -> int:
    return round(row.samples * row.calls * row.length)  # a whole number but for the mean's rounding


def _read(path: Path) -> list[_Tried]:
    if not path.is_file():
        return []
    return [_Tried(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
