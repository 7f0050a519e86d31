"""`thicket run` by a person, and not by DVC: it looks at no dvc.lock, and would train again what is done."""

from contextlib import suppress
from pathlib import Path

from thicket.config.places import RESUME
from thicket.config.problems import ConfigError, Problem
from thicket.plan.dag import behind, read_dag
from thicket.plan.locks import held, is_locked
from thicket.plan.recorded import at_work, in_the_making

REPRO = RESUME / "repro.lock"
"""What `thicket repro` holds."""
BY_DVC = "DVC_ROOT"
"""Environment variable of all that DVC starts, forks of the process that has the libraries loaded among them."""


def repro_words(root: Path) -> str:
    """What DVC is at in a project, for a message; empty: it is at nothing."""
    locks, making = held(), in_the_making(root)
    if not (making or is_locked(root / REPRO, locks) or at_work(root, locks) is not None):
        return ""
    names = [name for name, node in read_dag(root).items() if making.keys() & {*node.outs}] if making else []
    at = ", ".join(names)
    return f"a repro is running{f', which is at {at}' if at else ''}"


def check_no_repro(root: Path) -> None:
    """Raises: ConfigError while `thicket repro` runs, each of whose stages reads dvc.yaml for itself."""
    if is_locked(root / REPRO, held()):
        wrong = f"{repro_words(root)}, and reads it for each of its stages: wait for its end, or stop it"
        raise ConfigError([Problem("dvc.yaml", "", "", wrong)])


def done(root: Path, configs: list[Path]) -> list[str]:
    """The stages of resolved configs' files that are done, as far as the files say what DVC made."""
    from thicket.plan.position import up_to_date  # It loads numpy.

    with suppress(ConfigError, OSError, ValueError):  # No DVC here, or a stage that it does not know.
        dag = read_dag(root)
        asked = [name for name, node in dag.items() if node.config in {config.as_posix() for config in configs}]
        made = up_to_date(root, {name: dag[name] for name in behind(dag, asked)})
        return [name for name in asked if name in made]
    return []
