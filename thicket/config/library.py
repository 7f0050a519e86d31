"""The library of choices: conf/GROUP/OPTION.yaml, with Hydra's defaults lists, and the origin of every value.

Hydra's own composition takes about 100 ms an option, and `thicket check` composes dozens; this reads an option in one,
and keeps the line that set each value. A test holds it to what Hydra composes, for every option that ships.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import takewhile
from pathlib import Path

from thicket.config.layers import Layered
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.yamlfile import YamlFile, read_yaml

GROUPS = ("base", "domain", "method", "sampler", "trainer", "evaluation", "analysis")
"""The groups whose options make up a stage's config."""
EXPERIMENTS = "experiment"
"""The group whose options are whole files params.yaml."""


class Library:
    """The options of a folder conf/."""

    def __init__(self, root: Path):
        self.root = root
        self._options: dict[str, list[str]] = {}
        self._read: dict[tuple[str, str], Layered] = {}

    def options(self, group: str) -> list[str]:
        """The names of a group's options; an option in a subfolder is named `folder/option`."""
        if group not in self._options:
            folder = self.root / group
            paths = folder.rglob("*.yaml")
            self._options[group] = sorted(path.relative_to(folder).with_suffix("").as_posix() for path in paths)
        return self._options[group]

    def unknown(
        self,
        group: str,
        name: str,
        where: str,
        path: str,
        users: tuple[str, ...] = (),
        among: Callable[[], list[str]] | None = None,
    ) -> list[Problem]:
        """The problem that there is no such option, if so; `among` says which would be allowed, None: all."""
        if name in self.options(group):
            return []
        known = among() if among else self.options(group)
        wrong = f"there is no such option of conf/{group}"
        return [Problem(where, path, shown(name), wrong, ", ".join(known), nearest(name, known), users)]

    def option(self, group: str, name: str) -> Layered:
        """The values of an option that there is, with their origins. Raises: ConfigError."""
        if (group, name) not in self._read:
            self._read[group, name] = self._compose(group, name, ())
        return deepcopy(self._read[group, name])

    def about(self, group: str, name: str) -> str:
        """What an option is, in the words of the comment that its file begins with; empty without one."""
        lines = (self.root / group / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
        return " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))

    def _compose(self, group: str, name: str, seen: tuple[str, ...]) -> Layered:
        file = read_yaml(self.root / group / f"{name}.yaml", f"conf/{group}/{name}.yaml")
        own = {key: value for key, value in file.value.items() if key != "defaults"}
        layers = Layered(origins={(): file.name})
        for parent in self._parents(group, file, (*seen, name)):
            if parent is None:
                layers.merge(own, file.origin)
            else:
                inner = self._compose(group, parent, (*seen, name))
                layers.merge(inner.value, inner.origin)
        return layers

    def _parents(self, group: str, file: YamlFile, seen: tuple[str, ...]) -> Iterator[str | None]:
        """The options that a file's defaults list names, and None for the file itself (`_self_`, else the last)."""
        listed = file.value.get("defaults", [])
        if not isinstance(listed, list) or not all(isinstance(entry, str) for entry in listed):
            wrong = "has to be a list of options of the same group, and `_self_`"
            raise ConfigError([Problem(file.origin(("defaults",)), "defaults", shown(listed), wrong)])
        for index, entry in enumerate(listed):
            where, path = file.origin(("defaults", index)), f"defaults[{index}]"
            if entry in seen:
                circle = " → ".join([*seen, entry])
                raise ConfigError([Problem(where, path, shown(entry), f"the defaults go in a circle: {circle}")])
            problems = [] if entry == "_self_" else self.unknown(group, entry, where, path)
            if problems:
                raise ConfigError(problems)
            yield None if entry == "_self_" else entry
        if "_self_" not in listed:
            yield None
