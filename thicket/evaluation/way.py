"""How a model answers when it is scored: in its own way, and as the evaluation says where it has none."""

from dataclasses import dataclass
from pathlib import Path

from thicket.config.answering import Answering, Perturbation
from thicket.config.run import Evaluation
from thicket.models.folder import weights_hash
from thicket.sampling.decode import Decoding


@dataclass(frozen=True)
class Way:
    """A way to answer, with nothing left open."""

    decoding: Decoding
    """How a response is drawn; its longest length is the domain's."""
    template: str | None
    """Text around each prompt, with {prompt} in it; None: the prompt as it is."""
    votes: int
    """Responses that vote on an answer, where no members do; 1: a response is the answer."""
    members: tuple[Perturbation, ...]
    """The ensemble, best first; each gives a greedy response, and they vote."""
    shares: tuple[float, ...] = ()
    """Of models that choose every token together; empty: one model does."""

    @property
    def is_vote(self) -> bool:
        return bool(self.members) or self.votes > 1


def way_of(answering: Answering, evaluation: Evaluation) -> Way:
    """A model's own way to answer; the evaluation's decoding stands in where that leaves it open."""
    own = answering.model_dump(include={"temperature", "top_k", "top_p"}, exclude_none=True)
    decoding = {**evaluation.model_dump(include={"temperature", "top_k", "top_p"}), **own}
    greedy = Decoding(0.0)
    return Way(
        decoding=greedy if answering.members else Decoding(**decoding),
        template=answering.template,
        votes=answering.votes,
        members=tuple(answering.members),
        shares=tuple(voice.share for voice in answering.pooled),
    )


def weights_folder(folder: Path, answering: Answering, models: Path) -> Path:
    """The folder whose weights answer: a model's own, or that of the model among `models` which it names.

    Raises: ValueError where the other model is not there, or has other weights than those that the way was made for.
    """
    return folder if answering.weights_of is None else _other(folder, models, answering.weights_of, answering.weights)


def weights_folders(folder: Path, answering: Answering, models: Path) -> list[Path]:
    """The folders of all models that answer together: one, or those that are pooled.

    Raises: as `weights_folder`.
    """
    if not answering.pooled:
        return [weights_folder(folder, answering, models)]
    return [_other(folder, models, voice.model, voice.weights) for voice in answering.pooled]


def _other(folder: Path, models: Path, name: str, weights: str | None) -> Path:
    other = models / name
    if not other.is_dir():
        raise ValueError(f"{folder}: it answers with the weights of {name}, and {other} is not there")
    if weights_hash(other) != weights:
        raise ValueError(f"{folder}: it was made for other weights than those that {name} has now; make it again")
    return other
