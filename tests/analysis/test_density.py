"""Density: by hand on a planted bank, and on a small model."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from banks import planted, small_case
from matplotlib.backends.backend_agg import FigureCanvasAgg

from thicket.analysis import density
from thicket.analysis.bank import make_bank
from thicket.analysis.found import Found
from thicket.config.analysis import Density
from thicket.reporting.pictures.density import picture
from thicket.reporting.svg import STYLE
from thicket.statistics.ratios import ratio


def value(found: Found, name: str, domain: str) -> float | None:
    (one,) = [one for one in found.statistics if (one.name, one.domain) == (name, domain)]
    return ratio(one.amounts_U, one.weights_U)


def test_by_hand() -> None:
    """Of 20 items the model answers 10: a margin of 0.05 is one item, and ties count for ≥ alone."""
    bank = planted({"a": [9, 10, 10, 11, 12], "b": [20, 20, 20, 20, 0]}, 20, {"a": 10, "b": 20})
    config = Density(type="density", perturbations=5, sigmas=[0.01], margins=[0.0, 0.05])
    found = density.of_bank(config, bank)
    expected = {"ge_0": 0.8, "gt_0": 0.4, "ge_0.05": 0.4, "gt_0.05": 0.2}
    for name, share in expected.items():
        assert value(found, f"density_{name}@0.01", "a") == pytest.approx(share)
    assert value(found, "mean_change@0.01", "a") == pytest.approx(2 / 20 / 5)
    assert value(found, "own_score", "a") == 0.5
    assert [value(found, f"density_{sign}_0@0.01", "b") for sign in ("ge", "gt")] == [0.8, 0.0]
    row = {"sigma": 0.01, "domain": "a", "margin": 0.05, "at_least": 0.4, "above": 0.2, "mean_change": 0.02}
    assert found.tables["density"][1] == pytest.approx(row)
    units = {one.name: (one.unit, len(one.amounts_U)) for one in found.statistics}
    assert units["own_score"] == ("item", 20)
    assert units["density_gt_0@0.01"] == ("perturbation", 5)


def test_a_margin_of_whole_items_is_reached() -> None:
    """0.07 · 100 is 7.000000000000001 in floating point."""
    config = Density(type="density", perturbations=2, sigmas=[0.01], margins=[0.07])
    found = density.of_bank(config, planted({"a": [57, 56]}, 100, {"a": 50}))
    assert value(found, "density_ge_0.07@0.01", "a") == 0.5
    assert value(found, "density_gt_0.07@0.01", "a") == 0.0


def test_steps_too_small_to_change_a_weight_only_tie(tmp_path: Path) -> None:
    config = Density(type="density", perturbations=3, sigmas=[1e-12], margins=[0.0])
    found = density.analyze(config, small_case(tmp_path))
    for domain in ("file", "b"):
        assert value(found, "density_ge_0@1e-12", domain) == 1.0
        assert value(found, "density_gt_0@1e-12", domain) == 0.0
        assert value(found, "mean_change@1e-12", domain) == 0.0
    assert set(found.tables) == {"density"}


def test_the_plane_goes_through_the_model_and_its_first_two_perturbations(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    case = small_case(tmp_path, told)
    config = Density(type="density", perturbations=2, sigmas=[0.05, 0.02], slice=3, slice_reach=1.0)
    found = density.analyze(config, case)
    bank = make_bank(config, case)
    rows = {(row["x"], row["y"], row["domain"]): row["score"] for row in found.tables["slice"]}
    assert len(rows) == 2 * 9
    for domain, items in (("file", 12), ("b", 9)):
        assert rows[0.0, 0.0, domain] == pytest.approx(bank.own[domain].mean())
        assert rows[1.0, 0.0, domain] == pytest.approx(bank.correct[domain][0, 0].sum() / items)
        assert rows[0.0, 1.0, domain] == pytest.approx(bank.correct[domain][0, 1].sum() / items)
    assert len(set(rows.values())) > 3
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("plane", [True, False])
def test_the_picture(plane: bool) -> None:
    config = Density(type="density", perturbations=5, sigmas=[0.01])
    bank = planted({"a": [9, 10, 10, 11, 12], "b": [20, 20, 20, 20, 0]}, 20, {"a": 10, "b": 20})
    found = density.of_bank(config, bank)
    tables = {"density": [{name: str(one) for name, one in row.items()} for row in found.tables["density"]]}
    if plane:
        corners = [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
        tables["slice"] = [
            {"x": str(x), "y": str(y), "domain": name, "score": "0.5"} for x, y in corners for name in "ab"
        ]
    shown = [{"name": "density_gt_0@0.01", "domain": "a", "value": 0.4, "low": 0.1, "high": 0.8}]
    figure = picture({"statistics": shown}, tables)
    # A panel a margin; a plane a domain, and their scale.
    assert len(figure.axes) == 2 + (3 if plane else 0)
    (interval,) = figure.axes[0].collections
    assert np.asarray(interval.get_paths()[0].vertices)[:, 1].tolist() == pytest.approx([10, 80])
    drawn = [float(np.asarray(line.get_ydata())[0]) for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert drawn == pytest.approx([80, 40, 80, 0])


def test_the_legend_is_no_wider_than_the_picture() -> None:
    names = [f"{letter}-domain-of-a-name" for letter in "abcde"]
    bank = planted({name: [9, 10, 11] for name in names}, 20, dict.fromkeys(names, 10))
    found = density.of_bank(Density(type="density", perturbations=3, sigmas=[0.01]), bank)
    rows = [{name: str(one) for name, one in row.items()} for row in found.tables["density"]]
    with matplotlib.rc_context(STYLE):
        figure = picture({"statistics": []}, {"density": rows})
        FigureCanvasAgg(figure).draw()
        (legend,) = figure.legends
        assert legend.get_window_extent().x1 <= figure.bbox.x1
