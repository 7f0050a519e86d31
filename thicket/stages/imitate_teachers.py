"""A student that imitates its teachers: verified samples of each, on the prompts of its domain."""

from collections.abc import Iterator

from thicket.config.answering import Answering
from thicket.config.domain import TrainedDomain
from thicket.config.imitation import Rft
from thicket.config.stages import StudentStage
from thicket.evaluation.way import weights_folder
from thicket.methods import rft
from thicket.models.answering import read_answering
from thicket.models.folder import check_same_vocabulary, load_model, load_tokenizer
from thicket.sampling.environment import count_never_right, load_environment
from thicket.sampling.judging import with_judge
from thicket.sampling.sampler import sampler_of
from thicket.stages.imitate import Author, Gathered, kept, sampled, train_on
from thicket.stages.outcome import Outcome, Places
from thicket.training.ledger import Ledger


def imitate_teachers(config: StudentStage, method: Rft, places: Places) -> Outcome:
    """Makes the student's folder."""
    folder = places.models / config.base
    gathered = Gathered([], Ledger(), 0.0)
    for one in _answers(config, method, places):
        spent, seconds = gathered.ledger.with_other(one.ledger), gathered.seconds + one.seconds
        lost = {**gathered.never_right, **one.never_right}
        gathered = Gathered([*gathered.texts, *one.texts], spent, seconds, lost)
    if method.flops is not None and gathered.ledger.flops >= method.flops:
        cost = f"the teachers' samples cost {gathered.ledger.flops:.3g} FLOPs of `method.flops` ({method.flops:.3g})"
        raise ValueError(f"student {config.name}: {cost}: nothing is left to train with")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    scored = [load_environment(one, places.data / one.name, "selection", tokenizer) for one in config.domains]
    selection = [with_judge(one, model, tokenizer, sampler_of(config.sampler)) for one in scored]
    parents = (config.base, *dict.fromkeys(teacher.name for teacher in config.teachers))
    return train_on(gathered, config, method, model, tokenizer, selection, places, parents, config.base)


def _answers(config: StudentStage, method: Rft, places: Places) -> Iterator[Gathered]:
    """The texts of each teacher that has a weight."""
    domains = {domain.name: domain for domain in config.domains}
    for teacher in config.teachers:
        if teacher.weight > 0:
            assert teacher.domain is not None  # thicket check sees to it
            yield _texts(config, method, places, teacher.name, domains[teacher.domain])


def _texts(config: StudentStage, method: Rft, places: Places, teacher: str, domain: TrainedDomain) -> Gathered:
    answering = read_answering(places.models / teacher) or Answering()
    weights = weights_folder(places.models / teacher, answering, places.models)
    check_same_vocabulary(places.models / config.base, weights)
    model, tokenizer = load_model(weights), load_tokenizer(weights)
    train = load_environment(domain, places.data / domain.name, "train", tokenizer)
    asked = with_judge(train, model, tokenizer, sampler_of(config.sampler))
    samples = places.resume / "samples" / f"{teacher}-{domain.name}"
    drawn = sampled(config, method, rft.JUDGED, Author(model, tokenizer, answering), asked, samples)
    # What the student reads is its own prompt, whatever the teacher's template made of it.
    own = load_environment(domain, places.data / domain.name, "train", load_tokenizer(places.models / config.base))
    found = kept(method, rft.kept, own, drawn, teacher)
    of = f"{len(found)} texts of {teacher} to imitate"
    print(f"student {config.name}: {of}, of {len(train.items)} train items of {domain.name}", flush=True)
    return Gathered(found, drawn.ledger, drawn.seconds, count_never_right([own]))
