"""Samples in the page: what is known of them, and nothing else."""

import re

from thicket.config.shown import DEMONSTRATION, Shown
from thicket.reporting.samples import of_model


def heads(*shown: Shown) -> list[str]:
    return re.findall(r'<th scope="col">([^<]*)</th>', of_model("sort", shown))


def cells(*shown: Shown) -> list[list[str]]:
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", of_model("sort", shown), re.DOTALL)
    return [[re.sub(r"<[^>]*>", "|", cell).strip("|") for cell in row.split("</td><td>")] for row in rows]


def test_columns_of_which_nothing_is_known_are_left_out() -> None:
    assert heads(Shown(1, "sort", "a", "b", None, 2, DEMONSTRATION)) == [
        "step",
        "prompt",
        "response",
        "tokens",
        "domain",
    ]
    of_reward = Shown(1, "sort", "a", "b", 0.5, 2, None, True)
    of_teacher = Shown(1, "sort", "a", "b", None, 2, "sort-grpo", None, 0.25)
    assert heads(of_reward)[3:5] == ["reward", "right"]
    assert heads(of_teacher)[3:] == ["nats from teachers", "tokens", "domain"]
    assert cells(of_reward, of_teacher) == [
        ["1", "a", "b", "0.5", "yes", "—", "2", "sort"],
        ["1", "a", "b||by sort-grpo", "—", "—", "0.25", "2", "sort"],
    ]


def test_the_end_of_a_text_is_seen() -> None:
    ((_, _, response, *_),) = cells(Shown(1, "sort", "a", "b\nc\n", None, 2, DEMONSTRATION))
    assert response == "b\nc↵||demonstration"
