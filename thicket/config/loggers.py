"""Who else is told of a training's figures while it runs. No result depends on it, and no stage runs again for it."""

from importlib.util import find_spec
from pathlib import Path

from pydantic import BaseModel

from thicket.config.fields import Strict
from thicket.config.places import PARAMS
from thicket.config.problems import ConfigError
from thicket.config.validate import validate
from thicket.config.yamlfile import read_yaml


class TensorBoard(Strict):
    """Event files in `build/logs/tensorboard/`: `tensorboard --logdir build/logs/tensorboard`."""


class DvcLive(Strict):
    """DVCLive's files in `build/logs/dvclive/`, which the DVC extension for VS Code draws while they grow."""


class Wandb(Strict):
    """Weights & Biases; who one is says its own `wandb login`, or WANDB_API_KEY."""

    project: str = "thicket"
    """Where its runs go."""
    entity: str | None = None
    """User or team; null: the account's own."""
    offline: bool = False
    """Whether it only writes files, `build/logs/wandb/`, for `wandb sync`."""


class MlFlow(Strict):
    """An MLflow server, or a data base."""

    uri: str = "sqlite:///build/logs/mlflow.db"
    """MLflow's tracking URI: `http://host:port`, or a data base."""
    experiment: str = "thicket"
    """Where its runs go."""


class Loggers(Strict):
    """Those that are told, each under the name of its package; null: not this one."""

    tensorboard: TensorBoard | None = None
    dvclive: DvcLive | None = None
    wandb: Wandb | None = None
    mlflow: MlFlow | None = None

    @property
    def chosen(self) -> dict[str, Strict]:
        """Package → its config, of those that are told."""
        return {name: config for name, config in self if config is not None}

    @property
    def missing(self) -> list[str]:
        """The packages that are not installed."""
        return [name for name in self.chosen if find_spec(name) is None]


class _Watched(BaseModel):
    """What a running stage reads of params.yaml; all else that it takes stands in its resolved config."""

    loggers: Loggers = Loggers()


def read_loggers(root: Path) -> Loggers:
    """The loggers that params.yaml names; none, and a note, where it can't be read: it may be being edited."""
    path = root / PARAMS
    try:
        return validate(_Watched, read_yaml(path, PARAMS).layers()).loggers if path.is_file() else Loggers()
    except ConfigError as error:
        print(f"Note: figures are told to no logger: {error}", flush=True)
        return Loggers()
