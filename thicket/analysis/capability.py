"""Analysis *capability*: the base's pass@k beside another model's, and whether it reaches what that one solves."""

import numpy as np

from thicket.analysis.answers import answers
from thicket.analysis.case import Case, Subject
from thicket.analysis.found import Found, Row, Statistic
from thicket.config.analysis import Capability
from thicket.statistics.pass_at_k import pass_at_k


def analyze(config: Capability, case: Case) -> Found:
    """Statistics by item: `reached`, the share of the items that the other model solves which the base solves at least
    once in its samples; `solved`, the share of items that the other solves; `pass@k` of each model.
    """
    base, other = case.models
    counts = {base: max(config.ks), other: config.samples}
    correct = {subject: _correct(subject, count, config, case) for subject, count in counts.items()}
    statistics, table = list[Statistic](), list[Row]()
    for place, environment in enumerate(case.environments):
        name = environment.domain.name
        solved = correct[other][place] >= config.solves * config.samples
        reached = solved & (correct[base][place] > 0)
        statistics.append(Statistic("solved", name, "item", solved.astype(float).tolist()))
        statistics.append(
            Statistic("reached", name, "item", reached.astype(float).tolist(), solved.astype(float).tolist())
        )
        for subject, count in counts.items():
            for k in (k for k in config.ks if k <= count):
                values = pass_at_k(np.full(len(environment.items), count), correct[subject][place], k)
                statistics.append(Statistic(f"pass@{k}", name, "item", values.tolist(), of=subject.name))
                table.append({"model": subject.name, "domain": name, "k": k, "pass_at_k": float(values.mean())})
    return Found(statistics, {"pass_at_k": table})


def _correct(subject: Subject, count: int, config: Capability, case: Case) -> list[np.ndarray]:
    """Correct responses to each item of each domain, out of `count`."""
    model, found = subject.load(case.device), list[np.ndarray]()
    for environment in case.environments:
        found.append(answers(case, model, environment, count, config.temperature).correct_IG.sum(axis=1))
        done = case.models.index(subject) + len(found) / len(case.environments)
        case.tell(done / len(case.models), f"{subject.name} on {environment.domain.name}")
    return found
