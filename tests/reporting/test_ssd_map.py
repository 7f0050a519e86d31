"""The map of self-distillation: what stands in its cells, and what the colours compare."""

import re
import xml.etree.ElementTree as ET

import pytest

from thicket.reporting.ssd_map import STRONGEST, SsdMap, ssd_map
from thicket.statistics.intervals import Interval


def interval(value: float) -> Interval:
    return Interval(value, value - 0.05, value + 0.05)


MAP = SsdMap(
    domain="sort",
    base="tiny",
    cut="top-k 3",
    asked=[0.6, 1.0],
    start=[interval(0.5), interval(0.4)],
    trained={1.6: [interval(0.3), interval(0.6)], 0.8: [interval(0.5), None]},
)


def texts(svg: str) -> list[str]:
    return [
        text for element in ET.fromstring(svg).iter() if element.tag.endswith("text") for text in element.itertext()
    ]


def fills(svg: str) -> list[tuple[str, float]]:
    """Colour and opacity of the cells, in the order in which they were drawn."""
    found = re.findall(r'style="fill: var\(--([a-z0-9-]+)\); opacity: ([0-9.]+)"', svg)
    return [(role, float(opacity)) for role, opacity in found]


def test_every_measured_cell_shows_its_score_and_interval() -> None:
    shown = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts(ssd_map(MAP, "map"))]
    values = ["50.0", "40.0", "50.0", "30.0", "60.0"]
    assert [text for text in shown if re.fullmatch(r"\d+\.\d", text) and float(text) > 2] == values
    assert [text for text in shown if text.startswith("[")] == [
        f"[{float(value) - 5:.1f}, {float(value) + 5:.1f}]" for value in values
    ]
    assert [text for text in shown if text in ("start", "0.8", "1.6")] == ["start", "0.8", "1.6"], "rows, lowest first"
    assert {"0.6", "1", "T of the answers", "T of the samples"} <= set(shown)


def test_colours_are_against_the_start_at_its_best_temperature() -> None:
    """Reference 0.5; the largest difference is 0.2. A score of 0.5 has no colour, and none is drawn."""
    assert MAP.reference == 0.5
    half = STRONGEST / 2
    found = [fill for fill in fills(ssd_map(MAP, "map")) if fill[1] > 0]
    assert found == [("series-2", half), ("series-2", STRONGEST), ("specialist", half)]


def test_maps_side_by_side_share_their_colours() -> None:
    """Of the 0.4 that another map spans, this one's largest difference is half."""
    assert MAP.largest == pytest.approx(0.2)
    assert max(opacity for _, opacity in fills(ssd_map(MAP, "map", 0.4))) == STRONGEST / 2


def test_equal_scores_have_no_colour() -> None:
    flat = SsdMap("sort", "tiny", "top-k 3", [1.0], [interval(0.5)], {1.0: [interval(0.5)]})
    assert all(opacity == 0 for _, opacity in fills(ssd_map(flat, "map")))


def test_without_a_score_of_the_start_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(ValueError, match="the map of sort has no score of the model that was not trained"):
        ssd_map(SsdMap("sort", "tiny", "top-k 3", [1.0], [None], {1.0: [interval(0.5)]}), "map")


def test_equal_maps_give_equal_text_and_names_keep_ids_apart() -> None:
    first, again, other = ssd_map(MAP, "a"), ssd_map(MAP, "a"), ssd_map(MAP, "b")
    assert first == again
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (first, other)]
    assert ids[0]
    assert not ids[0] & ids[1]
