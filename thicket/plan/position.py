"""How far a `dvc repro` is, which DVC doesn't say: how many of the stages that it is to build are done.

Done is what dvc.lock has with the config that stands now, and with the inputs that their own stages made last; its
artifacts are there. Nothing is hashed, so that it takes a tenth of a second for a hundred stages.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from thicket.config.problems import ConfigError
from thicket.config.yamlfile import values_of
from thicket.plan.dag import Node, behind, read_dag
from thicket.plan.recorded import Locked, recorded
from thicket.reporting.text import joined
from thicket.signals import UNDER_DVC

OTHERS = {"-s", "--single-item", "--downstream", "-p", "--pipeline", "-R", "--recursive", "--glob"}
"""Options of DVC with which it builds others than the stages that it is given and what these rest on."""


def tell(root: Path, config: Path) -> None:
    """Says which stage of how many this is, where DVC runs it and the files say so."""
    if UNDER_DVC in os.environ:
        import psutil

        with suppress(psutil.Error, ConfigError, OSError, ValueError):
            said = position(root, config, psutil.Process(os.getppid()).cmdline())
            if said:
                print(said, flush=True)


def position(root: Path, config: Path, command: Sequence[str]) -> str:
    """`stage 5 of 22 for report`, of the stage with a config under a command of DVC's; empty where that has others.

    Raises: ConfigError, OSError and ValueError where a file can't be read.
    """
    dag = read_dag(root)
    named = [name for word in command if (name := word.rpartition(":")[2]) in dag]  # or `dvc.yaml:report`
    chosen = behind(dag, named or list(dag))
    this = {name for name in chosen if dag[name].config == config.as_posix()}
    if OTHERS & set(command) or not this:
        return ""
    done = up_to_date(root, {name: dag[name] for name in chosen}) - this
    return f"stage {len(done) + 1} of {len(chosen)}{f' for {joined(named)}' if named else ''}"


def up_to_date(root: Path, dag: dict[str, Node]) -> set[str]:
    """The stages that are done, and all that they rest on; of `dag`, each with what it needs."""
    lock = recorded((root / "dvc.lock").read_text(encoding="utf-8")) if (root / "dvc.lock").is_file() else {}
    made = {path: entry.md5 for stage in lock.values() for path, entry in stage.outs.items()}
    done, waiting = set[str](), dict(dag)
    while ready := [name for name, node in waiting.items() if node.needs <= done]:
        done |= {name for name in ready if name in lock and _is_done(root, waiting[name], lock[name], made)}
        waiting = {name: node for name, node in waiting.items() if name not in ready}
    return done


def _is_done(root: Path, node: Node, last: Locked, made: dict[str, str]) -> bool:
    if not all((root / out).exists() for out in node.outs):
        return False
    if any(entry.md5 != made.get(path, entry.md5) for path, entry in last.deps.items()):
        return False
    now = values_of((root / node.config).read_text(encoding="utf-8"))
    return last.params.get(node.config) == now
