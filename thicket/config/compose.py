"""Puts a config together: options of conf/, then params.yaml's `values` for them, then what a model sets for itself."""

from collections.abc import Callable, Mapping
from typing import Any

from thicket.config.layers import Layered, Path_, expanded
from thicket.config.library import GROUPS
from thicket.config.params import Params
from thicket.config.problems import ConfigError, Problem, dotted, nearest
from thicket.config.project import Project

Choice = tuple[str, Path_]
"""An option, and the place in params.yaml that chose it."""


class Composer:
    """Composes parts; each value remembers the line that set it."""

    def __init__(self, project: Project, params: Params):
        self.library, self.params = project.library, params
        self.origin = project.params_layers.origin

    def shared(self, *groups: str) -> dict[str, Choice]:
        """The choices of params.yaml that hold for every stage."""
        return {group: (getattr(self.params, group), (group,)) for group in groups}

    def option(self, group: str, choice: Choice, user: str, among: Callable[[], list[str]] | None = None) -> Layered:
        """An option with params.yaml's values for it. Raises: ConfigError where there is none, with what is allowed:
        `among` says it, None: all that there are."""
        name, at = choice
        if name not in self.library.options(group):
            raise ConfigError(self.library.unknown(group, name, self.origin(at), dotted(at), (user,), among))
        layers, values = self.library.option(group, name), self.params.values.get(group, {}).get(name, {})
        own = expanded(values, ("values", group, name), self.origin)
        return layers.merge(own.value, own.origin)

    def parts(self, choices: Mapping[str, Choice], user: str, values: Mapping[str, Any], at: Path_) -> Layered:
        """The options, each at its group, and over them a model's own values, which stand at `at`.

        Raises: ConfigError.
        """
        layers, problems = Layered(), []
        for group, choice in choices.items():
            try:
                layers.graft(self.option(group, choice, user), (group,))
            except ConfigError as error:
                problems.extend(error.problems)
        try:
            own = expanded(values, at, self.origin)
        except ConfigError as error:
            raise ConfigError([*problems, *error.problems]) from None
        for key in own.value.keys() - choices.keys():
            wrong, known = "not a part of this model's config", sorted(choices)
            where = own.origin((key,))
            problems.append(Problem(where, dotted((*at, key)), "", wrong, ", ".join(known), nearest(key, known)))
        if problems:
            raise ConfigError(problems)
        return layers.merge(own.value, own.origin)

    def unknown_values(self) -> list[Problem]:
        """The groups and options under params.yaml's `values` that conf/ does not have."""
        problems = []
        for group, options in self.params.values.items():
            at = ("values", group)
            if group not in GROUPS:
                wrong, known = "there is no such group of values", sorted(GROUPS)
                close = nearest(group, known)
                problems.append(Problem(self.origin(at), dotted(at), "", wrong, ", ".join(known), close))
                continue
            for option in options:
                here = (*at, option)
                problems += self.library.unknown(group, option, self.origin(here), dotted(here))
        return problems
