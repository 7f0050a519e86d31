"""Every kind of verifiable instruction, by hand; and the grammar that asks for them."""

import random
import time
from itertools import islice
from typing import Any

import pytest

from thicket.config.source import IfevalSource
from thicket.domains import text_measures as measure
from thicket.domains.instructions import CHECKS, follows, require_arguments
from thicket.domains.registry import raw_items
from thicket.domains.requests import WORDINGS, draw_request

AT_LEAST = {"relation": "at least"}
LESS = {"relation": "less than"}
FIRST = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "River"}
TABLE: dict[str, list[tuple[dict[str, Any], list[str], list[str]]]] = {
    "change_case:capital_word_frequency": [
        (
            {"capital_relation": "at least", "capital_frequency": 2},
            ["YES I do", "COVID-19 and DON'T"],
            ["YES, it is", "U.S. only", "Yes No"],
        ),
        ({"capital_relation": "less than", "capital_frequency": 2}, ["Yes"], ["A B"]),
    ],
    "change_case:english_capital": [({}, ["ALL OF IT, 5!"], ["ALL OF iT", "123"])],
    "change_case:english_lowercase": [({}, ["all of it, 5!"], ["All of it", "123"])],
    "combination:repeat_prompt": [
        ({"prompt_to_repeat": "Write a poem."}, ["write a poem. Roses", " Write a poem."], ["Sure: Write a poem."])
    ],
    "combination:two_responses": [
        ({}, ["a\n******\nb", "******a******b"], ["a", "a******a", "a******b******c", "a***b", "a************b"])
    ],
    "detectable_content:number_placeholders": [
        ({"num_placeholders": 2}, ["[a] and [b c]", "[[a]] [b [c]"], ["[a] b]", "[a\n] [b]"])
    ],
    "detectable_content:postscript": [
        ({"postscript_marker": "P.S."}, ["Bye. P.S. Hi", "p. s. hi"], ["PS: hi", "P.S hi"]),
        ({"postscript_marker": "P.P.S"}, ["P.P.S. Hi", "p. p. s hi"], ["P.S. hi"]),
    ],
    "detectable_format:constrained_response": [
        ({}, ["My answer is yes.", "Well. My answer is maybe."], ["my answer is yes.", "My answer is yes"])
    ],
    "detectable_format:json_format": [
        ({}, ['{"a": [1]}', '```json\n{"a": 1}\n```', "```JSON\n[]```", "12"], ["{a: 1}", "Here: {}", "```\n{\n```"])
    ],
    "detectable_format:multiple_sections": [
        (
            {"section_spliter": "PART", "num_sections": 2},
            ["PART 1\na\nPART 2\nb", "PART1 PART\n2 PART 3"],
            ["PART 1", "Part 1 Part 2", "PART one PART two"],
        )
    ],
    "detectable_format:number_bullet_lists": [
        ({"num_bullets": 2}, ["* a\n* b", "Look:\n - a\n\n-b"], ["* a", "* a\n* b\n- c", "** a\n** b", "*\n*"])
    ],
    "detectable_format:number_highlighted_sections": [
        ({"num_highlights": 2}, ["*a* and *b c*", "**a** then *b*"], ["*a*", "* * and **", "*a\nb* *c*"])
    ],
    "detectable_format:title": [({}, ["<<A>>\nb", "x <<a b>> y"], ["<<>>", "<< >>", "<a>", "<<a\nb>>", ">>a<<"])],
    "keywords:existence": [
        ({"keywords": ["sea", "Blue moon"]}, ["Seaside, BLUE MOON"], ["sea", "blue  moon at sea"]),
        ({"keywords": ["c++ (.*)"]}, ["C++ (.*)"], ["c+ "]),
    ],
    "keywords:forbidden_words": [
        ({"forbidden_words": ["sea", "c++"]}, ["seaside", "cc++x"], ["The Sea.", "use c++!", "sea-side"])
    ],
    "keywords:frequency": [
        ({**AT_LEAST, "keyword": "ha", "frequency": 3}, ["Ha, hahA"], ["ha ha"]),
        ({**LESS, "keyword": "ha", "frequency": 3}, ["ha ha"], ["ha ha shall"]),
    ],
    "keywords:letter_frequency": [
        ({"let_relation": "at least", "letter": "E", "let_frequency": 2}, ["eE"], ["e"]),
        ({"let_relation": "less than", "letter": "#", "let_frequency": 2}, ["#"], ["##"]),
    ],
    "length_constraints:nth_paragraph_first_word": [
        (
            FIRST,
            ["One.\n\nRiver, run", 'a\n\n\n\n"river" b'],
            ["One\nRiver", "a\n\nrivers", "River\n\na", "a\n\nriver\n\nb"],
        )
    ],
    "length_constraints:number_paragraphs": [
        ({"num_paragraphs": 2}, ["a\n***\nb", "***a *** b***"], ["a", "a\n\nb", "a*** ***b", "a***b***c"])
    ],
    "length_constraints:number_sentences": [
        ({**AT_LEAST, "num_sentences": 2}, ["One. Two", 'He said "No." Yes'], ["Dr. Smith, e.g. this", "3.5 is it"]),
        ({**LESS, "num_sentences": 2}, ["Only one!", "no stop at all"], ["Really?! Yes."]),
    ],
    "length_constraints:number_words": [
        ({**AT_LEAST, "num_words": 3}, ["one two-three", "1 2 3"], ["one two", "... !!! ???"]),
        ({**LESS, "num_words": 3}, ["one two"], ["one two three"]),
    ],
    "punctuation:no_comma": [({}, ["no; comma"], ["a, b"])],
    "startend:end_checker": [
        ({"end_phrase": "See you. "}, ["Well, see you.", '"See you."\n'], ["See you. Bye", "See you"])
    ],
    "startend:quotation": [({}, ['"a"', '\n "a" and "b" '], ['"', '"a', "“a”", "'a'"])],
}
CASES = [(kind, *case) for kind, cases in TABLE.items() for case in cases]


def test_every_kind_is_checked_and_can_be_asked_for() -> None:
    assert set(TABLE) == set(CHECKS) == set(WORDINGS)
    assert len(CHECKS) == 24  # of IFEval's 25


@pytest.mark.parametrize(("kind", "arguments", "good", "bad"), CASES)
def test_by_hand(kind: str, arguments: dict[str, Any], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not follows(text, kind, arguments, loose=False)] == []
    assert [text for text in bad if follows(text, kind, arguments, loose=False)] == []
    assert [text for text in good if not follows(text, kind, arguments, loose=True)] == []


@pytest.mark.parametrize(("kind", "arguments", "good", "bad"), CASES)
@pytest.mark.parametrize("response", ["", " \n\t"])
def test_a_blank_response_follows_nothing(kind: str, arguments: dict, good: list, bad: list, response: str) -> None:
    assert not follows(response, kind, arguments, loose=False)
    assert not follows(response, kind, arguments, loose=True)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("no stop", 1),
        ("One. Two! Three?", 3),
        ("One. and a rest", 2),
        ("(He ran.) Then “so.” And", 3),
        ("Mr. J. Smith vs. Mrs. Jones", 1),
        ("1. Mix. 2. Stir.", 4),
        ("It costs 1.50 at a.com", 1),
    ],
)
def test_sentences(text: str, count: int) -> None:
    assert measure.sentences(text) == count


@pytest.mark.parametrize(
    "response",
    [
        "Sure!\nno capitals here",
        "no capitals here\nHope that helps!",
        "Sure!\nno capitals here\nHope that helps!",
    ],
)
def test_loose_forgives_the_first_and_the_last_line(response: str) -> None:
    assert not follows(response, "change_case:english_lowercase", {}, loose=False)
    assert follows(response, "change_case:english_lowercase", {}, loose=True)


def test_loose_forgives_asterisks_but_no_middle_line() -> None:
    assert follows("**My answer is yes**.", "detectable_format:constrained_response", {}, loose=True)
    assert not follows("a\nB\nC\nd", "change_case:english_lowercase", {}, loose=True)


ENDLESS = [
    "a" * 100_000,
    "\n" * 99_999 + "a",
    "* \n" * 33_000,
    "[" * 100_000,
    "<<" * 25_000 + ">>" * 25_000,
    '"' * 100_000,
    '.""' * 33_000 + "x",
    "p. " * 33_000,
    "PART" + " " * 100_000,
    "A-" * 50_000,
    "7" * 5_000,
]


@pytest.mark.parametrize(("kind", "arguments", "good", "bad"), CASES)
def test_long_responses_take_linear_time(kind: str, arguments: dict, good: list, bad: list) -> None:
    started = time.process_time()
    for text in ENDLESS:
        follows(text, kind, arguments, loose=True)
    assert time.process_time() - started < 5  # about 0.3 s; a quadratic check takes minutes


# -- the grammar -------------------------------------------------------------------------------------------------------


def test_a_request_says_what_is_checked() -> None:
    rng = random.Random(0)
    for kind in WORDINGS:
        for _ in range(20):
            prompt, ((drawn, arguments),) = draw_request(rng, [kind], 1)
            assert drawn == kind
            require_arguments(kind, arguments, "here")
            values = [v for value in arguments.values() for v in (value if isinstance(value, list) else [value])]
            missing = [value for value in values if str(value) not in prompt and value not in ("less than", 1)]
            assert missing == [], prompt


def test_instructions_of_one_prompt_are_about_different_things() -> None:
    rng = random.Random(0)
    for _ in range(500):
        _, instructions = draw_request(rng, list(WORDINGS), 3)
        aspects = [aspect for kind, _ in instructions for aspect in WORDINGS[kind].aspects]
        assert len(aspects) == len(set(aspects))
        assert 1 <= len(instructions) <= 3


def test_every_kind_comes_up_and_the_level_is_the_number_of_instructions() -> None:
    items = list(islice(raw_items(IfevalSource(type="ifeval", levels=[1, 3]), 0), 1000))
    assert {item.level for item in items} == {1, 3}  # 1 too where a kind that stands alone was drawn for 3
    assert all(item.level == len(item.reference["instructions"]) for item in items)
    assert {one["kind"] for item in items for one in item.reference["instructions"]} == set(CHECKS)
    assert {item.answer for item in items} == {""}
    assert {item.level for item in islice(raw_items(IfevalSource(type="ifeval"), 0), 50)} == {1}


def test_made_prompts_are_fixed_by_the_seed() -> None:
    """A question seen once: a changed grammar makes other items, and that has to be on purpose."""
    source = IfevalSource(type="ifeval", kinds=["punctuation:no_comma"])
    first = next(raw_items(source, 0))
    assert first == next(raw_items(source, 0))
    assert first.question == "Give some advice about playing the piano. Use no commas."
    assert len({next(raw_items(source, seed)).question for seed in range(8)}) > 4


def test_an_unknown_kind() -> None:
    with pytest.raises(
        ValueError, match=r"domain\.source\.kinds: .*'keyword:existence'.*did you mean: keywords:existence"
    ):
        next(raw_items(IfevalSource(type="ifeval", kinds=["keyword:existence"]), 0))


def test_files_have_their_own_levels() -> None:
    with pytest.raises(ValueError, match="`levels` is about made prompts"):
        IfevalSource(type="ifeval", data_files="a.jsonl", levels=[1])
