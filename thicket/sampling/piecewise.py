"""Work without gradients, done piece by piece: on its device, in its precision, and stopped between two pieces."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from thicket import ranks
from thicket.config.run import Trainer
from thicket.progress import Shown, Teller
from thicket.signals import Interrupted, sigterm_noted

Piece = TypeVar("Piece")


class Piecewise(Shown, Protocol[Piece]):
    """Work on a model that can say how far it is."""

    @property
    def model(self) -> nn.Module: ...

    def pieces(self) -> Sequence[Piece]:
        """What is still to be done."""
        ...

    def work(self, piece: Piece) -> Any:
        """Does a piece, in one of the processes."""
        ...

    def take(self, piece: Piece, made: Any) -> None:
        """Takes in what a piece came to, in all of them."""
        ...


def work_through(work: Piecewise[Any], trainer: Trainer, tell: Teller) -> None:
    """Does the pieces, with the model on the trainer's device; then it lies where it was.

    Raises: ValueError where a GPU is asked for and there is none; Interrupted where SIGTERM came: the piece that was on
    its way is finished, so that what it made can be kept.
    """
    device = device_of(trainer.accelerator)
    before = next(work.model.parameters()).device
    training = work.model.training
    # Autocast would keep its copies of weights that members of an ensemble change in place.
    half = trainer.precision == "bf16-mixed"
    precision = torch.autocast(device, torch.bfloat16, enabled=half, cache_enabled=False)
    work.model.to(device).eval()
    tell.start(work.share_done)
    try:
        with sigterm_noted() as came, torch.no_grad(), precision:
            pieces = work.pieces()
            for start in range(0, len(pieces), ranks.count()):
                together = pieces[start : start + ranks.count()]
                for piece, made in zip(together, ranks.spread(together, _working(work)), strict=True):
                    work.take(piece, made)
                tell(work.share_done, work.figures())
                if ranks.any_of(came()):
                    raise Interrupted
    finally:
        tell.stop()
        work.model.to(before).train(training)


def _working(work: Piecewise[Any]) -> Callable[[Sequence[Any]], list[Any]]:
    return lambda mine: [work.work(piece) for piece in mine]


def device_of(accelerator: str) -> str:
    """The device that a setting of `trainer.accelerator` means. Raises: ValueError where that is not there."""
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise ValueError("trainer.accelerator = gpu, and torch sees no GPU; `auto` takes one if there is one")
    return "cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu"
