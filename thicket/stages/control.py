"""Controls: the base itself, in the way to answer that is best on the domain's selection items. Nothing is trained."""

from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from thicket.config.answering import Answering
from thicket.config.search import BestPrompt, Control, SelfConsistency
from thicket.config.stages import SpecialistStage
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import active_parameter_count, load_model, load_tokenizer, weights_hash
from thicket.stages.outcome import Outcome, Places
from thicket.stages.selection import tried
from thicket.stages.trials import Trials
from thicket.training.curves import Row
from thicket.training.ledger import Ledger


def control(config: SpecialistStage, method: SelfConsistency | BestPrompt, places: Places) -> Outcome:
    """Writes the best candidate's way to answer, ties going to the earlier one.

    Raises: ValueError where a prompt does not fit the window; Interrupted.
    """
    folder = places.models / config.base
    module: Any = import_module(f"thicket.methods.{config.method.type}")
    candidates = [_whole(candidate, method, config.base, folder) for candidate in module.candidates(method)]
    trials, rows = Trials(places.resume), list[Row]()
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    ledger = Ledger(active_parameter_count(folder))
    for place, candidate in enumerate(candidates):
        if place and method.flops is not None and ledger.flops >= method.flops:
            break
        title = f"specialist {config.name} {place + 1} of {len(candidates)}"
        asked = config, candidate, model, tokenizer, places.data, module.answers(method), title, method.items
        found = trials.take(partial(tried, *asked))
        ledger.forward(found.read)
        ledger.generated(found.generated)
        figures = {"temperature": candidate.temperature or 0.0, "selection": found.score}
        rows.append({"step": place + 1, "flops": ledger.flops, **figures})
    scores = [one.score for one in trials.taken]
    best = scores.index(max(scores))
    write_answering(places.out, candidates[best])
    print(f"specialist {config.name}: candidate {best + 1} of {len(scores)} is best, {scores[best]:.3f}", flush=True)
    return Outcome(
        parents=(config.base,),
        domains=[config.domain.name],
        ledger=ledger,
        seconds=sum(one.seconds for one in trials.taken),
        steps=len(scores),
        selection=scores[best],
        rows=rows,
    )


def _whole(candidate: Answering, method: Control, base: str, folder: Path) -> Answering:
    """The candidate, with the base's own way where it says nothing, and nothing left for an evaluation to say."""
    own = read_answering(folder) or Answering()
    said = own.model_dump(exclude_none=True) | candidate.model_dump(exclude_unset=True)
    weights = {"weights_of": base, "weights": weights_hash(folder)}
    return Answering.model_validate({**said, "top_k": method.top_k, "top_p": method.top_p, **weights})
