"""A project: the folder with params.yaml and conf/, and the places of its artifacts."""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from thicket.config.layers import Layered
from thicket.config.library import Library
from thicket.config.params import Params
from thicket.config.problems import ConfigError, Problem
from thicket.config.validate import validate
from thicket.config.yamlfile import read_yaml

PARAMS = "params.yaml"
BUILD = Path("build")
CONFIG, DATA, MODELS = BUILD / "config", BUILD / "data", BUILD / "models"
METRICS, CURVES, EVALUATION, REPORT = BUILD / "metrics", BUILD / "curves", BUILD / "evaluation", BUILD / "report"
RESUME, RUNS = BUILD / "resume", BUILD / "runs"


@dataclass(frozen=True)
class Project:
    """The files that declare an experiment."""

    root: Path

    @cached_property
    def library(self) -> Library:
        """conf/ of the project; without one, the library that is installed with thicket."""
        own = self.root / "conf"
        return Library(own if own.is_dir() else packaged_conf())

    @cached_property
    def params_layers(self) -> Layered:
        """params.yaml with the line of each value. Raises: ConfigError."""
        file = read_yaml(self.root / PARAMS, PARAMS)
        return Layered().merge(file.value, lambda path: f"{PARAMS}:{file.lines.get(path, 1)}")

    def with_params(self, layers: Layered) -> "Project":
        """The same project with other declarations than params.yaml's."""
        other = Project(self.root)
        other.__dict__["params_layers"] = layers  # where a cached property keeps its value
        return other

    @cached_property
    def params_problems(self) -> list[Problem]:
        """What is wrong in params.yaml itself."""
        try:
            validate(Params, self.params_layers, PARAMS)
        except ConfigError as error:
            return error.problems
        return []

    def sound_params(self) -> tuple[Params, frozenset[str]]:
        """params.yaml without the entries that have a problem, and their names, so that the rest can be checked too.

        Raises: ConfigError where nothing is left to check.
        """
        if not self.params_problems:
            return validate(Params, self.params_layers, PARAMS), frozenset()
        layers, broken = deepcopy(self.params_layers), set()
        for path in {tuple(problem.path.replace("[", ".").split(".")) for problem in self.params_problems}:
            parent = layers.value if len(path) == 1 else layers.value.get(path[0])
            if isinstance(parent, dict):
                parent.pop(path[min(len(path), 2) - 1], None)
                broken.add(path[-1] if len(path) == 1 else path[1])
        try:
            return validate(Params, layers, PARAMS), frozenset(broken)
        except ConfigError:
            raise ConfigError(self.params_problems) from None


def packaged_conf() -> Path:
    """The folder conf/ that is installed with thicket."""
    from importlib.resources import files

    return Path(str(files("thicket.conf")))
