"""Overlap: by hand, and where domains are the same or have nothing to do with each other."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from banks import planted, small_case

from thicket.analysis import discordance, overlap
from thicket.analysis.bank import REPLICATES, make_bank
from thicket.analysis.found import Found
from thicket.config.analysis import Discordance, Overlap
from thicket.reporting.pictures.overlap import picture
from thicket.statistics.ratios import ratio
from thicket.statistics.resamples import resamples


def value(found: Found, name: str, domain: str) -> float | None:
    (one,) = [one for one in found.statistics if (one.name, one.domain) == (name, domain)]
    assert one.unit == "perturbation"
    return ratio(one.amounts_U, one.weights_U)


def config(perturbations: int, margin: float = 0.0) -> Overlap:
    return Overlap(type="overlap", perturbations=perturbations, sigmas=[0.01], margin=margin)


def test_by_hand() -> None:
    """Good on a: 1, 2, 3 (a tie is not); on b: 0, 1; on c: none."""
    bank = planted({"a": [5, 6, 7, 8], "b": [9, 9, 2, 2], "c": [0, 0, 0, 0]}, 10, {"a": 5, "b": 8, "c": 1})
    found = overlap.of_bank(config(4), bank, 0)
    assert [value(found, "good@0.01", domain) for domain in "abc"] == [0.75, 0.5, 0.0]
    assert value(found, "joint@0.01", "a+b") == 0.25
    rows = {f"{row['domain_a']}+{row['domain_b']}": row for row in found.tables["overlap"]}
    assert list(rows) == ["a+b", "a+c", "b+c"]
    assert rows["a+b"]["product"] == pytest.approx(0.375)
    assert rows["a+b"]["lift"] == pytest.approx(2 / 3)
    assert (rows["a+c"]["joint"], rows["a+c"]["lift"]) == (0.0, None)
    assert found.figures["values"] == pytest.approx({"excess@0.01": -0.125 / 3, "lift@0.01": 2 / 3})


def test_the_margin_has_to_be_exceeded() -> None:
    bank = planted({"a": [56, 57, 58], "b": [58, 58, 58]}, 100, {"a": 50, "b": 50})
    assert value(overlap.of_bank(config(3, 0.07), bank, 0), "good@0.01", "a") == pytest.approx(1 / 3)


def test_a_domain_with_itself() -> None:
    column = [1, 7, 3, 9, 6, 2, 8, 4]
    found = overlap.of_bank(config(8), planted({"a": column, "b": column}, 10, {"a": 5, "b": 5}), 0)
    assert value(found, "joint@0.01", "a+b") == value(found, "good@0.01", "a") == 0.5
    assert found.tables["overlap"][0]["lift"] == pytest.approx(2.0)
    assert found.figures["values"]["excess@0.01"] == pytest.approx(0.25)


def test_independent_domains_have_no_excess() -> None:
    counts = np.random.default_rng(0).integers(0, 11, size=(3, 2000))
    bank = planted(
        {name: list(column) for name, column in zip("abc", counts, strict=True)}, 10, dict.fromkeys("abc", 5)
    )
    found = overlap.of_bank(config(2000), bank, 0)
    low, high = np.quantile(found.figures["replicates"]["excess@0.01"], [0.005, 0.995])
    assert low < 0 < high
    assert found.figures["values"]["lift@0.01"] == pytest.approx(1, abs=0.05)


def test_replicates_are_those_of_the_resampled_perturbations() -> None:
    counts = {"a": [6, 6, 1, 9, 2], "b": [9, 2, 2, 9, 9], "c": [9, 9, 2, 9, 2]}
    found = overlap.of_bank(config(5), planted(counts, 10, dict.fromkeys(counts, 5)), 3)
    replicates, pairs = found.figures["replicates"], [("a", "b"), ("a", "c"), ("b", "c")]
    assert len(replicates["lift@0.01"]) == len(replicates["excess@0.01"]) == REPLICATES
    for place, times_N in enumerate(resamples(5, REPLICATES, [3, overlap.BOOTSTRAP])[:20]):
        good = {name: np.repeat(np.array(column) > 5, times_N.astype(int)) for name, column in counts.items()}
        joint = sum(float((good[a] & good[b]).mean()) for a, b in pairs)
        product = sum(float(good[a].mean() * good[b].mean()) for a, b in pairs)
        assert replicates["excess@0.01"][place] == pytest.approx((joint - product) / 3)
        assert replicates["lift@0.01"][place] == (pytest.approx(joint / product) if product else None)


def test_it_has_the_discordances_bank_and_resamples(tmp_path: Path) -> None:
    case = small_case(tmp_path)
    asked = Overlap(type="overlap", perturbations=6, sigmas=[0.05])
    found = overlap.analyze(asked, case)
    files = set(case.scratch.iterdir())
    bank = make_bank(Discordance(type="discordance", perturbations=6, sigmas=[0.05]), case)
    assert set(case.scratch.iterdir()) == files
    assert value(found, "good@0.05", "b") == pytest.approx((bank.more_ND(0)[:, 1] > 0).mean())
    assert overlap.BOOTSTRAP == discordance.BOOTSTRAP
    with pytest.raises(ValueError, match="at least 2, not 1"):
        overlap.analyze(asked, replace(case, environments=case.environments[:1]))


def test_the_picture() -> None:
    bank = planted({"a": [5, 6, 7, 8], "b": [9, 9, 2, 2], "c": [0, 0, 0, 0]}, 10, {"a": 5, "b": 8, "c": 1})
    found = overlap.of_bank(config(4), bank, 0)
    rows = [{name: "" if one is None else str(one) for name, one in row.items()} for row in found.tables["overlap"]]
    shown = [{"name": "joint@0.01", "domain": "a+b", "value": 0.25, "low": 0.1, "high": 0.5}]
    (axes,) = picture({"statistics": shown}, {"overlap": rows}).axes
    product, joint = axes.lines
    assert np.asarray(product.get_xdata()).tolist() == pytest.approx([37.5, 0, 0])
    assert np.asarray(joint.get_xdata()).tolist() == pytest.approx([25, 0, 0])
    (interval,) = axes.collections
    assert np.asarray(interval.get_paths()[0].vertices)[:, 0].tolist() == pytest.approx([10, 50])
