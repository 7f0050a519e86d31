"""Tells others of a training's figures while it runs: TensorBoard, DVCLive, Weights & Biases, MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, WandbLogger

from thicket.config.fields import Strict
from thicket.config.loggers import DvcLive, Loggers, MlFlow, TensorBoard, Wandb
from thicket.config.places import LOGS


def make_loggers(loggers: Loggers, root: Path, run: str, values: Mapping[str, Any]) -> list[Logger]:
    """Lightning's loggers for a run, told of its config's values.

    `run` names it for good: what is resumed goes on in the same curves, where steps that were lost with a kill come
    twice. Raises: ValueError where a package is missing.
    """
    if loggers.missing:
        missing = loggers.missing
        raise ValueError(f"loggers: not installed: {', '.join(missing)}; `pip install {' '.join(missing)}`")
    made = [_make(config, root / LOGS / name, run) for name, config in loggers.chosen.items()]
    for logger in made:
        logger.log_hyperparams(dict(values))
    return made


def close(logger: Logger, status: str) -> None:
    """The run is over: "success" or "failed"."""
    logger.finalize(status)
    if isinstance(logger, WandbLogger):  # else the next run of this process would go on in it
        logger.experiment.finish(exit_code=int(status != "success"))


def _make(config: Strict, folder: Path, run: str) -> Logger:
    if isinstance(config, TensorBoard):
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version=run, default_hp_metric=False)
    if isinstance(config, DvcLive):
        from dvclive.lightning import DVCLiveLogger

        # Else it makes experiments of DVC's, and writes its plots into the pipeline's dvc.yaml.
        return DVCLiveLogger(dir=str(folder / run), resume=True, save_dvc_exp=False, dvcyaml=None)
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(config, Wandb):
        where = {"project": config.project, "entity": config.entity, "offline": config.offline}
        return WandbLogger(name=run, id=run, save_dir=folder, **where)
    assert isinstance(config, MlFlow)
    from lightning.pytorch.loggers import MLFlowLogger

    known = _known(config.uri, config.experiment, run)
    return MLFlowLogger(config.experiment, run_name=run, tracking_uri=config.uri, run_id=known)


def _known(uri: str, experiment: str, run: str) -> str | None:
    """MLflow's id of a run that was broken off. It gives ids itself, so the name has to find it."""
    from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]

    client = MlflowClient(uri)
    there = client.get_experiment_by_name(experiment)
    runs = client.search_runs([there.experiment_id], f"attributes.run_name = '{run}'") if there else []
    return runs[0].info.run_id if runs else None
