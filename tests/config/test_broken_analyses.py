"""Analyses in params.yaml that can't be made: models, domains, options."""

from pathlib import Path

import pytest
from broken import Broken, Change, broken, edited, expect
from commands import Command


def analyses(text: str) -> Change:
    """Declares an analysis."""
    return edited("values:\n", f"analyses: {{look: {text}}}\nvalues:\n")


CASES = [
    broken(
        "one model where two are compared",
        analyses("{analysis: capability, models: [tiny]}"),
        """
        params.yaml:16: analyses.look.models = ['tiny']: `capability` takes 2 models, not 1
        """,
    ),
    broken(
        "a model that is not declared",
        analyses("{analysis: capability, models: [tiny, srot-grpo]}"),
        """
        params.yaml:16: analyses.look.models[1] = 'srot-grpo': no model of this name is declared
            allowed: mixed, opd, reverse-grpo, sort-grpo, soup, tiny
            did you mean: sort-grpo
        """,
    ),
    broken(
        "the same model twice",
        analyses("{analysis: capability, models: [tiny, tiny]}"),
        """
        params.yaml:16: analyses.look.models[1] = 'tiny': stands here a second time
        """,
    ),
    broken(
        "an option that there is not",
        analyses("{analysis: capabilty, models: [tiny, opd]}"),
        """
        params.yaml:16: analyses.look.analysis = 'capabilty': there is no such option of conf/analysis
            allowed: capability
            did you mean: capability
            used by: analyze look
        """,
    ),
    broken(
        "a domain that there is not",
        analyses("{analysis: capability, models: [tiny, opd], domains: [srot]}"),
        """
        params.yaml:16: analyses.look.domains[0] = 'srot': there is no such option of conf/domain
            allowed: reverse, sort
            did you mean: sort
            used by: analyze look
        """,
    ),
    broken(
        "a value out of range",
        analyses("{analysis: capability, models: [tiny, opd], set: {analysis.solves: 2.0}}"),
        """
        params.yaml:16: analysis.solves = 2.0: out of range
            allowed: at most 1.0
            used by: analyze look
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)
