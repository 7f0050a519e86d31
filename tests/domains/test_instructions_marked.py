"""Whole responses marked by hand, strictly and loosely: every kind has one that follows it and one that doesn't."""

from typing import Any, Literal

import pytest

from thicket.config.verifier import InstructionsVerifier
from thicket.domains.instructions import CHECKS
from thicket.domains.item import Item
from thicket.domains.verifiers.instructions import verify

Mark = Literal["strict", "loose", "no"]
"""Follows its instructions as it is; without its first or last line or its asterisks; not at all."""

TWO = "My cat sleeps all day.\n******\nMy cat is awake all night."
LIST = "You need:\n* flour\n* two eggs\n* milk"
PARTS = "The bridge is old.\n\n***\n\nIt has five arches."
PLAIN = "The sea was calm, and we sailed out at dawn. By noon the wind had turned."

MARKED: list[tuple[dict[str, dict[str, Any]], list[tuple[str, Mark]]]] = [
    (
        {"change_case:capital_word_frequency": {"capital_relation": "at least", "capital_frequency": 3}},
        [("NEVER swim ALONE, and NEVER at night.", "strict"), ("Never swim ALONE, and never at NIGHT.", "no")],
    ),
    (
        {"change_case:english_capital": {}},
        [("COME TO THE MARKET!", "strict"), ("Sure!\nCOME TO THE MARKET!", "loose"), (PLAIN, "no")],
    ),
    (
        {"change_case:english_lowercase": {}},
        [("come to the market.", "strict"), ("come to the market.\nHope it helps!", "loose"), (PLAIN, "no")],
    ),
    (
        {"combination:repeat_prompt": {"prompt_to_repeat": "Why is the sky blue?"}},
        [
            ("Why is the sky blue? Because blue light is scattered most.", "strict"),
            ("Here you are:\nWhy is the sky blue? Because of scattering.", "loose"),
            ("Because of scattering. Why is the sky blue?", "no"),
        ],
    ),
    (
        {"combination:two_responses": {}},
        [(TWO, "strict"), (TWO.replace("******", "---"), "no"), (f"{TWO}\n******\nC", "loose")],
    ),
    (
        {"detectable_content:number_placeholders": {"num_placeholders": 2}},
        [("Dear [name], we meet at [place].", "strict"), ("Dear [name], we meet at noon.", "no")],
    ),
    (
        {"detectable_content:postscript": {"postscript_marker": "P.S."}},
        [("See you soon!\n\nP.S. Bring a coat.", "strict"), ("See you soon! PS: Bring a coat.", "no")],
    ),
    (
        {"detectable_format:constrained_response": {}},
        [("My answer is no.", "strict"), ("No.", "no"), ("My *answer* is no.", "loose")],
    ),
    (
        {"detectable_format:json_format": {}},
        [
            ('{"name": "Ann", "age": 7}', "strict"),
            ('```json\n{"name": "Ann"}\n```', "strict"),
            ('Here is the JSON:\n{"name": "Ann"}', "loose"),
            ("name: Ann", "no"),
        ],
    ),
    (
        {"detectable_format:multiple_sections": {"section_spliter": "SECTION", "num_sections": 2}},
        [("SECTION 1\nThe oak.\n\nSECTION 2\nThe elm.", "strict"), ("SECTION 1\nThe oak and the elm.", "no")],
    ),
    (
        {"detectable_format:number_bullet_lists": {"num_bullets": 3}},
        [(LIST, "strict"), (LIST + "\n* sugar", "loose"), (LIST + "\n* sugar\n* salt", "no")],
    ),
    (
        {"detectable_format:number_highlighted_sections": {"num_highlights": 2}},
        [("The *oldest* tree is a **pine**.", "strict"), ("The *oldest* tree is a pine.", "no")],
    ),
    (
        {"detectable_format:title": {}},
        [("<<Rain>>\n\nIt falls on the roof.", "strict"), ("# Rain\n\nIt falls on the roof.", "no")],
    ),
    (
        {"keywords:existence": {"keywords": ["wind", "dawn"]}},
        [(PLAIN, "strict"), (PLAIN.replace("dawn", "six"), "no")],
    ),
    (
        {"keywords:forbidden_words": {"forbidden_words": ["boat", "sun"]}},
        [
            (PLAIN + " It was Sunday.", "strict"),
            (PLAIN + " The sun shone.", "no"),
            (f"{PLAIN}\nThe sun shone.", "loose"),
        ],
    ),
    (
        {"keywords:frequency": {"relation": "at least", "keyword": "wind", "frequency": 2}},
        [(f"{PLAIN} Wind and waves!", "strict"), (PLAIN, "no")],
    ),
    (
        {"keywords:letter_frequency": {"let_relation": "less than", "letter": "w", "let_frequency": 4}},
        [("The willow was old.", "strict"), (PLAIN, "no"), ("We will wait.\nNo word.", "loose")],
    ),
    (
        {
            "length_constraints:nth_paragraph_first_word": {
                "num_paragraphs": 2,
                "nth_paragraph": 2,
                "first_word": "later",
            }
        },
        [
            ("We ate.\n\nLater, we slept.", "strict"),
            ("Later, we ate.\n\nWe slept.", "no"),
            ("We ate. Later, we slept.", "no"),
        ],
    ),
    (
        {"length_constraints:number_paragraphs": {"num_paragraphs": 2}},
        [(PARTS, "strict"), (PARTS.replace("***", "###"), "no")],
    ),
    (
        {"length_constraints:number_sentences": {"relation": "less than", "num_sentences": 3}},
        [(PLAIN, "strict"), (f"{PLAIN} We came home.", "no"), (f"{PLAIN}\nWe came home.", "loose")],
    ),
    (
        {"length_constraints:number_words": {"relation": "at least", "num_words": 16}},
        [(PLAIN, "strict"), ("We sailed out at dawn, and were back by noon.", "no")],
    ),
    (
        {"punctuation:no_comma": {}},
        [("We sailed at dawn.", "strict"), (PLAIN, "no"), ("Sure, here:\nWe sailed.", "loose")],
    ),
    (
        {"startend:end_checker": {"end_phrase": "Is there anything else?"}},
        [
            (f"{PLAIN}\nIs there anything else?", "strict"),
            (f"{PLAIN}\nIs there anything else?\nBest, Tom", "loose"),
            (f"Is there anything else? {PLAIN}", "no"),
        ],
    ),
    (
        {"startend:quotation": {}},
        [(f'"{PLAIN}"', "strict"), (PLAIN, "no"), (f'Certainly:\n"{PLAIN}"', "loose"), (f'*"{PLAIN}"*', "loose")],
    ),
    (
        {"punctuation:no_comma": {}, "detectable_format:title": {}, "startend:end_checker": {"end_phrase": "The end."}},
        [
            ("<<Dawn>>\nWe sailed out. The end.", "strict"),
            ("<<Dawn, early>>\nWe sailed, at last. The end.", "no"),
            ("Well, here it is:\n<<Dawn>>\nWe sailed out. The end.", "loose"),
            # Loosely each instruction may have a variant of its own: this one lacks its title where it has no comma.
            ("Well, <<Dawn>>\nWe sailed out. The end.", "loose"),
        ],
    ),
]
CASES = [(rules, response, mark) for rules, responses in MARKED for response, mark in responses]


def follows_all(rules: dict[str, dict[str, Any]], response: str, mode: Literal["strict", "loose"]) -> bool:
    instructions = [{"kind": kind, "arguments": arguments} for kind, arguments in rules.items()]
    item = Item("0" * 16, "?", "", 1, {"instructions": instructions})
    return verify(InstructionsVerifier(type="instructions", mode=mode), response, item)


@pytest.mark.parametrize(("rules", "response", "mark"), CASES)
def test_marks(rules: dict[str, dict[str, Any]], response: str, mark: Mark) -> None:
    assert follows_all(rules, response, "strict") is (mark == "strict")
    assert follows_all(rules, response, "loose") is (mark != "no")


def test_every_kind_has_a_response_that_follows_it_and_one_that_does_not() -> None:
    single = [
        (kind, {mark for _, mark in responses}) for rules, responses in MARKED if len(rules) == 1 for kind in rules
    ]
    assert {kind for kind, marks in single if {"strict", "no"} <= marks} == set(CHECKS)
