"""The command model materialize: the members of an ensemble as model folders, from the base and `answering.json`."""

from pathlib import Path

from thicket.config.answering import Answering
from thicket.config.overrides import COMMAND_LINE
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.project import MEMBERS, MODELS
from thicket.models.answering import read_answering
from thicket.stages.launch import guarded


def materialize(root: Path, name: str, member: int | None, out: Path | None) -> int:
    """Writes the members, or one of them, each to a folder named by its rank; 1 is the best.

    Raises: ConfigError where there is no such ensemble or member.
    """
    return guarded(lambda: _materialize(root, name, member, out or root / MEMBERS / name))


def _materialize(root: Path, name: str, member: int | None, out: Path) -> None:
    from thicket.evaluation.way import weights_folder
    from thicket.methods.member import write_member
    from thicket.stages.publish import whole

    ensemble = _ensemble(root, name)
    ranks = range(1, len(ensemble.members) + 1)
    if member is not None and member not in ranks:
        wrong, allowed = f"{name} has no such member", f"1 … {len(ranks)}"
        raise ConfigError([Problem(COMMAND_LINE, "--member", str(member), wrong, allowed)])
    targets = {rank: out / str(rank) for rank in ranks if member in (None, rank)}
    there = [target for target in targets.values() if target.exists()]
    if there:
        raise ValueError(f"{there[0]} is there already: remove it, or choose another folder with --out")
    weights = weights_folder(root / MODELS / name, ensemble)
    for rank, target in targets.items():
        with whole(target) as partial:
            write_member(weights, ensemble, rank, partial)
        print(f"{target}: member {rank} of {name}, score {ensemble.members[rank - 1].score:.3f}", flush=True)


def _ensemble(root: Path, name: str) -> Answering:
    made = {path.parent.name: read_answering(path.parent) for path in (root / MODELS).glob("*/answering.json")}
    known = {other: answering for other, answering in sorted(made.items()) if answering and answering.members}
    if name not in known:
        wrong, allowed = "there is no such ensemble in build/models", ", ".join(known)
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(name), wrong, allowed, nearest(name, list(known)))])
    return known[name]
