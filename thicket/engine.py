"""The one Trainer of every stage that trains or scores."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import lightning.pytorch as pl

from thicket.config.run import Trainer

# Lightning advises on workers, on precision and on its own products; a stage's output is its progress.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", ".*does not have many workers.*")
warnings.filterwarnings("ignore", ".*isinstance.*LeafSpec.*")


def make_trainer(config: Trainer, epochs: int, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The one Trainer of every stage."""
    return pl.Trainer(
        accelerator=config.accelerator,
        devices=1,
        precision=config.precision,
        max_epochs=epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        inference_mode=False,
    )


@contextmanager
def ctrl_c_passes() -> Iterator[None]:
    """Around a trainer's work: Lightning ends the process at Ctrl-C, with a status that doesn't say why.

    Raises: KeyboardInterrupt.
    """
    try:
        yield
    except SystemExit as ending:
        if isinstance(ending.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
