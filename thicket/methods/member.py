"""Member: the best of a RandOpt ensemble as a model of its own, θ + σε (arXiv 2603.12228; s, σ in `answering.json`)."""

from pathlib import Path

from thicket.config.answering import Answering
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.models.perturb import Direction, move


def write_member(weights: Path, answering: Answering, rank: int, out: Path) -> None:
    """Writes the model folder of an ensemble's member over the weights of a folder; rank 1 is the best."""
    member, model = answering.members[rank - 1], load_model(weights)
    move(model, [Direction(member.seed, member.sigma)])
    save_model(model, load_tokenizer(weights), out)
