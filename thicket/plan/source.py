"""The source of thicket's modules: what of it counts, a hash of that, and the modules that each one imports."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import thicket

PACKAGE = "thicket"
ROOT = Path(thicket.__file__).parent
HASH_DIGITS = 12
"""Hexadecimal digits of a module's hash: 48 bits tell the versions of one module apart."""


def closure(names: Iterable[str]) -> set[str]:
    """Modules of thicket that are imported when these are, without the schema: the resolved config speaks for it."""
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
    """The modules of thicket that a module imports at the top of its file."""
    return tuple(other for statement in _tree(name).body for other in modules_in(statement))


def modules_in(statement: ast.stmt) -> Iterator[str]:
    """The modules of thicket that an import names."""
    if isinstance(statement, ast.Import):
        yield from (alias.name for alias in statement.names if alias.name.startswith(f"{PACKAGE}."))
    elif isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(PACKAGE):
        for alias in statement.names:
            inner = f"{statement.module}.{alias.name}"
            yield inner if path_of(inner).is_file() else str(statement.module)


def docstring(name: str) -> str:
    """A module's docstring, without importing it; empty where it has none."""
    return ast.get_docstring(_tree(name)) or ""


def path_of(name: str) -> Path:
    """The file of a module, or of a package."""
    parts = name.split(".")[1:]
    module = ROOT.joinpath(*parts).with_suffix(".py")
    return module if module.is_file() else ROOT.joinpath(*parts, "__init__.py")


@cache
def hash_of(name: str) -> str:
    """Hash of a module's code."""
    return hashlib.sha256(bare(_text(name), _tree(name)).encode()).hexdigest()[:HASH_DIGITS]


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


@cache
def _tree(name: str) -> ast.Module:
    return ast.parse(_text(name))


@cache
def _text(name: str) -> str:
    return path_of(name).read_text(encoding="utf-8")
