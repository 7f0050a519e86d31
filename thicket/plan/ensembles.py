"""The command model materialize: the members of an ensemble as model folders, from the base and `answering.json`."""

from pathlib import Path

from thicket.config.answering import Answering
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import MEMBERS, MODELS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.models.answering import read_answering
from thicket.plan.inputs import check_models
from thicket.stages.launch import guarded


def materialize(root: Path, name: str | Path, member: int | None, out: Path | None) -> int:
    """Writes the members, or one of them, each to a folder named by its rank; 1 is the best.

    `name`: of a model of the pipeline, or the folder of one that a command made by itself.
    Raises: ConfigError where there is no such ensemble or member.
    """
    return guarded(lambda: _materialize(root, name, member, out))


def _materialize(root: Path, name: str | Path, member: int | None, out: Path | None) -> None:
    from thicket.evaluation.way import weights_folder
    from thicket.methods.member import write_member
    from thicket.stages.publish import whole

    check_models(root, [str(name)])
    folder, ensemble = _ensemble(root, name)
    check_models(root, ensemble.others)
    # A run of its own lies in a folder of its name and hash, which tells it from others.
    out = out or root / MEMBERS / (folder.name if isinstance(name, str) else folder.parent.name)
    ranks = range(1, len(ensemble.members) + 1)
    if member is not None and member not in ranks:
        wrong, allowed = f"{name} has no such member", f"1 … {len(ranks)}"
        raise ConfigError([Problem(COMMAND_LINE, "--member", str(member), wrong, allowed)])
    targets = {rank: out / str(rank) for rank in ranks if member in (None, rank)}
    there = [target for target in targets.values() if target.exists()]
    if there:
        raise ValueError(f"{there[0]} is there already: remove it, or choose another folder with --out")
    weights = weights_folder(folder, ensemble, root / MODELS)
    for rank, target in targets.items():
        with whole(target) as partial:
            write_member(weights, ensemble, rank, partial)
        print(f"{target}: member {rank} of {name}, score {ensemble.members[rank - 1].score:.3f}", flush=True)


def _ensemble(root: Path, name: str | Path) -> tuple[Path, Answering]:
    folders = {path.parent.name: path.parent for path in sorted((root / MODELS).glob("*/answering.json"))}
    if isinstance(name, Path):
        folders = {str(name): name}
    made = {key: (folder, read_answering(folder)) for key, folder in folders.items()}
    known = {key: (folder, answering) for key, (folder, answering) in made.items() if answering and answering.members}
    if (asked := str(name)) not in known:
        there = (name if isinstance(name, Path) else root / MODELS / name).is_dir()
        wrong = "not an ensemble" if there else "there is no such ensemble"
        close = nearest(asked, list(known))
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(asked), wrong, ", ".join(known), close)])
    return known[asked]
