"""Every property, with a few examples that are the same in every run; `tests/fuzz.py` asks for more."""

import properties_of_models  # noqa: F401  # which adds its own
import pytest
from hypothesis import settings
from properties import PROPERTIES, UNCHECKED

FEW = settings(max_examples=25, derandomize=True, database=None, deadline=None, suppress_health_check=UNCHECKED)
SLOW = {"a_mathematical_response_has_a_verdict": 5, "a_changed_file_of_a_model": 15, "a_changed_gguf_file": 10}
"""Those of which an example takes long, and how many are asked."""


@pytest.mark.parametrize("name", PROPERTIES)
def test_it_holds(name: str) -> None:
    few = settings(FEW, max_examples=SLOW.get(name, FEW.max_examples))
    PROPERTIES[name](few)
