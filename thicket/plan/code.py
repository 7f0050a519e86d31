"""Code as a dependency: which modules of thicket a stage runs, and a hash of each.

A stage's modules are those that its own modules import at the top of the file, and theirs in turn. An import inside a
function is a choice by `type`; the table below names those, so that editing one method reruns what uses it and nothing else.
Comments, docstrings and blank lines do not count.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import thicket
from thicket.config.base import PretrainedBase
from thicket.config.domain import DataDomain, ScoredDomain
from thicket.config.stages import BaseStage, Code, DataStage, EvaluateStage, SpecialistStage, Stage, StudentStage
from thicket.domains.registry import module_of

PACKAGE = "thicket"
ROOT = Path(thicket.__file__).parent

BASES = {
    "pretrain": (
        "thicket.models.characters",
        "thicket.models.folder",
        "thicket.models.scratch",
        "thicket.training.loop",
        "thicket.training.pretrain",
    ),
    "gguf": ("thicket.models.folder", "thicket.models.gguf"),
    "folder": ("thicket.models.elsewhere", "thicket.models.folder"),
    "hub": ("thicket.models.elsewhere", "thicket.models.folder"),
}
STUDENTS = {"opd": "thicket.stages.distil", "mixed": "thicket.stages.mix", "soup": "thicket.stages.average"}


def code_of(stage: Stage) -> Code:
    """Module → hash of its source, for every module that may change what the stage makes."""
    return {name: hash_of(name) for name in sorted(closure(roots(stage)))}


def roots(stage: Stage) -> tuple[str, ...]:
    """The modules that a stage's config chooses."""
    if isinstance(stage, DataStage):
        return "thicket.stages.data", *_source(stage.domain)
    if isinstance(stage, BaseStage):
        corpus = ("thicket.domains.corpus",) if isinstance(stage.base, PretrainedBase) else ()
        return "thicket.stages.base", *BASES[stage.base.type], *corpus
    if isinstance(stage, SpecialistStage):
        return "thicket.stages.specialist", f"thicket.methods.{stage.method.type}", *_verifiers([stage.domain])
    if isinstance(stage, StudentStage):
        return "thicket.stages.student", STUDENTS[stage.method.type], *_verifiers(stage.domains)
    if isinstance(stage, EvaluateStage):
        return "thicket.stages.evaluate", *_verifiers(stage.domains)
    return ("thicket.reporting.report",)


def _source(domain: DataDomain) -> tuple[str, ...]:
    return (module_of("sources", domain.source.type),)


def _verifiers(domains: Iterable[ScoredDomain]) -> list[str]:
    return [module_of("verifiers", domain.verifier.type) for domain in domains]


def closure(names: Iterable[str]) -> set[str]:
    """Modules of thicket that are imported when these are. The schema is left out: the resolved config speaks for it."""
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
    names: list[str] = []
    for node in ast.parse(_source_text(name)).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names += [other for other in inner if _path(other).is_file()] or [node.module]
    return tuple(other for other in names if other.startswith(f"{PACKAGE}."))


@cache
def hash_of(name: str) -> str:
    """Twelve hexadecimal digits of a module's code."""
    return hashlib.sha256(bare(_source_text(name)).encode()).hexdigest()[:12]


def bare(source: str) -> str:
    """Source without comments, docstrings, blank lines and white space at the ends of lines.

    Works on positions in the text, so that every version of Python makes the same of it.
    """
    lines = source.splitlines()
    for start, end, column, last in _docstrings(ast.parse(source)):
        if start == end:
            lines[start] = lines[start][:column] + lines[start][last:]
        else:
            lines[start : end + 1] = [lines[start][:column], *[""] * (end - start - 1), lines[end][last:]]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start[0] - 1, token.start[1]
            lines[row] = lines[row][:column] if lines[row][column : column + 1] == "#" else lines[row]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _docstrings(tree: ast.Module) -> list[tuple[int, int, int, int]]:
    """(first line, last line, first column, end column) of every statement that is a bare string."""
    places = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            assert node.end_lineno is not None and node.end_col_offset is not None
            places.append((node.lineno - 1, node.end_lineno - 1, node.col_offset, node.end_col_offset))
    return places


def _path(name: str) -> Path:
    parts = name.split(".")[1:]
    module = ROOT.joinpath(*parts).with_suffix(".py")
    return module if module.is_file() else ROOT.joinpath(*parts, "__init__.py")


@cache
def _source_text(name: str) -> str:
    return _path(name).read_text(encoding="utf-8")
