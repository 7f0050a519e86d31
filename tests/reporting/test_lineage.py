"""Where the boxes and edges of the lineage stand."""

import re

from reporting_run import base, specialist, student

from thicket.reporting.lineage import BOX_HEIGHT, lineage

CROSSING = r"([\d.]+) ([\d.]+)h[\d.]+"
"""Left end and height of the piece of an edge that crosses a column."""
MODELS = [
    base("tiny"),
    specialist("sort-grpo", "tiny", "sort"),
    specialist("odd-grpo", "tiny", "odd"),
    student("opd", "tiny", ["sort-grpo", "odd-grpo"]),
    specialist("sort-again", "opd", "sort"),
    student("second", "opd", ["sort-again", "odd-grpo"]),
]


def boxes(text: str) -> dict[str, tuple[float, float]]:
    """Left and top of each model's box."""
    found = re.findall(r'#model-([^"]*)"><g class="\w+" transform="translate\(([\d.]+) ([\d.]+)\)', text)
    return {name: (float(x), float(y)) for name, x, y in found}


def test_every_model_stands_to_the_right_of_what_it_was_made_from() -> None:
    left = {name: x for name, (x, _) in boxes(lineage(MODELS)).items()}
    assert left["tiny"] < left["sort-grpo"] == left["odd-grpo"] < left["opd"] < left["sort-again"] < left["second"]


def test_an_edge_a_parent_with_its_kind() -> None:
    text = lineage(MODELS)
    assert text.count('<path class="start"') == 5
    assert text.count('<path class="teacher"') == 4


def test_edges_go_around_the_boxes_of_columns_that_they_cross() -> None:
    text = lineage(MODELS)
    places = boxes(text)
    crossings = re.findall(CROSSING, text)
    # opd's start; second's start past sort-again; odd-grpo past opd and sort-again.
    assert len(crossings) == 4
    for x, y in crossings:
        beside = [top for left, top in places.values() if left == float(x)]
        assert beside
        assert all(not top <= float(y) <= top + BOX_HEIGHT for top in beside)


def test_boxes_do_not_overlap() -> None:
    places = list(boxes(lineage(MODELS)).values())
    for one in range(len(places)):
        for two in range(one):
            assert places[one][0] != places[two][0] or abs(places[one][1] - places[two][1]) > BOX_HEIGHT


def test_columns_that_no_model_needs_are_left_out() -> None:
    text = lineage([base("tiny"), student("mixed", "tiny", [])])
    assert text.count("<path") == 1
    assert not re.search(CROSSING, text)
