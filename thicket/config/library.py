"""The library of choices: conf/GROUP/OPTION.yaml, with Hydra's defaults lists, and the origin of every value.

Hydra's own composition takes about 100 ms an option, and `thicket check` composes dozens; this reads an option in one,
and keeps the line that set each value. A test holds it to what Hydra composes, for every option that ships.
"""

from copy import deepcopy
from pathlib import Path

from thicket.config.layers import Layered
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.config.yamlfile import read_yaml

GROUPS = ("experiment", "base", "domain", "method", "sampler", "trainer", "evaluation")


class Library:
    """The options of a folder conf/."""

    def __init__(self, root: Path):
        self.root = root
        self._cache: dict[tuple[str, str], Layered] = {}

    def options(self, group: str) -> list[str]:
        """The names of a group's options; an option in a subfolder is named `folder/option`."""
        folder = self.root / group
        return sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml"))

    def option(self, group: str, name: str, asked_by: Problem) -> Layered:
        """An option's values with their origins.

        `asked_by` says who chose it: it becomes the error where there is no such option.
        Raises: ConfigError.
        """
        if (group, name) not in self._cache:
            self._cache[group, name] = self._read(group, name, asked_by, ())
        return deepcopy(self._cache[group, name])

    def _read(self, group: str, name: str, asked_by: Problem, seen: tuple[str, ...]) -> Layered:
        options = self.options(group)
        if name not in options:
            raise ConfigError(
                [
                    Problem(
                        asked_by.where,
                        asked_by.path,
                        repr(name),
                        f"there is no such option of conf/{group}",
                        allowed=", ".join(options),
                        nearest=nearest(name, options),
                        users=asked_by.users,
                    )
                ]
            )
        shown = f"conf/{group}/{name}.yaml"
        file = read_yaml(self.root / group / f"{name}.yaml", shown)
        own = {key: value for key, value in file.value.items() if key != "defaults"}
        parents = file.value.get("defaults", [])
        if name in seen or not isinstance(parents, list) or not all(isinstance(p, str) for p in parents):
            wrong = "has to be a list of options of the same group, and `_self_`, that doesn't come back to itself"
            raise ConfigError([Problem(shown, "defaults", repr(parents), wrong)])
        layers = Layered()
        for parent in parents if "_self_" in parents else [*parents, "_self_"]:
            if parent == "_self_":
                layers.merge(own, lambda path: f"{shown}:{file.lines.get(path, 1)}")
            else:
                inner = self._read(group, parent, Problem(shown, "defaults", parent, ""), (*seen, name))
                layers.merge(inner.value, inner.origin)
        layers.origins.setdefault((), shown)
        return layers
