"""A student that learns from its teachers on its own responses."""

from pathlib import Path

from thicket.config.answering import Answering
from thicket.config.distillation import Opd as OpdConfig
from thicket.config.stages import StudentStage, Teacher
from thicket.evaluation.way import weights_folder
from thicket.methods.method import Method
from thicket.methods.opd import Opd
from thicket.methods.policy_gradient import Load
from thicket.models.answering import read_answering
from thicket.models.folder import check_same_vocabulary, load_tokenizer, weights_hash
from thicket.models.lora import ADAPTER, touches_head
from thicket.models.perturb import Direction
from thicket.models.teachers import Teachers, Voice
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.stages.provenance import read_provenance
from thicket.training.policy import Budget


def distil(config: StudentStage, method: OpdConfig, places: Places) -> Outcome:
    """Makes a distilled student's folder."""
    names = list(dict.fromkeys(teacher.name for teacher in config.teachers))
    judges, voices = voices_of([teacher for teacher in config.teachers if teacher.weight > 0], places.models)
    for folder in dict.fromkeys(voice.folder for voice in voices.values()):
        check_same_vocabulary(places.models / config.base, folder)

    words = len(load_tokenizer(places.models / config.base))

    def make_method(load: Load) -> Method:
        return Opd(method, judges, Teachers(voices), words)

    budget = Budget(steps=method.steps, flops=method.flops)
    return train_policy(config, method, config.domains, make_method, budget, places, tuple(names))


def voices_of(teachers: list[Teacher], models: Path) -> tuple[list[Teacher], dict[str, Voice]]:
    """Each teacher with its weights; an ensemble as its members, which share its weight."""
    judges, voices = list[Teacher](), dict[str, Voice]()
    for teacher in teachers:
        folder = models / teacher.name
        answering = read_answering(folder) or Answering()
        if not answering.members:
            judges.append(teacher)
            voices[teacher.name] = _whole(folder, models)
            continue
        weights, weight = weights_folder(folder, answering, models), teacher.weight / len(answering.members)
        for rank, member in enumerate(answering.members, start=1):
            name = f"{teacher.name} #{rank}"
            judges.append(teacher.model_copy(update={"name": name, "weight": weight}))
            voices[name] = Voice(weights, Direction(member.seed, member.sigma))
    return judges, voices


def _whole(folder: Path, models: Path) -> Voice:
    """A model of its own: as adapters over the model that it started from, where it is no more than that."""
    adapter, ((start, weights), *_) = folder / ADAPTER, read_provenance(folder)["parents"].items() or [("", "")]
    if not adapter.is_dir() or touches_head(adapter):
        return Voice(folder)
    is_there = (models / start / "config.json").is_file() and weights_hash(models / start) == weights
    return Voice(models / start, adapter=adapter) if is_there else Voice(folder)
