"""Reads YAML as OmegaConf does, with the line of every value, and refuses what a person can't have meant."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from thicket.config.layers import Layered, Path_
from thicket.config.problems import ConfigError, Problem, dotted, shown


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's safe loader where it is built in."""


class _Dumper(yaml.SafeDumper):
    """Quotes each text that `_Loader` would take for a number: PyYAML alone writes the hash 12345e678901 bare."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


# As in OmegaConf: `1e-3` is a number, and a date is text.
for kind in (_Loader, _Dumper):
    kind.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
        list("-+0123456789"),
    )
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}


UNUSUAL = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("set", "omap", "pairs"))
"""Tags of YAML's other collections, which no config holds."""
DEEPEST = 50
"""Levels of a value within others; configs have about ten."""
LONGEST_BITS = 256
"""Of a whole number; Python refuses to write much longer ones in a message."""
REPEATED = 10_000
"""Values that aliases (`*name`) may add to those that are written out."""


@dataclass(frozen=True)
class YamlFile:
    """A file's value and the line that each part of it stands on."""

    name: str
    """The file as messages name it."""
    value: dict[str, Any]
    lines: dict[Path_, int]

    def origin(self, path: Path_) -> str:
        """`FILE:LINE` of a value, or of the nearest part that it belongs to (what `<<` merges in has no line)."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines[path]}" if path else self.name

    def layers(self) -> Layered:
        """The values with the origin of each."""
        return Layered(origins={(): self.name}).merge(self.value, self.origin)


def read_yaml(path: Path, shown_as: str) -> YamlFile:
    """Reads a file whose top level is a mapping; an empty file is an empty one.

    Raises: ConfigError where the file is missing, is not YAML, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unreadable(shown_as, "there is no such file") from None
    except IsADirectoryError:
        raise _unreadable(shown_as, "a folder, not a file") from None
    except UnicodeDecodeError:
        raise _unreadable(shown_as, "the file is not UTF-8 text") from None
    lines: dict[Path_, int] = {}
    problems: list[Problem] = []
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            return YamlFile(shown_as, {}, lines)
        if not isinstance(root, yaml.MappingNode):
            raise _unreadable(shown_as, "the top level has to be a mapping, `key: value`")
        if "*" in text and (wrong := _of_aliases(root)):
            raise _unreadable(shown_as, wrong)
        _walk(loader, root, (), lines, problems, shown_as)
        if problems:
            raise ConfigError(problems)
        return YamlFile(shown_as, loader.construct_document(root), lines)
    except yaml.YAMLError as error:
        raise _not_yaml(error, text, shown_as) from None
    except RecursionError:
        raise _unreadable(shown_as, "values lie too deep within one another") from None


def _unreadable(where: str, wrong: str) -> ConfigError:
    return ConfigError([Problem(where, "", "", wrong)])


def _not_yaml(error: yaml.YAMLError, text: str, shown_as: str) -> ConfigError:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return _unreadable(shown_as, f"not YAML: {' '.join(str(error).split())}")
    mark, began = error.problem_mark, error.context_mark
    where = f"{shown_as}:{mark.line + 1}"
    line = next(iter(text.split("\n")[mark.line :]), "")  # the parser counts lines that end otherwise, too
    if "\t" in line[: mark.column + 1]:
        return _unreadable(where, "not YAML: indentation is by spaces, and here is a tab")
    context = f" ({error.context} from line {began.line + 1})" if error.context and began else ""
    return _unreadable(where, f"not YAML: {error.problem}{context}")


def _of_aliases(root: Any) -> str:
    """What is wrong with a file's aliases: they may make a few lines stand for more values than memory holds."""
    sizes: dict[int, float] = {}

    def size(node: Any) -> float:
        if id(node) not in sizes:
            sizes[id(node)] = math.inf  # until it is known: whoever meets it meanwhile is inside of it
            inner = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else [entry])]
            sizes[id(node)] = 1 + sum(map(size, parts))
        return sizes[id(node)]

    whole = size(root)
    if math.isinf(whole):
        return "a value holds itself, by an alias (`*name`)"
    return f"its aliases (`*name`) make {whole} values of it" if whole > len(sizes) + REPEATED else ""


def _scalar(loader: Any, node: Any) -> tuple[Any, str]:
    """The value of a scalar, and what is wrong with it."""
    try:
        made = loader.construct_object(node)
    except yaml.YAMLError:
        raise
    except Exception:  # PyYAML's own functions don't check what they are given: `!!int x`, a number of 5,000 digits.
        return None, f"not a value of the kind that it is written as ({node.tag.rpartition(':')[2]})"
    if isinstance(made, int) and made.bit_length() > LONGEST_BITS:
        return None, f"a whole number of more than {LONGEST_BITS} bits"
    if made is None or isinstance(made, str | int | float):
        return made, ""
    return None, f"a {type(made).__name__} is no plain value: text, a number, true, false or null"


def _walk(loader: Any, node: Any, path: Path_, lines: dict[Path_, int], problems: list[Problem], shown_as: str) -> None:
    """Notes the line of every value, and a problem for every key that stands twice and every value not plain."""
    lines.setdefault(path, node.start_mark.line + 1)
    _, wrong = _scalar(loader, node) if isinstance(node, yaml.ScalarNode) else (None, "")
    if len(path) > DEEPEST:
        wrong = f"lies more than {DEEPEST} levels deep"
    elif isinstance(node, yaml.CollectionNode) and node.tag in UNUSUAL:
        wrong = f"the tag !!{node.tag.rpartition(':')[2]} is not read here: a mapping or a list"
    given = shown(node.value) if isinstance(node, yaml.ScalarNode) else ""
    if wrong:
        problems.append(Problem(f"{shown_as}:{node.start_mark.line + 1}", dotted(path), given, wrong))
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            (made, wrong), line = _scalar(loader, key), key.start_mark.line + 1
            inner = (*path, made)
            if wrong:
                problems.append(Problem(f"{shown_as}:{line}", dotted((*path, key.value)), "", wrong))
            elif inner in lines:
                wrong = f"the key stands here a second time (first on line {lines[inner]})"
                problems.append(Problem(f"{shown_as}:{line}", dotted(inner), "", wrong))
            elif not isinstance(made, str | int) or isinstance(made, bool):
                wrong = f"YAML reads this key as {shown(made)}: put it in quotes"
                problems.append(Problem(f"{shown_as}:{line}", dotted((*path, key.value)), "", wrong))
            lines[inner] = line
            _walk(loader, value, inner, lines, problems, shown_as)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(loader, value, (*path, index), lines, problems, shown_as)


def values_of(text: str) -> Any:
    """The value of a text that a program wrote, without the line of each part."""
    return yaml.load(text, _Loader)


def to_yaml(value: Any) -> str:
    """YAML that `read_yaml` reads as the same value."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
