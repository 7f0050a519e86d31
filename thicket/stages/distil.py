"""A student that learns from its teachers on its own responses."""

from thicket.config.distillation import Opd as OpdConfig
from thicket.config.stages import StudentStage
from thicket.methods.method import Method
from thicket.methods.opd import Opd
from thicket.methods.policy_gradient import Load
from thicket.models.folder import check_same_vocabulary, load_tokenizer
from thicket.models.teachers import Teachers
from thicket.stages.outcome import Outcome, Places
from thicket.stages.policy import train_policy
from thicket.training.policy import Budget


def distil(config: StudentStage, method: OpdConfig, places: Places) -> Outcome:
    """Makes a distilled student's folder."""
    names = list(dict.fromkeys(teacher.name for teacher in config.teachers))
    for name in names:
        check_same_vocabulary(places.models / config.base, places.models / name)

    words = len(load_tokenizer(places.models / config.base))

    def make_method(load: Load) -> Method:
        heard = [name for name in names if any(t.name == name and t.weight > 0 for t in config.teachers)]
        models = Teachers({name: places.models / name for name in heard})
        return Opd(method, config.teachers, models, words)

    budget = Budget(steps=method.steps, flops=method.flops)
    return train_policy(config, method, config.domains, make_method, budget, places, tuple(names))
