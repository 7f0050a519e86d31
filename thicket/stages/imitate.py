"""A specialist that imitates texts: given demonstrations, or samples of the model that it starts from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from thicket.config.answering import Answering
from thicket.config.imitation import Imitated, OwnSamples, Sft, Ssd
from thicket.config.never_right import Counts
from thicket.config.plugins import code_of, module_of, with_part
from thicket.config.stages import SpecialistStage, StudentStage
from thicket.evaluation.way import weights_folder
from thicket.methods.texts import Sample, Text
from thicket.models.answering import read_answering, write_answering
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.models.lora import ADAPTER, adapt, merged, save_adapter
from thicket.progress import Teller
from thicket.sampling.environment import Environment, count_never_right, load_environment
from thicket.sampling.judging import with_judge
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollout_log import RolloutLog
from thicket.sampling.sampler import sampler_of
from thicket.stages.outcome import Outcome, Places
from thicket.training.imitation import ImitationTraining
from thicket.training.ledger import Ledger
from thicket.training.loop import fit
from thicket.training.samples import Sampling, sample

Kept = Callable[[Any, list[Sample]], list[Sample]]
"""(method, samples of a prompt) → those that are imitated."""


def imitate(config: SpecialistStage, method: Imitated, places: Places) -> Outcome:
    """Makes the specialist's folder: of an ensemble, from the weights that its members are perturbations of."""
    folder = places.models / config.base
    start = read_answering(folder) or Answering()
    weights = weights_folder(folder, start, places.models)
    model, tokenizer = load_model(weights), load_tokenizer(weights)
    data = places.data / config.domain.name
    sampler = sampler_of(config.sampler)
    train = load_environment(config.domain, data, "train", tokenizer)
    selection = with_judge(load_environment(config.domain, data, "selection", tokenizer), model, tokenizer, sampler)
    code: Any = with_part(
        code_of("thicket.methods", method), method, "demonstrations" if isinstance(method, Sft) else "kept"
    )
    if isinstance(method, Sft):
        gathered = Gathered(code.demonstrations(tokenizer, train), Ledger(), 0.0, count_never_right([train]))
    else:
        asked = with_judge(train, model, tokenizer, sampler)
        judged = getattr(code, "JUDGED", True)
        drawn = sampled(config, method, judged, Author(model, tokenizer, start), asked, places.resume / "samples")
        texts = kept(method, code.kept, train, drawn, config.base)
        gathered = Gathered(texts, drawn.ledger, drawn.seconds, count_never_right([train]))
    count = len(gathered.texts)
    print(f"specialist {config.name}: {count} texts to imitate, of {len(train.items)} train items", flush=True)
    outcome = train_on(gathered, config, method, model, tokenizer, [selection], places, (config.base,), weights.name)
    if isinstance(method, Ssd):
        write_answering(places.out, Answering(temperature=method.answer_temperature))
    return outcome


@dataclass(frozen=True)
class Gathered:
    """Texts to imitate, and what they cost."""

    texts: list[Text]
    ledger: Ledger
    seconds: float
    never_right: Counts = field(default_factory=dict)
    """Of the items that they answer."""


def train_on(
    gathered: Gathered,
    config: SpecialistStage | StudentStage,
    method: Imitated,
    model: PreTrainedModel,
    tokenizer: Tokenizer,
    selection: list[Environment],
    places: Places,
    parents: tuple[str, ...],
    over: str,
) -> Outcome:
    """Trains a model on texts and writes the result; `over` names the weights that adapters go over, if it has any."""
    if method.lora is not None:
        model = adapt(model, method.lora, config.seed)
    temperature, sampler = method.select_temperature, sampler_of(config.sampler)
    texts, spent = gathered.texts, gathered.ledger
    module = ImitationTraining(model, tokenizer, texts, selection, method, temperature, config.seed, sampler, spent)
    fit(module, config.trainer, places.resume, places.progress(f"{config.stage} {config.name}", config))
    save_adapter(module.model, over, places.out / ADAPTER)
    save_model(merged(module.model), tokenizer, places.out)
    return Outcome(
        parents=parents,
        domains=[environment.domain.name for environment in selection],
        ledger=module.ledger,
        seconds=gathered.seconds + module.seconds,
        phases={"sampling": gathered.seconds, "training": module.seconds},
        steps=module.step,
        selection=module.rows[-1]["selection"],
        never_right=gathered.never_right,
        rows=module.rows,
        shown=module.shown,
    )


@dataclass(frozen=True)
class Author:
    """A model that texts are sampled from."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    answering: Answering
    """Its members answer, where it is an ensemble."""


def sampled(
    config: SpecialistStage | StudentStage,
    method: OwnSamples,
    judged: bool,
    author: Author,
    asked: Environment,
    folder: Path,
) -> Sampling:
    """Samples of a model, which `folder` keeps as they come."""
    seed, log, members = config.seed, RolloutLog(folder), author.answering.members
    sampler = sampler_of(config.sampler, log)
    module = Sampling(author.model, author.tokenizer, asked, members, method, judged, seed, sampler, folder, log.clear)
    sample(module, config.trainer, Teller(f"{config.stage} {config.name}"))
    return module


def kept(method: OwnSamples, chosen: Kept, train: Environment, drawn: Sampling, writer: str) -> list[Text]:
    """The samples that the method keeps, each after its prompt. Raises: ValueError where there are none."""
    texts = [
        Text(prompt, one.tokens, train.domain.name, writer, one.correct)
        for prompt, samples in zip(train.prompts[: method.prompts], drawn.drawn, strict=True)
        for one in _some_of(chosen(method, samples), samples, method)
    ]
    if not texts:
        raise ValueError(
            f"domain {train.domain.name}: there is nothing to imitate: no sample was kept ({drawn.figures()})"
        )
    return texts


def _some_of(found: Any, samples: list[Sample], method: OwnSamples) -> list[Sample]:
    """What a method keeps of a prompt's samples. Raises: ValueError where it is not some of them."""
    strange = [one for one in found if one not in samples] if isinstance(found, list) else [found]
    if strange:
        kind = getattr(method, "type")  # noqa: B009
        raise ValueError(
            f"{module_of('thicket.methods', method)}, method {kind}: kept() gave {strange[0]!r:.80}; "
            f"expected a list of those of the {len(samples)} samples that are imitated"
        )
    return found
