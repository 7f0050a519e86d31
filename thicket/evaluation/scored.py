"""Which model it was that scores are of: a folder may hold another one by now."""

import hashlib
import json
from pathlib import Path

from thicket.config.answering import FILE
from thicket.config.places import SCORED_MODEL

Identity = dict[str, str | None]


def identity(folder: Path, weights: str) -> Identity:
    """What tells a model from those that lie in its folder at other times: hashes of its weights and, where it has a
    way of its own to answer, of that."""
    own = folder / FILE
    return {"weights": weights, "answering": hashlib.sha256(own.read_bytes()).hexdigest() if own.is_file() else None}


def is_outdated(scores: Path, folder: Path) -> bool:
    """Whether the evaluation in a folder is of other weights than a model's folder holds now, or does not say of which.

    Those of the model are the ones that were noted when it was made. Raises: ValueError where either note is broken.
    """
    scored, made = (_read(path) for path in (scores / SCORED_MODEL, folder / "provenance.json"))
    return not scored or not made or scored != identity(folder, made.get("weights", ""))


def _read(path: Path) -> dict[str, str]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
