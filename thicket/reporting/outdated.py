"""Which models of a report are not what is declared now, by what its stage reads: so that it says so itself.

A model's provenance has the config, and the weights of other models, that it was made with; the project has those of
now. Whether a domain's data is another by now can't be seen here: nothing that the report reads has a hash of it.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from thicket.config.answering import FILE
from thicket.config.layers import leaves
from thicket.config.places import MODEL_CONFIGS, MODELS
from thicket.config.problems import dotted, shown
from thicket.config.yamlfile import read_yaml
from thicket.reporting.inputs import Inputs
from thicket.reporting.results import AGED, Results
from thicket.reporting.text import NONE, joined

SHOWN = 2
"""Values that are named one by one."""
MOST = 6
"""Models that are named one by one."""
MISSING = object()
"""Stands for a value that a config lacks."""


def outdated(inputs: dict[str, Inputs], root: Path) -> dict[str, tuple[str, ...]]:
    """Model → why its numbers are not of what is declared now; one whose numbers are is left out.

    `inputs` are those of every model of a report, each after those that it is made of.
    Raises: ConfigError where a resolved config is broken.
    """
    reasons: dict[str, tuple[str, ...]] = {}
    behind: dict[str, list[str]] = {}  # Model → those that make it another than what is declared: itself, or parents.
    for name, one in inputs.items():
        own = [*_other_values(one, root), *_other_parents(one, inputs)]
        above = list(dict.fromkeys(first for parent in _made_of(one) for first in behind.get(parent, [])))
        behind[name] = [name] if own else above
        rests = [f"built on {joined(above, MOST)}"] if above and not own else []
        reasons[name] = (*own, *rests, *_other_scores(one, root))
    return {name: why for name, why in reasons.items() if why}


def told(results: Results) -> tuple[str, list[str]]:
    """What a report says of that at its head: a sentence, and why it is so, those models together of which the same
    goes; empty where all is as declared."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, why in results.outdated.items():
        alike.setdefault(why, []).append(name)
    if not alike:
        return "", []
    count = f"{len(results.outdated)} of {len(results.models)} models"
    sentence = (
        f"{AGED} The numbers of {count}, marked {AGED}, are not of what is declared now, and neither is what is "
        "compared with them. `dvc repro report` makes them anew."
    )
    return sentence, [f"{joined(names, MOST)}: {'; '.join(why)}." for why, names in alike.items()]


def _other_values(one: Inputs, root: Path) -> Iterator[str]:
    """The values of its config, and the code, that are not those of now; nothing where no config is composed."""
    path = root / MODEL_CONFIGS / f"{one.model.name}.yaml"
    if not path.is_file():
        return
    now, made = dict(read_yaml(path, str(path)).value), dict(one.provenance["config"])
    code_now, code_made = now.pop("code", {}), made.pop("code", {})
    sides: list[dict[Any, Any]] = [dict(leaves(side)) for side in (made, now)]
    paths = [at for at in dict.fromkeys([*sides[1], *sides[0]]) if _value(sides[0], at) != _value(sides[1], at)]
    if paths:
        yield joined([f"{dotted(at)} {_spelt(sides[0], at)} (declared {_spelt(sides[1], at)})" for at in paths], SHOWN)
    modules = [name for name in {**code_now, **code_made} if code_now.get(name) != code_made.get(name)]
    if modules:
        yield f"made by other code ({joined(modules, SHOWN)})"


def _value(side: dict[Any, Any], at: Any) -> Any:
    return side.get(at, MISSING)


def _spelt(side: dict[Any, Any], at: Any) -> str:
    return shown(side[at]) if at in side else NONE


def _other_parents(one: Inputs, inputs: dict[str, Inputs]) -> Iterator[str]:
    """The models that it was made of, and that have other weights by now."""
    parents = one.provenance.get("parents", {})
    others = [name for name, hash in parents.items() if name in inputs and inputs[name].provenance["weights"] != hash]
    if others:
        yield f"made from other weights of {joined(others, MOST)}"


def _made_of(one: Inputs) -> list[str]:
    """The models that it rests on: what it started from, its teachers, and the one whose cost it may spend."""
    budget_of = one.provenance["config"].get("budget_of")
    return [name for name in (one.model.base, *one.model.teachers, budget_of) if name]


def _other_scores(one: Inputs, root: Path) -> Iterator[str]:
    """Whether its scores are of a model that lay in its folder before, or don't say of which."""
    own = root / MODELS / one.model.name / FILE
    answering = hashlib.sha256(own.read_bytes()).hexdigest() if own.is_file() else None
    if one.identity != {"weights": one.provenance["weights"], "answering": answering}:
        yield "scores are of other weights" if one.identity else "scores don't say of which weights they are"
