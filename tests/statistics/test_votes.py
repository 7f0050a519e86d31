"""Who wins a vote, by hand."""

import pytest

from thicket.statistics.votes import elected


@pytest.mark.parametrize(
    ("answers", "place"),
    [
        (["7"], 0),
        (["3", "5", "5"], 1),
        (["5", "3", "3", "5", "5"], 0),
        # Two each: the highest-ranked voter's answer wins, though the other was complete first.
        (["4", "9", "9", "4"], 0),
        # Two each, and the highest-ranked voter has an answer of its own.
        (["1", "9", "4", "4", "9"], 1),
        (["2", "1", "3"], 0),
        # Empty answers are no votes, however many.
        ([None, "", None, "6", ""], 3),
        (["", "8", "6", None, "6"], 2),
        ([None, "", None], None),
        ([], None),
        # Text, not numbers: what is equal is the verifier's business.
        (["1.0", "1", "1"], 1),
    ],
)
def test_the_winner_by_hand(answers: list[str | None], place: int | None) -> None:
    assert elected(answers) == place


def test_lower_ranks_only_count_by_their_number() -> None:
    """Reordering the voters behind the first does not change the winner where there is no tie."""
    assert [elected(["a", *rest]) for rest in (["b", "b", "c"], ["b", "c", "b"], ["c", "b", "b"])] == [1, 1, 2]
