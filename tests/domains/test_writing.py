"""The verifier `writing`: each bound by hand, on both of its sides."""

from typing import Any

import pytest
from pydantic import ValidationError

from thicket.config.verifier import WritingVerifier
from thicket.domains import text_measures as measure
from thicket.domains.item import Item
from thicket.domains.verifiers.writing import verify

POEM = "The sea is grey.\nThe wind is cold.\n\nWe walk along the shore."
GREEK = "Η θάλασσα είναι γκρίζα."


def passes(text: str, **bounds: Any) -> bool:
    config = WritingVerifier.model_validate({"type": "writing", **bounds})
    return verify(config, text, Item("0" * 16, "?", "", 1))


@pytest.mark.parametrize(
    ("bounds", "good", "bad"),
    [
        ({"words": {"least": 13}}, POEM, "The sea is grey."),
        ({"words": {"most": 4}}, "The sea is grey.", POEM),
        ({"words": {"least": 4, "most": 4}}, "The sea is grey.", "The sea is very grey."),
        ({"sentences": {"least": 3, "most": 3}}, POEM, "One. Two."),
        ({"paragraphs": {"least": 2, "most": 2}}, POEM, POEM.replace("\n\n", "\n")),
        ({"paragraphs": {"most": 2}}, "a\n \t\n\nb", "a\n\nb\n\nc"),
        ({"required": ["sea", "walk along"]}, POEM, POEM.replace("sea", "seaside")),
        ({"required": ["SEA"]}, POEM, "seas"),
        ({"forbidden": ["sun", "wind"]}, "The sunny sea", POEM),
        ({"starts_with": "The sea"}, f"\n{POEM}", f"Well. {POEM}"),
        ({"ends_with": "shore."}, f"{POEM}\n", f"{POEM} Yes."),
        ({"alphabet": "LATIN"}, "Größe: 5 €, naïve!", "Gr\u00f6\u0441se"),  # a Cyrillic с
        ({"alphabet": "GREEK"}, GREEK, POEM),
        ({"alphabet": "LATIN", "alphabet_share": 0.5}, "ab αβ 12", "a αβ 12"),
        ({"alphabet": "CJK"}, "海洋 12", "うみ"),
        ({"ngram": 1, "distinct": 0.5}, "a a b B c d", "a a a B b b"),
        ({"ngram": 2, "distinct": 1.0}, "a b c a", "a b c a b"),
        ({"ngram": 4, "distinct": 1.0}, "a a a", "a a a a a"),
    ],
)
def test_bounds(bounds: dict[str, Any], good: str, bad: str) -> None:
    assert passes(good, **bounds)
    assert not passes(bad, **bounds)


def test_every_bound_has_to_hold() -> None:
    bounds = {"words": {"least": 3}, "forbidden": ["wind"], "ends_with": "."}
    assert passes("The sea is grey.", **bounds)
    for bad in ("The sea.", "The wind is cold.", "The sea is grey"):
        assert not passes(bad, **bounds)


def test_a_blank_text_keeps_within_no_bound() -> None:
    for text in ("", " \n", "\u3000"):
        assert not passes(text)
        assert not passes(text, words={"most": 5})
    assert passes("x")


def test_a_range_that_no_text_is_in_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"`least` .5. is above `most` .4.: no text passes"):
        passes("x", words={"least": 5, "most": 4})


def test_measures_by_hand() -> None:
    assert measure.paragraphs("") == 0
    assert measure.paragraphs("a\nb\n\n \n\nc") == 2
    assert measure.distinct_share("a b a b", 2) == 2 / 3  # a b, b a, a b
    assert measure.distinct_share("a", 2) == 1.0
    assert measure.script_share("a β 5", "LATIN") == 0.5
    assert measure.script_share("5 !", "LATIN") == 0.0
