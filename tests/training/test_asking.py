"""How a batch's prompts are dealt to domains."""

from thicket.training.asking import in_sequence, in_turn


def test_dealt_in_turn_nobody_is_left_out() -> None:
    """Batches of five to three arenas: 0 1 2 0 1 | 2 0 1 2 0 | 1 2 0 1 2."""
    before = [0, 0, 0]
    seen: list[list[int]] = [[], [], []]
    for shares in ([2, 2, 1], [2, 1, 2], [1, 2, 2]):
        dealt = in_turn(5, before)
        assert [len(places) for places in dealt] == shares
        for arena, places in enumerate(dealt):
            seen[arena] += places
            before[arena] += len(places)
    assert seen == [list(range(5))] * 3


def test_in_sequence_each_has_its_share_of_the_run() -> None:
    dealt = [in_sequence(4, [7, 3], share) for share in (0.0, 0.49, 0.5, 0.99, 1.2)]
    first, second = [range(7, 11), range(3, 3)], [range(7, 7), range(3, 7)]
    assert dealt == [first, first, second, second, second]
