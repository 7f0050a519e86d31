"""Models in params.yaml that don't fit together: names, references, teachers, budgets."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path

import pytest
from broken import Broken, broken, edited, expect
from commands import Command

TEACHERS = "teachers: [sort-grpo, {model: reverse-grpo, weight: 2}]"
SOUP = "soup: {base: tiny, method: soup, teachers: [sort-grpo, reverse-grpo]}"
MODELS = "mixed, opd, reverse-grpo, sort-grpo, soup, tiny"


CASES = [
    broken(
        "model without a base",
        edited("soup: {base: tiny, ", "soup: {"),
        """
        params.yaml:14: students.soup.base: a value is missing
        """,
    ),
    broken(
        "no teachers",
        edited(SOUP, "soup: {base: tiny, method: soup}"),
        """
        params.yaml:14: students.soup.teachers: the method `soup` needs at least one teacher
        """,
    ),
    broken(
        "teacher that is not declared",
        edited("[sort-grpo, {", "[srot-grpo, {"),
        f"""
        params.yaml:13: students.opd.teachers[0] = 'srot-grpo': no model of this name is declared
            allowed: {MODELS}
            did you mean: sort-grpo
        """,
    ),
    broken(
        "a report on a model that is not declared",
        edited("students:\n", "report: [opd, mixd, opd]\nstudents:\n"),
        f"""
        params.yaml:9: report[1] = 'mixd': no model of this name is declared
            allowed: {MODELS}
            did you mean: mixed
        params.yaml:9: report[2] = 'opd': stands here a second time
        """,
    ),
    broken(
        "teacher of no domain",
        edited("[sort-grpo, {", "[tiny, sort-grpo, {"),
        """
        params.yaml:13: students.opd.teachers[0] = 'tiny': not a specialist: say which domain it judges, {model: …, domain: …}
        """,
    ),
    broken(
        "teacher of an unknown domain",
        edited("weight: 2", "domain: revers"),
        """
        params.yaml:13: students.opd.teachers[1].domain = 'revers': there is no such option of conf/domain
            allowed: reverse, sort
            did you mean: reverse
            used by: student opd
        """,
    ),
    broken(
        "teacher twice",
        edited(TEACHERS, "teachers: [sort-grpo, reverse-grpo, sort-grpo]"),
        """
        params.yaml:13: students.opd.teachers[2] = 'sort-grpo': judges sort already
        """,
    ),
    broken(
        "negative weight",
        edited("weight: 2", "weight: -2"),
        """
        params.yaml:13: students.opd.teachers[1].weight = -2: out of range
            allowed: at least 0.0
        """,
    ),
    broken(
        "all weights zero",
        edited(TEACHERS, "teachers: [{model: sort-grpo, weight: 0}, {model: reverse-grpo, weight: 0}]"),
        """
        params.yaml:13: students.opd.teachers: all weights are 0: nothing is learnt from anyone
        """,
    ),
    broken(
        "domain that no teacher judges",
        edited(TEACHERS, "domains: [sort, reverse]\n    teachers: [sort-grpo]"),
        """
        params.yaml:13: students.opd.domains = 'reverse': no teacher with a weight above 0 judges this domain
            allowed: sort
        """,
    ),
    broken(
        "teacher whose domain is left out",
        edited(TEACHERS, f"domains: [sort]\n    {TEACHERS}"),
        """
        params.yaml:13: students.opd.domains = ['sort']: leaves out reverse, which a teacher judges
        """,
    ),
    broken(
        "teacher with another tokenizer",
        ("conf/base/far.yaml", "", "{type: folder, path: models/far, context: 64}\n"),
        edited("tiny: {base: toy}", "tiny: {base: toy}\n  far: {base: far}"),
        edited("[sort-grpo, {", "[{model: far, domain: sort}, {"),
        """
        params.yaml:14: students.opd.teachers[0] = 'far': goes back to the base far, whose tokenizer is not the student's
        """,
    ),
    broken(
        "circle",
        edited("opd:\n    base: tiny", "opd:\n    base: soup"),
        edited("soup: {base: tiny", "soup: {base: opd"),
        """
        params.yaml:14: students.soup.base = 'opd': the graph goes in a circle: opd → soup → opd
        """,
    ),
    broken(
        "circle by a budget",
        edited("opd:\n    base: tiny", "opd:\n    base: mixed"),
        """
        params.yaml:15: students.mixed.budget_of = 'opd': the graph goes in a circle: opd → mixed → opd
        """,
    ),
    broken(
        "model that starts from itself",
        edited("opd:\n    base: tiny", "opd:\n    base: opd"),
        """
        params.yaml:11: students.opd.base = 'opd': the graph goes in a circle: opd → opd
        """,
    ),
    broken(
        "illegal name",
        edited("soup: {base", "Soup_1: {base"),
        """
        params.yaml:14: students.Soup_1: not of the required form
            allowed: lower-case letters and digits, with single hyphens between them
        """,
    ),
    broken(
        "number for a name",
        edited("soup: {base", "7: {base"),
        """
        params.yaml:14: students[7]: wrong type: it is a whole number
            allowed: text
        """,
    ),
    broken(
        "name of two models",
        edited("soup: {base", "tiny: {base"),
        """
        params.yaml:14: students.tiny: the name is taken: bases.tiny (params.yaml:6)
        """,
    ),
    broken(
        "product that collides with a specialist",
        edited("products:", "specialists:\n  sort-grpo: {base: tiny, domain: sort, method: grpo}\nproducts:"),
        """
        params.yaml:10: products[0] = 'sort-grpo': the name is taken: specialists.sort-grpo (params.yaml:8)
        """,
    ),
    broken(
        "product of an option that is no name",
        ("conf/method/grpo_max.yaml", "", "defaults: [grpo]\n"),
        edited("methods: [grpo]", "methods: [grpo, grpo_max]"),
        """
        params.yaml:8: products[0] = 'sort-grpo_max': not a name for a model (lower-case letters, digits, hyphens): declare it under `specialists`
        params.yaml:8: products[0] = 'reverse-grpo_max': not a name for a model (lower-case letters, digits, hyphens): declare it under `specialists`
        """,
    ),
    broken(
        "student's method for specialists",
        edited("methods: [grpo]", "methods: [soup]"),
        """
        params.yaml:8: products[0].methods[0] = 'soup': a student's method, which makes no specialist
            allowed: grpo, grpo-gentle
            used by: specialist sort-soup, specialist reverse-soup
        """,
    ),
    broken(
        "specialist's method for a student",
        edited("method: soup", "method: grpo"),
        """
        params.yaml:14: students.soup.method = 'grpo': a specialist's method, which makes no student
            allowed: mixed, opd, soup
            used by: student soup
        """,
    ),
    broken(
        "mixed without a budget",
        edited(", budget_of: opd", ""),
        """
        params.yaml:15: students.mixed.budget_of: mixed RL needs the student with teachers whose cost it may spend
            allowed: opd, soup
        """,
    ),
    broken(
        "mixed at the cost of a specialist",
        edited("budget_of: opd", "budget_of: sort-grpo"),
        """
        params.yaml:15: students.mixed.budget_of = 'sort-grpo': mixed RL needs the student with teachers whose cost it may spend
            allowed: opd, soup
        """,
    ),
    broken(
        "mixed without domains",
        edited("method: mixed, domains: [sort, reverse]", "method: mixed"),
        """
        params.yaml:15: students.mixed.domains: mixed RL needs the domains that it trains on
        """,
    ),
    broken(
        "mixed with teachers",
        edited("budget_of: opd", "budget_of: opd, teachers: [sort-grpo]"),
        """
        params.yaml:15: students.mixed.teachers: mixed RL has no teachers: it takes `domains` and `budget_of`
        """,
    ),
    broken(
        "budget of a distillation",
        edited(TEACHERS, f"budget_of: soup\n    {TEACHERS}"),
        """
        params.yaml:13: students.opd.budget_of = 'soup': only mixed RL has a budget
        """,
    ),
    broken(
        "domains of a soup",
        edited("method: soup,", "method: soup, domains: [sort],"),
        """
        params.yaml:14: students.soup.domains = ['sort']: `soup` trains nothing and has nothing to choose here: it uses no domain
        """,
    ),
    broken(
        "domains of a merge with one scale",
        edited(
            "method: soup,", "method: soup, set: {method.type: task_arithmetic, method.scales: [0.5]}, domains: [sort],"
        ),
        """
        params.yaml:14: students.soup.domains = ['sort']: `task_arithmetic` trains nothing and has nothing to choose here: it uses no domain
        """,
    ),
    broken(
        "a choice on no domain",
        edited(SOUP, "soup: {base: tiny, method: soup, set: {method.type: greedy_soup}, teachers: [opd, mixed]}"),
        """
        params.yaml:14: students.soup.domains: `greedy_soup` needs domains to choose on: its teachers are specialists of none
        """,
    ),
    broken(
        "teacher of another architecture",
        edited("bases:\n", "bases:\n  wide: {base: toy, set: {base.architecture.width: 32}}\n"),
        edited("[sort-grpo, reverse-grpo]}", "[sort-grpo, wide]}"),
        """
        params.yaml:15: students.soup.teachers[1] = 'wide': goes back to the base wide, whose architecture is not the student's: their weights don't match
        """,
    ),
    broken(
        "a merge in which nobody has a weight",
        edited(SOUP, "soup: {base: tiny, method: soup, teachers: [{model: sort-grpo, weight: 0}]}"),
        """
        params.yaml:14: students.soup.teachers: all weights are 0: nothing is learnt from anyone
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)
