"""A project: the folder with params.yaml and conf/."""

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from thicket.config.graph import SOME_PRODUCT
from thicket.config.layers import Layered
from thicket.config.library import EXPERIMENTS, Library
from thicket.config.overrides import COMMAND_LINE
from thicket.config.params import Params
from thicket.config.places import PARAMS
from thicket.config.problems import ConfigError, Problem
from thicket.config.validate import validate
from thicket.config.yamlfile import read_yaml

OPTION_LEVEL = len(("values", "GROUP", "OPTION"))


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
        if not (self.root / PARAMS).exists():
            wrong = "there is none in this folder, nor above it: this is no project"
            raise ConfigError([Problem(PARAMS, "", "", wrong)])
        return read_yaml(self.root / PARAMS, PARAMS).layers()

    def with_params(self, layers: Layered) -> "Project":
        """The same project with other declarations than params.yaml's."""
        other = Project(self.root)
        other.__dict__["params_layers"] = layers  # where a cached property keeps its value
        return other

    def experiment(self, name: str) -> "Project":
        """The same project as an experiment of the library declares it. Raises: ConfigError where there is none."""
        unknown = self.library.unknown(EXPERIMENTS, name, COMMAND_LINE, EXPERIMENTS)
        if unknown:
            raise ConfigError(unknown)
        file = f"{EXPERIMENTS}/{name}.yaml"
        return self.with_params(read_yaml(self.library.root / file, f"conf/{file}").layers())

    @cached_property
    def params_problems(self) -> list[Problem]:
        """What is wrong in params.yaml itself."""
        try:
            validate(Params, self.params_layers)
        except ConfigError as error:
            return [self._option_first(problem) for problem in error.problems]
        return []

    def _option_first(self, problem: Problem) -> Problem:
        """What to do about a value that stands in `values` right under its group."""
        if len(problem.place) != OPTION_LEVEL or problem.place[0] != "values":
            return problem
        group, key = map(str, problem.place[1:])
        options = self.library.options(group)
        if not options or key in options:
            return problem
        example = f"values: {{{group}: {{{options[0]}: {{{key}: {problem.given}}}}}}}"
        wrong = f"the name of an option of conf/{group} comes first, then its values"
        return replace(problem, wrong=wrong, allowed=f"{', '.join(options)}; for instance `{example}`")

    def sound_params(self) -> tuple[Params, frozenset[str]]:
        """params.yaml without the entries that have a problem, and their names, so that the rest can be checked too.

        Raises: ConfigError where nothing is left to check.
        """
        if not self.params_problems:
            return validate(Params, self.params_layers), frozenset()
        layers, broken = deepcopy(self.params_layers), set()
        for group, *rest in {problem.place[:2] for problem in self.params_problems if problem.place}:
            entries = layers.value.get(group)
            if isinstance(entries, dict) and rest:
                entries.pop(rest[0], None)
                broken.add(str(rest[0]))
            else:
                layers.value.pop(group, None)
                broken |= {SOME_PRODUCT} if group == "products" else set(entries if isinstance(entries, dict) else ())
        try:
            return validate(Params, layers), frozenset(broken)
        except ConfigError:
            raise ConfigError(self.params_problems) from None


def packaged_conf() -> Path:
    """The folder conf/ of the code that runs: within the package where it is installed, beside it in a clone.

    Not that of the module `thicket.conf`: with PYTHONPATH on a second clone, it would be the installed one's.
    """
    package = Path(__file__).parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"
