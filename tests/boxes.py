"""Programs in a box: what they may use there, and the verdict on one."""

from textwrap import dedent

import pytest

from thicket.config.sandbox import Limits, Sandbox
from thicket.config.verifier import CodeVerifier
from thicket.domains.item import Item
from thicket.domains.sandbox.launch import box_problem
from thicket.domains.verdict import Verdict
from thicket.domains.verifiers.code import judge

needs_box = pytest.mark.skipif(bool(box_problem()), reason=f"no box can be made here: {box_problem()}")
"""Skips what needs a box where this machine can't make one, and says why."""

MIB = 1 << 20
LIMITS = Limits(
    cpu_seconds=1, wall_seconds=20.0, memory_bytes=256 * MIB, processes=16, disk_bytes=MIB, output_bytes=1 << 16
)
BOX = Sandbox(limits=LIMITS)
CODE = CodeVerifier(type="code", limits=LIMITS)
DOUBLES = Item("0" * 16, "?", "", 1, {"tests": ["assert double(2) == 4", "assert double(5) == 10"]})
GOOD = "def double(x):\n    return 2 * x\n"
ALWAYS_EQUAL = """
class Anything:
    def __eq__(self, other):
        return True
    def __ne__(self, other):
        return False
    def __bool__(self):
        return True
def double(x):
    return Anything()
"""


def verdict(program: str, config: CodeVerifier = CODE) -> Verdict:
    """The verdict on a program; the one after it is judged as ever."""
    (found,) = judge(config, [(dedent(program), DOUBLES)])
    assert judge(CODE, [(GOOD, DOUBLES)]) == [Verdict(True)]
    return found


def each_with_reason(programs: dict[str, dict[str, str]]) -> pytest.MarkDecorator:
    """Runs a test for each program; they are given by the reason that they fail with, and by a name."""
    cases = [
        pytest.param(program, reason, id=name) for reason, named in programs.items() for name, program in named.items()
    ]
    return pytest.mark.parametrize(("program", "reason"), cases)
