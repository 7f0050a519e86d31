"""A specialist that is found rather than trained: an ensemble of neighbours of a model, the best of them, or a walk."""

from dataclasses import replace
from pathlib import Path

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.search import Es, Member, Randopt
from thicket.config.stages import SpecialistStage
from thicket.evaluation.way import weights_folder
from thicket.methods.es import EsSearch
from thicket.methods.member import write_member
from thicket.methods.randopt import RandoptSearch
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import load_model, load_tokenizer, save_model, weights_hash
from thicket.sampling.environment import Environment, count_never_right, load_environment
from thicket.sampling.judging import with_judge
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.sampler import TorchSampler
from thicket.stages.outcome import Outcome, Places
from thicket.stages.selection import tried
from thicket.training.loop import fit
from thicket.training.scoring import Scorer
from thicket.training.search import SearchTraining

SELECT_SAMPLES = 4
"""Responses to each selection item for the score of a model that samples its answers."""


def search(config: SpecialistStage, method: Randopt | Es | Member, places: Places) -> Outcome:
    """Makes the specialist's folder.

    Raises: ValueError where a single member is wanted of what is no ensemble.
    """
    if isinstance(method, Member):
        return _single(config, places)
    weights = places.models / config.base
    model, tokenizer = load_model(weights), load_tokenizer(weights)
    train = load_environment(config.domain, places.data / config.domain.name, "train", tokenizer)
    batch = config.sampler.batch  # Many neighbours are asked in one pass, which only thicket's own loop does.
    asked = with_judge(_first(train, method.items), model, tokenizer, TorchSampler(batch))
    found = RandoptSearch(method, config.seed) if isinstance(method, Randopt) else EsSearch(method, config.seed)
    module = SearchTraining(model, Scorer(tokenizer, config.domain, asked, batch), method, found)
    fit(module, config.trainer, places.resume, places.progress(f"specialist {config.name}", config))
    answering = Answering()
    if isinstance(found, RandoptSearch):
        members = found.ensemble(module.scores)
        answering = Answering(weights_of=weights.name, weights=weights_hash(weights), members=members)
        write_answering(places.out, answering)
    else:
        save_model(module.model, tokenizer, places.out)
    module.rows[-1]["selection"] = selection = _selection(config, answering, module.model, tokenizer, places.data)
    return Outcome(
        parents=(config.base,),
        domains=[config.domain.name],
        ledger=module.ledger,
        seconds=module.seconds,
        phases=module.phases,
        steps=module.step,
        selection=selection,
        never_right=count_never_right([asked]),
        rows=module.rows,
    )


def _single(config: SpecialistStage, places: Places) -> Outcome:
    folder = places.models / config.base
    ensemble = read_answering(folder)
    if ensemble is None or not ensemble.members:
        raise ValueError(f"{config.base} is no ensemble: method {config.method.type} takes the best member of one")
    write_member(weights_folder(folder, ensemble, places.models), ensemble, 1, places.out)
    model, tokenizer = load_model(places.out), load_tokenizer(places.out)
    selection = _selection(config, Answering(), model, tokenizer, places.data)
    return Outcome(parents=(config.base,), domains=[config.domain.name], selection=selection)


def _first(environment: Environment, count: int) -> Environment:
    return replace(environment, items=environment.items[:count], prompts=environment.prompts[:count])


def _selection(
    config: SpecialistStage, answering: Answering, model: PreTrainedModel, tokenizer: Tokenizer, data: Path
) -> float:
    """Share of correct answers to the selection items, sampled or by the members' vote."""
    title = f"specialist {config.name}"
    return tried(config, answering, model, tokenizer, data, SELECT_SAMPLES, title).score
