"""Reads YAML with the line of every value, refuses duplicate keys, and reads `1e-3` as a number as OmegaConf does."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from thicket.config.problems import ConfigError, Problem

Path_ = tuple[str | int, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """libyaml's safe loader where it is built in."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:[0-9][0-9_]*)(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


@dataclass(frozen=True)
class YamlFile:
    """A file's value and the line that each part of it stands on."""

    value: dict[str, Any]
    lines: dict[Path_, int]


def read_yaml(path: Path, shown_as: str) -> YamlFile:
    """Reads a file whose top level is a mapping.

    Raises: ConfigError where the file is missing, is not YAML, or names a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([Problem(shown_as, "(file)", "", "there is no such file")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(shown_as, "(file)", "", "the file is not UTF-8 text")]) from None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        value = loader.construct_document(root) if root else {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{shown_as}:{mark.line + 1}" if mark else shown_as
        raise ConfigError([Problem(where, "(file)", "", f"not YAML: {getattr(error, 'problem', error)}")]) from None
    if not isinstance(value, dict):
        raise ConfigError([Problem(shown_as, "(file)", "", "the top level has to be a mapping, `key: value`")])
    lines: dict[Path_, int] = {}
    problems: list[Problem] = []
    if root:
        _walk(root, (), lines, problems, shown_as)
    if problems:
        raise ConfigError(problems)
    return YamlFile(value, lines)


def _walk(node: Any, path: Path_, lines: dict[Path_, int], problems: list[Problem], shown_as: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, key.value)
            line = key.start_mark.line + 1
            if inner in lines:
                again = f"the key stands here a second time (first on line {lines[inner]})"
                problems.append(Problem(f"{shown_as}:{line}", ".".join(map(str, inner)), "", again))
            lines[inner] = line
            _walk(value, inner, lines, problems, shown_as)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, problems, shown_as)
