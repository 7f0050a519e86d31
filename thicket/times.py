"""What a machine says of the making of a model: commit, device, times and memory.

It lies in `build/times/`, which DVC does not know: equal runs leave equal artifacts, on whatever machine and whenever
they ran, and a `dvc.lock` made elsewhere is one that this machine's artifacts can match. So it may be missing (after a
`dvc pull`), or be of a model that is no longer there (after a `dvc checkout`): then nothing is known.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thicket.disk import write_whole

UNKNOWN = "not known"
"""Stands for what only the machine knows that made a model."""
OF = "of"
"""Field with the hash of the provenance of the model that the others are about."""


def write_times(path: Path, model: Path, facts: Mapping[str, Any]) -> None:
    """Writes the facts of the model in this folder. Raises: NotWritten."""
    write_whole(path, json.dumps({OF: _identity(model), **facts}, indent=1) + "\n")


def read_times(path: Path, model: Path) -> dict[str, Any]:
    """The facts, if they are of the model that is in this folder; empty where nothing is known."""
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return facts if facts.pop(OF) == _identity(model) else {}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}


def _identity(model: Path) -> str:
    return hashlib.sha256((model / "provenance.json").read_bytes()).hexdigest()
