"""The command model materialize: the members of an ensemble as model folders, from the base and `answering.json`."""

from pathlib import Path

from thicket.config.answering import Answering
from thicket.config.overrides import COMMAND_LINE
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.project import MEMBERS, MODELS
from thicket.models.answering import read_answering
from thicket.stages.launch import guarded


def materialize(root: Path, name: str, member: int | None, out: Path | None) -> int:
    """Writes the members, or one of them, each to a folder named by its rank.

    Raises: ConfigError where there is no such ensemble or member.
    """
    ensemble = _ensemble(root, name)
    if member is not None and not 1 <= member <= len(ensemble.members):
        allowed = f"1 … {len(ensemble.members)}"
        raise ConfigError([Problem(COMMAND_LINE, "--member", str(member), f"{name} has no such member", allowed)])
    ranks = range(1, len(ensemble.members) + 1) if member is None else [member]
    targets = {rank: (out or root / MEMBERS / name) / str(rank) for rank in ranks}
    return guarded(lambda: _write(root / MODELS / name, ensemble, targets))


def _ensemble(root: Path, name: str) -> Answering:
    made = {path.parent.name: read_answering(path.parent) for path in (root / MODELS).glob("*/answering.json")}
    known = {other: answering for other, answering in sorted(made.items()) if answering and answering.members}
    if name not in known:
        wrong, allowed = "there is no such ensemble in build/models", ", ".join(known)
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(name), wrong, allowed, nearest(name, list(known)))])
    return known[name]


def _write(folder: Path, ensemble: Answering, targets: dict[int, Path]) -> None:
    from thicket.evaluation.way import weights_folder
    from thicket.methods.member import write_member
    from thicket.stages.publish import whole

    there = [target for target in targets.values() if target.exists()]
    if there:
        raise ValueError(f"{there[0]} is there already: remove it, or choose another folder with --out")
    weights = weights_folder(folder, ensemble)
    for rank, target in targets.items():
        with whole(target) as partial:
            write_member(weights, ensemble, rank - 1, partial)
        print(f"{target}: member {rank} of {folder.name}, score {ensemble.members[rank - 1].score:.3f}", flush=True)
