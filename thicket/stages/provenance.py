"""How a model was made: `provenance.json`, which equal runs write equal."""

import hashlib
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from thicket.config.stages import BaseStage, Stage
from thicket.models.folder import weights_hash
from thicket.stages.outcome import Outcome, Places
from thicket.stages.publish import config_hash

PACKAGES = ("thicket", "torch", "transformers", "lightning", "tokenizers", "safetensors", "mergekit", "numpy")
PYTHON = ".".join(platform.python_version_tuple()[:2])
"""Its patches change no result, and would give equal models other hashes."""


def provenance(stage: Stage, outcome: Outcome, places: Places) -> dict[str, Any]:
    """How a model was made, as far as the seed and the inputs fix it: equal runs give equal provenance.

    `cost` maps every trained model that this one rests on, and itself, to the FLOPs of its own training.
    """
    parents = {name: read_provenance(places.models / name) for name in outcome.parents}
    cost: dict[str, float] = {}
    for parent in parents.values():
        cost |= parent["cost"]
    if not isinstance(stage, BaseStage):
        cost[stage.name] = outcome.ledger.flops
    return {
        "name": stage.name,
        "stage": getattr(stage, "stage", ""),
        "seed": stage.seed,
        "config": stage.model_dump(mode="json"),
        "config_hash": config_hash(stage),
        "parents": {name: parent["weights"] for name, parent in parents.items()},
        "data": {name: folder_hash(places.data / name) for name in outcome.domains},
        "weights": weights_hash(places.out),
        "spent": outcome.ledger.counts(),
        "cost": cost,
        "versions": {"python": PYTHON, **{name: _version(name) for name in PACKAGES}},
    }


def read_provenance(folder: Path) -> dict[str, Any]:
    """The provenance of a model folder. Raises: ValueError where there is none."""
    try:
        return json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: not a model of this pipeline (no provenance.json)") from None
    except ValueError as error:
        raise ValueError(
            f"{folder}: its provenance.json is broken ({error}); `dvc repro` makes the model anew"
        ) from None


def folder_hash(folder: Path) -> str:
    """SHA-256 over the names and contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
