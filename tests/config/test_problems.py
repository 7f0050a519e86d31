"""How problems are told: no list is endless, and what was typed is not looked for in files."""

import pytest

from thicket.config.problems import SHOWN_ALLOWED, SHOWN_USERS, Problem, counted

FILE, TYPED = Problem("params.yaml:3", "seed", "x", "wrong"), Problem("command line", "model", "'x'", "wrong")
OVER = Problem("override 'seed=x'", "seed", "x", "wrong")


def test_the_first_of_many_that_are_allowed() -> None:
    names = [f"model-{number}" for number in range(SHOWN_ALLOWED + 2)]
    allowed = Problem("params.yaml:3", "base", "x", "wrong", ", ".join(names[:-2]))
    assert str(allowed).endswith(f"    allowed: {', '.join(names[:-2])}")
    more = Problem("params.yaml:3", "base", "x", "wrong", ", ".join(names))
    assert str(more) == f"{allowed} and 2 more"


def test_the_first_of_many_users() -> None:
    users = tuple("abcdefg")[: SHOWN_USERS + 1]
    assert str(Problem("params.yaml:3", "", "", "wrong", users=users)).endswith("used by: a, b, c, d and 1 more")


@pytest.mark.parametrize(
    ("problems", "words"),
    [
        ([FILE], "1 problem in the configuration."),
        ([TYPED], ""),
        ([TYPED, OVER], "2 problems on the command line."),
        ([TYPED, FILE], "2 problems in the configuration."),
    ],
)
def test_where_to_look(problems: list[Problem], words: str) -> None:
    assert counted(problems) == words
