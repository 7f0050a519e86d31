"""Settings of Hydra's on a sweep's command line: what is wrong with them is found before the sweep, as of any other."""

from importlib.util import find_spec
from typing import Any

from thicket.config.overrides import COMMAND_LINE
from thicket.config.problems import Problem, nearest
from thicket.config.project import packaged_conf
from thicket.plan import ray_jobs

CONFIG_NAME = "sweep"
"""conf/sweep.yaml. Hydra starts from the one that thicket ships: its configs can name code to run."""
OPTUNA = "hydra/sweeper=optuna"
PLUGINS = {
    OPTUNA: ("sweep", "hydra_optuna_sweeper"),
    "hydra/launcher=joblib": ("sweep", "hydra_joblib_launcher"),
    **dict.fromkeys(
        (f"hydra/launcher={name}" for name in ("slurm", "submitit_slurm", "submitit_local")),
        ("slurm", "hydra_submitit_launcher"),
    ),
    **dict.fromkeys(ray_jobs.SETTINGS, ("ray", "hydra_ray_launcher")),
}
"""Settings that need a package: the extra of thicket's that has it, and its module."""
FIXED = {
    "hydra.sweep.dir": "the folder is build/runs/sweeps",
    "hydra.run.dir": "the folder is build/runs/sweeps",
    "hydra.sweeper.direction": "the objective says which way is better",
}
"""Settings of Hydra's that are thicket's, and why."""


def setting_problems(settings: list[str]) -> list[Problem]:
    """What is wrong with a sweep's settings."""
    problems = []
    for text in settings:
        setting = text.lstrip("+")
        if fixed := FIXED.get(setting.partition("=")[0]):
            problems.append(Problem(COMMAND_LINE, text, "", f"not to be set: {fixed}"))
        elif setting in PLUGINS and find_spec(f"hydra_plugins.{PLUGINS[setting][1]}") is None:
            wrong = f"not installed: thicket's extra `{PLUGINS[setting][0]}` has it"
            problems.append(Problem(COMMAND_LINE, text, "", wrong))
    return problems or _refused(settings)


def _refused(settings: list[str]) -> list[Problem]:
    """Those that Hydra can't compose: options first, then the values of those that are there."""
    if not settings:
        return []
    from hydra import compose, initialize_config_dir
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    problems, sound = list[Problem](), list[str]()
    with initialize_config_dir(str(packaged_conf().resolve()), version_base="1.3"):
        config: Any = compose(CONFIG_NAME, return_hydra_config=True)
        for text in sorted(settings, key=lambda text: "/" not in text.partition("=")[0]):
            try:
                config = compose(CONFIG_NAME, [*sound, text], return_hydra_config=True)
                sound.append(text)
            except (HydraException, OmegaConfBaseException) as error:
                problems.append(_problem(text, error, config))
    return problems


def _problem(text: str, error: Exception, config: Any) -> Problem:
    """Of a setting, Hydra's error over it, and the config that there is without it."""
    options = getattr(error, "options", None)
    if options is not None:
        known, wrong = sorted(options), "Hydra and its plug-ins that are installed have no such option"
        return Problem(COMMAND_LINE, text, "", wrong, ", ".join(known), nearest(text.partition("=")[2], known))
    *parents, last = text.lstrip("+~").partition("=")[0].replace("/", ".").split(".")
    for part in parents:
        config = config.get(part) if hasattr(config, "get") else None
    known = sorted(key for key in map(str, config) if key[0] != "_") if hasattr(config, "keys") else []
    if hasattr(config, "keys") and last not in config:
        wrong = "Hydra has no such setting"
        return Problem(COMMAND_LINE, text, "", wrong, ", ".join(known), nearest(last, known))
    reason = str(error.__cause__ or error).splitlines()[0]
    return Problem(COMMAND_LINE, text, "", f"Hydra refuses it: {reason}")
