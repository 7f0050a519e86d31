"""The one Trainer of every stage that trains, and its progress."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from thicket import ranks
from thicket.config.run import Trainer
from thicket.loggers import close
from thicket.progress import Teller

# Lightning advises on workers, on precision and on its own products; a stage's output is its progress.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", ".*does not have many workers.*")
warnings.filterwarnings("ignore", ".*isinstance.*LeafSpec.*")
# It takes a machine that has srun for one whose work has to be started by srun.
warnings.filterwarnings("ignore", ".*`srun` command is available on your system but is not used.*")
# It warns of data that would come twice; here a module's own step says what comes.
warnings.filterwarnings("ignore", ".*resuming from a checkpoint that ended before the epoch ended.*")


def make_trainer(config: Trainer, epochs: int, callbacks: list[pl.Callback]) -> pl.Trainer:
    """The one Trainer of every stage."""
    several: dict[str, Any] = {}
    if ranks.count() > 1:
        several = {"strategy": SummedOnce(), "use_distributed_sampler": False}
        several["num_nodes"] = ranks.count() // ranks.beside()
    return pl.Trainer(
        accelerator=config.accelerator,
        devices=ranks.beside(),
        **several,
        # Else Lightning, within a job of SLURM's, would take signals and ask for as many tasks as it counts devices.
        plugins=[Started()],
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


class Started(ClusterEnvironment):
    """The processes of a stage as Lightning sees them: they are there already (`thicket.ranks`)."""

    @property
    def creates_processes_externally(self) -> bool:
        return True

    @property
    def main_address(self) -> str:
        raise NotImplementedError("they have met")

    @property
    def main_port(self) -> int:
        raise NotImplementedError("they have met")

    @staticmethod
    def detect() -> bool:
        return False

    def world_size(self) -> int:
        return ranks.count()

    def set_world_size(self, size: int) -> None:
        pass

    def global_rank(self) -> int:
        return ranks.number()

    def set_global_rank(self, rank: int) -> None:
        pass

    def local_rank(self) -> int:
        return ranks.local()

    def node_rank(self) -> int:
        return 0


class SummedOnce(DDPStrategy):
    """Lightning's `ddp` without torch's wrapper, which takes the mean of gradients at every backward pass and wants
    as many of them in each process. Modules here have as many micro-batches as their share has, in weights whose sum
    is that of the whole batch: they add gradients up themselves, once an update (`thicket.ranks`)."""

    def configure_ddp(self) -> None:
        pass


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


class Progress(pl.Callback):
    """Progress of a trainer's work, and its figures for loggers. The module is `Shown`."""

    def __init__(self, title: str, loggers: Sequence[Logger] = ()):
        self.tell, self.loggers = Teller(title), list(loggers)
        self._logged = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if pl_module.share_done:
            print(f"{self.tell.title}: goes on from {pl_module.figures()}", flush=True)
        self.tell.start(pl_module.share_done)
        self._logged = len(pl_module.rows)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        self.tell(pl_module.share_done, pl_module.figures())
        for place in range(self._logged, len(pl_module.rows)):
            row = pl_module.rows[place] | {"tokens_a_second": pl_module.speed}
            step = pl_module.step - len(pl_module.rows) + place + 1
            self._to_each(lambda logger, row=row, step=step: logger.log_metrics(row, step))
        self._logged = len(pl_module.rows)

    def on_train_end(self, trainer: pl.Trainer, pl_module: Any) -> None:
        self.tell.stop()
        self._to_each(lambda logger: close(logger, "success"))

    def on_exception(self, trainer: pl.Trainer, pl_module: Any, exception: BaseException) -> None:
        self.tell.stop()
        self._to_each(lambda logger: close(logger, "failed"))

    def _to_each(self, tell: Callable[[Logger], None]) -> None:
        """Tells each logger. One that fails is told no more: a server that is down is no reason to stop a training."""
        for logger in list(self.loggers):
            try:
                tell(logger)
            except Exception as error:
                self.loggers.remove(logger)
                print(f"{self.tell.title}: {type(logger).__name__} is told no more: {error}", flush=True)
