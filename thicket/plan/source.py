"""The source of thicket's modules and of plug-ins: what of it counts, a hash of that, and what each one imports."""

import ast
import hashlib
import importlib.util
import io
import os
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import thicket
from thicket.config.plugins import PACKAGE, is_there
from thicket.config.problems import ConfigError, Problem, nearest

ROOT = Path(thicket.__file__).parent
Made = ast.stmt | ast.expr | ast.alias
"""A part of a source that makes a name."""
HASH_DIGITS = 12
"""Hexadecimal digits of a module's hash: 48 bits tell the versions of one module apart."""


def closure(names: Iterable[str]) -> set[str]:
    """Modules of thicket, and of the packages that these stand in, that are imported when these are.

    Without the schema: the resolved config speaks for it.
    """
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(imported(name))
    return {name for name in found if not name.startswith(f"{PACKAGE}.config.")}


@cache
def imported(name: str) -> tuple[str, ...]:
    """The modules that a module imports at the top of its file, of thicket and of its own package.

    Raises: ConfigError where a plug-in's imports what is not there.
    """
    if name.partition(".")[0] != PACKAGE:
        problems = [problem for statement in _read(name).imports for problem in _import_problems(statement, name)]
        if problems:
            raise ConfigError(problems)
    return tuple(other for statement in _read(name).imports for other in modules_in(statement, name))


def _import_problems(statement: ast.stmt, of: str) -> Iterator[Problem]:
    """Modules that an import names, and names that it takes from one, that are not there; nothing is loaded for it.

    Of other packages than thicket and its own it is looked for themselves alone.
    """
    modules = list(dict.fromkeys(modules_in(statement, of)))
    for package in _packages(statement) - {PACKAGE, of.partition(".")[0]}:
        if not is_there(package):
            yield Problem(shown_at(of, statement.lineno), package, "", "there is no such package here")
    for other in modules:
        if not path_of(other).is_file() and not is_there(other):
            package, beside = other.rpartition(".")[0], sorted(path_of(other).parents[1].glob("*.py"))
            close = nearest(other, [f"{package}.{path.stem}" for path in beside])
            yield Problem(shown_at(of, statement.lineno), other, "", "there is no such module", nearest=close)
    module = _taken_from(statement, of) if isinstance(statement, ast.ImportFrom) else ""
    there = _importable(module) if module in modules else None
    if not isinstance(statement, ast.ImportFrom) or there is None:
        return
    for alias in statement.names:
        if alias.name not in there and not alias.name.startswith(("__", "*")):
            close = nearest(alias.name, there)
            yield Problem(shown_at(of, alias.lineno), module, "", f"there is no {alias.name} in it", nearest=close)


def _importable(module: str) -> list[str] | None:
    """The names that can be imported from a module; None where its source does not tell."""
    path = path_of(module)
    there = defined(module) if path.is_file() else None
    inside = path.parent.iterdir() if path.name == "__init__.py" else ()
    return None if there is None else [*there, *(one.name.partition(".")[0] for one in inside)]


def modules_in(statement: ast.stmt, of: str = PACKAGE) -> Iterator[str]:
    """The modules that an import names, of thicket and of the package of the module that it stands in."""
    packages = {PACKAGE, of.partition(".")[0]}
    if isinstance(statement, ast.Import):
        named = (alias.name for alias in statement.names)
        yield from (name for name in named if "." in name and name.partition(".")[0] in packages)
    elif isinstance(statement, ast.ImportFrom):
        module = _taken_from(statement, of)
        if module.partition(".")[0] in packages:
            for alias in statement.names:
                inner = f"{module}.{alias.name}"
                yield inner if path_of(inner).is_file() else module


def _packages(statement: ast.stmt) -> set[str]:
    """The packages that an import names."""
    named = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
    if isinstance(statement, ast.ImportFrom) and not statement.level and statement.module:
        named = [statement.module]
    return {name.partition(".")[0] for name in named}


def _taken_from(statement: ast.ImportFrom, of: str) -> str:
    """The module that `from … import` in a module names, relative or not."""
    if not statement.level:
        return statement.module or ""
    package = _package_of(of).split(".")[: -statement.level + 1 or None]
    return ".".join([*package, *filter(None, [statement.module])])


def _package_of(name: str) -> str:
    """The package that relative imports of a module start from."""
    return name if path_of(name).name == "__init__.py" else name.rpartition(".")[0]


def defined(name: str) -> dict[str, Made] | None:
    """The names that a module makes at the top of its file, and what makes each; None where only running it tells.

    It is not run: a method's module would load torch.
    """
    found = dict(_names(_tree(name).body))
    return None if {"*", "__getattr__"} & found.keys() else found


def _names(statements: Iterable[ast.AST]) -> Iterator[tuple[str, Made]]:
    """The names that statements make, on whatever condition, and what makes each."""
    for one in statements:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield one.name, one
        elif isinstance(one, ast.alias):
            yield (one.asname or one.name).partition(".")[0], one
        elif isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            yield one.id, one
        else:
            yield from _names(ast.iter_child_nodes(one))


def docstring(name: str) -> str:
    """A module's docstring, without importing it; empty where it has none."""
    return ast.get_docstring(_tree(name)) or ""


def path_of(name: str) -> Path:
    """The file of a module, or of a package."""
    package, *parts = name.split(".")
    home = ROOT if package == PACKAGE else _home(package)
    if home.is_file():
        return home.joinpath(*parts)
    module = home.joinpath(*parts).with_suffix(".py") if parts else home
    return module if module.is_file() else home.joinpath(*parts, "__init__.py")


def shown_at(name: str, line: int) -> str:
    """`FILE:LINE` of a module, as messages name it: relative to the project, where it lies there."""
    path = path_of(name)
    return f"{os.path.relpath(path) if path.is_relative_to(Path.cwd()) else path}:{line}"


@cache
def _home(package: str) -> Path:
    """The folder of a plug-in's package, or its file, where it is a single module; neither is loaded."""
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin if spec is not None and spec.origin else package)


def hash_of(name: str) -> str:
    """Hash of a module's code."""
    return _read(name).hash


@dataclass(frozen=True)
class _Source:
    """What is kept of a module: its syntax tree would have a thousand nodes, and be looked through for garbage."""

    imports: tuple[ast.Import | ast.ImportFrom, ...]
    """At the top of its file."""
    hash: str


@cache
def _read(name: str) -> _Source:
    """Raises: ConfigError where it is no Python."""
    text, tree = _text(name), _tree(name)
    imports = tuple(one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom))
    return _Source(imports, hashlib.sha256(bare(text, tree).encode()).hexdigest()[:HASH_DIGITS])


def bare(source: str, parsed: ast.Module | None = None) -> str:
    """Source without comments, docstrings, blank lines and white space at the ends of lines, strings as they are.

    Works on positions in the text, so that every version of Python makes the same of it. `parsed`: the same source.
    """
    lines, nodes = source.split("\n"), list(ast.walk(parsed or ast.parse(source)))
    if "#" in source:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                lines[token.start[0] - 1] = lines[token.start[0] - 1][: token.start[1]]
    literal = set(_lines_that_end_in_strings(nodes))
    for start, end, column, last in _docstrings(nodes):
        literal -= set(range(start, end))
        # ast counts columns in bytes.
        head, tail = lines[start].encode()[:column].decode(), lines[end].encode()[last:].decode()
        lines[start : end + 1] = [head, *[""] * (end - start - 1), tail] if end > start else [head + tail]
    kept = (
        line if row in literal else line.rstrip() for row, line in enumerate(lines) if line.strip() or row in literal
    )
    return "\n".join(kept)


def _lines_that_end_in_strings(nodes: list[ast.AST]) -> Iterator[int]:
    """Lines whose end belongs to a string of several lines: white space and blank lines count there."""
    for node in nodes:
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)):
            assert node.end_lineno is not None
            yield from range(node.lineno - 1, node.end_lineno - 1)


def _docstrings(nodes: list[ast.AST]) -> Iterator[tuple[int, int, int, int]]:
    """(first line, last line, first column, end column) of every statement that is a bare string."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None
            assert node.end_col_offset is not None
            yield node.lineno - 1, node.end_lineno - 1, node.col_offset, node.end_col_offset


def _tree(name: str) -> ast.Module:
    """Raises: ConfigError where it is no Python."""
    try:
        return ast.parse(_text(name))
    except SyntaxError as error:
        where = shown_at(name, error.lineno or 1)
        raise ConfigError([Problem(where, "", "", f"SyntaxError: {error.msg}")]) from None


@cache
def _text(name: str) -> str:
    try:
        return path_of(name).read_text(encoding="utf-8")
    except OSError:
        wrong = "a plug-in's code has to be there as source: results depend on it"
        raise ConfigError([Problem("plug-in", name, "", wrong)]) from None
