"""A student that imitates its teachers: verified samples of each, on the prompts of its domain."""

from collections.abc import Iterator

from thicket.config.answering import Answering
from thicket.config.domain import TrainedDomain
from thicket.config.imitation import Rft
from thicket.config.stages import StudentStage
from thicket.evaluation.way import weights_folder
from thicket.methods import rft
from thicket.methods.texts import Text
from thicket.models.answering import read_answering
from thicket.models.folder import check_same_vocabulary, load_model, load_tokenizer, save_model
from thicket.models.lora import ADAPTER, adapt, merged, save_adapter
from thicket.progress import Progress
from thicket.sampling.environment import load_environment
from thicket.sampling.judging import with_judge
from thicket.stages.imitate import Sampler, kept, sampled
from thicket.stages.outcome import Outcome, Places
from thicket.training.imitation import ImitationTraining
from thicket.training.ledger import Ledger
from thicket.training.loop import fit


def imitate_teachers(config: StudentStage, method: Rft, places: Places) -> Outcome:
    """Makes the student's folder."""
    folder, batch = places.models / config.base, config.sampler.batch
    texts, spent, seconds = list[Text](), Ledger(), 0.0
    for of_teacher, ledger, took in _answers(config, method, places):
        texts += of_teacher
        spent, seconds = spent.with_other(ledger), seconds + took
    if method.flops is not None and spent.flops >= method.flops:
        cost = f"the teachers' samples cost {spent.flops:.3g} FLOPs of `method.flops` ({method.flops:.3g})"
        raise ValueError(f"student {config.name}: {cost}: nothing is left to train with")
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    scored = [load_environment(one, places.data / one.name, "selection", tokenizer) for one in config.domains]
    selection = [with_judge(one, model, tokenizer, batch) for one in scored]
    if method.lora is not None:
        model = adapt(model, method.lora, config.seed)
    module = ImitationTraining(
        model, tokenizer, texts, selection, method, method.select_temperature, config.seed, batch, spent
    )
    fit(module, config.trainer, places.resume, Progress(f"student {config.name}"))
    save_adapter(module.model, config.base, places.out / ADAPTER)
    save_model(merged(module.model), tokenizer, places.out)
    return Outcome(
        parents=(config.base, *dict.fromkeys(teacher.name for teacher in config.teachers)),
        domains=[domain.name for domain in config.domains],
        ledger=module.ledger,
        seconds=seconds + module.seconds,
        phases={"sampling": seconds, "training": module.seconds},
        steps=module.step,
        selection=module.rows[-1]["selection"],
        rows=module.rows,
    )


def _answers(config: StudentStage, method: Rft, places: Places) -> Iterator[tuple[list[Text], Ledger, float]]:
    """The texts of each teacher that has a weight, what they cost, and their seconds."""
    domains = {domain.name: domain for domain in config.domains}
    for teacher in config.teachers:
        if teacher.weight > 0:
            assert teacher.domain is not None  # thicket check sees to it
            yield _texts(config, method, places, teacher.name, domains[teacher.domain])


def _texts(
    config: StudentStage, method: Rft, places: Places, teacher: str, domain: TrainedDomain
) -> tuple[list[Text], Ledger, float]:
    answering = read_answering(places.models / teacher) or Answering()
    weights = weights_folder(places.models / teacher, answering, places.models)
    check_same_vocabulary(places.models / config.base, weights)
    model, tokenizer = load_model(weights), load_tokenizer(weights)
    train = load_environment(domain, places.data / domain.name, "train", tokenizer)
    asked = with_judge(train, model, tokenizer, config.sampler.batch)
    samples = places.resume / "samples" / f"{teacher}-{domain.name}"
    drawn = sampled(config, method, rft.JUDGED, Sampler(model, tokenizer, answering), asked, samples)
    # What the student reads is its own prompt, whatever the teacher's template made of it.
    own = load_environment(domain, places.data / domain.name, "train", load_tokenizer(places.models / config.base))
    found = kept(method, rft.kept, own, drawn)
    of = f"{len(found)} texts of {teacher} to imitate"
    print(f"student {config.name}: {of}, of {len(train.items)} train items of {domain.name}", flush=True)
    return found, drawn.ledger, drawn.seconds
