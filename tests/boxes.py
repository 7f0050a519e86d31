"""Skips what needs a box where this machine can't make one, and says why."""

import pytest

from thicket.domains.sandbox.launch import box_problem

needs_box = pytest.mark.skipif(bool(box_problem()), reason=f"no box can be made here: {box_problem()}")
