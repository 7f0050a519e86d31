"""What of a module counts as its code: comments, docstrings and blank lines don't, everything else does."""

import ast
import io
import re
import token
import tokenize
from collections.abc import Set
from pathlib import Path
from textwrap import dedent

import pytest

from thicket.plan.source import ROOT, bare, closure, hash_of, imported, path_of

SOURCE = dedent(
    '''\
    """A module."""

    import os  # why


    class Busy(Exception):
        """Another."""  # a comment after it


    def area(width: float) -> float:
        """Area.

        Of a square.
        """
        # Width times width.
        text = "no # comment"
        long = """first   

    last"""
        return width * width, text, long, f"""{width}

    """
    '''
)
BARE = dedent(
    '''\
    import os
    class Busy(Exception):
    def area(width: float) -> float:
        text = "no # comment"
        long = """first   

    last"""
        return width * width, text, long, f"""{width}

    """'''
)


def test_bare() -> None:
    assert bare(SOURCE) == BARE


SAME = {
    "comment": ("# Width times width.", "# The square of the width."),
    "new comment": ("import os  # why", "import os"),
    "docstring": ("Of a square.", "Of a square of this width, Σ²."),
    "longer docstring": ("Of a square.", "Of a square.\n\n    And so on."),
    "module docstring": ('"""A module."""', '"""Another module, α·β."""'),
    "blank line": ("import os", "\n\nimport os"),
    "space at the end of a line": ("import os", "import os   "),
}
OTHER = {
    "operator": ("width * width", "width + width"),
    "text": ("no # comment", "a # comment"),
    "blank line within a text": ("first   \n\n", "first   \n"),
    "space within a text": ("first   ", "first  "),
    "blank line within a formatted text": ("{width}\n\n", "{width}\n"),
    "name": ("area", "square"),
}


@pytest.mark.parametrize("edit", SAME)
def test_what_does_not_count(edit: str) -> None:
    old, new = SAME[edit]
    assert old in SOURCE
    assert bare(SOURCE.replace(old, new, 1)) == BARE


@pytest.mark.parametrize("edit", OTHER)
def test_what_counts(edit: str) -> None:
    old, new = OTHER[edit]
    assert old in SOURCE
    assert bare(SOURCE.replace(old, new, 1)) != BARE


def test_code_beside_a_docstring_with_wide_characters() -> None:
    assert bare('"""Σ αβγ"""; x = 1\n') == "; x = 1"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_nothing_of_a_real_module_is_lost(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    docstrings = {node.lineno for node in statements if isinstance(node.value, ast.Constant)}
    assert words(bare(source)) == words(source, besides=docstrings)


def words(source: str, besides: Set[int] = frozenset()) -> list[str]:
    """The tokens of a text that are code, without strings that begin on some lines."""
    code = (token.NAME, token.OP, token.NUMBER, token.STRING)
    found = tokenize.generate_tokens(io.StringIO(source).readline)
    return [t.string for t in found if t.type in code and not (t.type == token.STRING and t.start[0] in besides)]


def test_imports_are_those_at_the_top() -> None:
    names = imported("thicket.stages.run")
    assert "thicket.stages.publish" in names
    assert "thicket.stages.data" not in names  # inside a function
    assert {"thicket.config.stages", "thicket.signals"} <= set(names)


def test_a_module_of_a_package_is_told_from_a_name_in_a_module() -> None:
    assert "thicket.ops.draws" in imported("thicket.evaluation.evaluator")  # from thicket.ops import draws
    assert "thicket.ops.divergence" in closure(["thicket.methods.grpo"])  # from thicket.ops.divergence import …


def test_closure_is_transitive_and_leaves_the_schema_out() -> None:
    found = closure(["thicket.stages.evaluate"])
    assert {"thicket.stages.evaluate", "thicket.evaluation.cache", "thicket.sampling.decode"} <= found
    assert not any(name.startswith("thicket.config.") for name in found)
    assert all(path_of(name).is_file() for name in found)


def test_hashes() -> None:
    assert re.fullmatch(r"[0-9a-f]{12}", hash_of("thicket.ops.draws"))
    assert hash_of("thicket.ops.draws") != hash_of("thicket.ops.log_probs")


def test_no_import_is_relative() -> None:
    """`imported` reads absolute ones."""
    relative = [
        path
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_packages_hold_no_code() -> None:
    """Importing a module runs its packages' files too, which `closure` does not follow."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in ROOT.rglob("__init__.py")}
    assert [path for path, tree in trees.items() if len(tree.body) > bool(ast.get_docstring(tree))] == []
