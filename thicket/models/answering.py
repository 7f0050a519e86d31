"""Reads and writes `answering.json`: a model folder's own way to answer."""

from pathlib import Path

from pydantic import ValidationError

from thicket.config.answering import FILE, Answering


def read_answering(folder: Path) -> Answering | None:
    """A folder's own way to answer; None where it has none. Raises: ValueError where its file is not one."""
    path = folder / FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return Answering.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{path}: not a way to answer that thicket wrote ({error})") from error


def write_answering(folder: Path, answering: Answering) -> None:
    """Writes a folder's own way to answer; equal ones give equal bytes."""
    (folder / FILE).write_text(answering.model_dump_json(indent=1) + "\n", encoding="utf-8")


def check_own_weights(folder: Path) -> None:
    """Raises: ValueError where a folder answers with another model's weights: it can be scored, and that is all."""
    answering = read_answering(folder)
    if answering is None or (answering.weights_of is None and not answering.pooled):
        return
    how = f"a vote of {len(answering.members)} perturbations" if answering.members else "a way to answer"
    of = answering.weights_of or ", ".join(voice.model for voice in answering.pooled)
    raise ValueError(
        f"{folder}: {how} of {of}, without weights of its own: it can be evaluated, "
        "but nothing can start from it, learn from it or be averaged with it"
    )
