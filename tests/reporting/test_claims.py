"""The table of claims, from made-up runs: verdicts by seeds and effects, rows without a measurement, the page."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from claims_run import ITEMS, USUAL, add_analysis, consolidated, counts, row_of
from matplotlib.patches import Rectangle
from reporting_run import Correct, base, specialist, student, write_run

from thicket.config.stages import ClaimsStage, ReportedAnalysis
from thicket.reporting.claims.claim import Measured, Row, judge
from thicket.reporting.claims.critical import CLAIMS as CRITICAL
from thicket.reporting.claims.evidence import Evidence
from thicket.reporting.claims.page import SECTIONS, build_claims
from thicket.reporting.claims.side_by_side import looked, picture
from thicket.statistics.resampled import Resampled


def test_a_clear_effect_on_three_seeds_is_supported(tmp_path: Path) -> None:
    row = row_of("opd-beats-soups", consolidated(tmp_path, 3, USUAL), tmp_path)
    assert row.verdict == "supported"
    assert row.seeds == [0, 1, 2]
    assert row.value is not None
    assert row.control is not None
    assert row.value.value == pytest.approx(0.85, abs=0.03)
    assert row.control.value == pytest.approx(0.5, abs=0.04)
    assert row.effect is not None
    assert row.effect.low > 0.25
    assert row.adjusted is not None
    assert row.p is not None
    assert row.p <= row.adjusted < 0.05


def test_the_other_way_round_is_not_supported(tmp_path: Path) -> None:
    scores = {**USUAL, "opd": USUAL["soup"], "soup": USUAL["opd"]}
    row = row_of("opd-beats-soups", consolidated(tmp_path, 3, scores), tmp_path)
    assert row.verdict == "not supported"


def test_no_effect_is_undecided(tmp_path: Path) -> None:
    row = row_of("opd-beats-soups", consolidated(tmp_path, 3, {**USUAL, "soup": USUAL["opd"]}), tmp_path)
    assert (row.verdict, len(row.seeds)) == ("undecided at this scale", 3)
    assert "not told from 0" in row.why


def test_two_seeds_decide_nothing(tmp_path: Path) -> None:
    row = row_of("opd-beats-soups", consolidated(tmp_path, 2, USUAL), tmp_path)
    assert row.verdict == "undecided at this scale"
    assert "2 of 3 seeds" in row.why
    assert row.value is not None


def test_three_seeds_with_equal_weights_are_one(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 3, USUAL)
    for name in ("sort", "odd", "opd", "soup"):
        for seed in (1, 2):
            copied = tmp_path / f"build/evaluation/s{seed}-{name}"
            shutil.copytree(tmp_path / f"build/evaluation/s0-{name}", copied, dirs_exist_ok=True)
    row = row_of("opd-beats-soups", stage, tmp_path)
    assert (row.seeds, row.verdict) == ([0], "undecided at this scale")
    assert "1 of 3 seeds" in row.why


def test_what_was_not_measured_says_what_it_needs(tmp_path: Path) -> None:
    row = row_of("specialists-beat-mixed", consolidated(tmp_path, 3, USUAL), tmp_path)
    assert (row.verdict, row.value, row.p) == ("not measured", None, None)
    assert row.why == "it needs students by opd and by mixed with `budget_of`"


def sparse(root: Path, rl: float, sft: float) -> Row:
    """The claim on sparsity, where these shares of positions have no divergence."""
    stage = consolidated(root, 3, USUAL)
    for seed in range(3):
        imitator = specialist(f"s{seed}-sft", "tiny", "sort", "sft").model_copy(update={"seed": seed})
        models, correct = [*stage.models, imitator], {"sort": counts(0.5, 7), "odd": counts(0.5, 8)}
        write_run(root, [models[0], imitator], {"tiny": correct, imitator.name: correct}, {})
        stage = stage.model_copy(update={"models": models})
        for other, share in ((f"s{seed}-sort", rl), (imitator.name, sft)):
            hits = np.random.default_rng(seed).binomial(8, share, ITEMS).astype(float).tolist()
            about = {"name": "js_below_0.01", "domain": "sort", "unit": "item", "of": "along-other"}
            made = ReportedAnalysis(name=f"d-{other}", type="divergence", models=["tiny", other], seed=seed)
            stage = add_analysis(root, stage, made, [{**about, "amounts_U": hits, "weights_U": [8.0] * ITEMS}])
    return row_of("sparse-under-rl", stage, root)


def test_both_halves_of_a_claim_have_to_hold(tmp_path: Path) -> None:
    assert sparse(tmp_path / "a", rl=0.95, sft=0.5).verdict == "supported"
    assert sparse(tmp_path / "b", rl=0.95, sft=0.99).verdict == "not supported"
    assert sparse(tmp_path / "c", rl=0.6, sft=0.3).verdict == "not supported"


def test_one_statement_has_one_verdict_in_every_form(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 3, USUAL)
    made = ReportedAnalysis(name="look", type="density", models=["tiny"], seed=0)
    stage = add_analysis(tmp_path, stage, made, [])
    out = tmp_path / "out"
    out.mkdir()
    build_claims(stage, tmp_path, out)
    names = [claim.name for claims in SECTIONS.values() for claim in claims]
    assert len(set(names)) == len(names)
    content = json.loads((out / "claims.json").read_text(encoding="utf-8"))
    assert list(content["claims"]) == names
    assert sum(content["verdicts"].values()) == len(names)
    row = content["claims"]["opd-beats-soups"]
    assert (row["verdict"], row["measured"]) == ("supported", "mean pass@1 of the student by opd")
    assert row["value"]["low"] < row["value"]["value"] < row["value"]["high"]
    page, text = ((out / name).read_text(encoding="utf-8") for name in ("claims.html", "claims.md"))
    assert "toy &lt;b&gt;" in page
    assert "<b>toy" not in page
    assert "<svg>drawn</svg>" in page
    for claims in SECTIONS.values():
        for claim in claims:
            assert page.count(f'id="{claim.name}"') == 1
            assert claim.statement.split("@")[0][:30].split("*")[0] in text.replace("\\", "")


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 3, USUAL)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        build_claims(stage, tmp_path, tmp_path / name)
    for file in ("claims.json", "claims.md", "claims.html"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_missing_analysis_is_named(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 1, USUAL)
    made = ReportedAnalysis(name="gone", type="density", models=["tiny"], seed=0)
    with pytest.raises(ValueError, match=r"result\.json: there is no such file; `dvc repro analyze-gone`"):
        _ = Evidence(stage.model_copy(update={"analyses": [made]}), tmp_path).analyses


def test_two_analyses_of_one_seed_are_one_seed(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 1, USUAL)
    for name, seed in (("one", 0), ("two", 1), ("three", 2)):
        about = {"name": "reached", "domain": "sort", "unit": "item", "of": "", "weights_U": None}
        made = ReportedAnalysis(name=name, type="capability", models=["tiny", "s0-sort"], seed=seed)
        stage = add_analysis(tmp_path, stage, made, [{**about, "amounts_U": [1.0] * 20}])
    row = row_of("no-new-capability", stage, tmp_path)
    assert (row.seeds, row.verdict) == ([0], "undecided at this scale")


def test_an_interval_of_a_share_ends_at_one(tmp_path: Path) -> None:
    """Seeds at .8, .9 and 1, by Student's t up to 1.15; the effect is the share less .95."""
    stage = consolidated(tmp_path, 3, USUAL)
    for seed in range(3):
        about = {"name": "reached", "domain": "sort", "unit": "item", "of": "", "weights_U": None}
        made = ReportedAnalysis(name=f"c{seed}", type="capability", models=["tiny", f"s{seed}-sort"], seed=seed)
        amounts = [1.0] * (8 + seed) + [0.0] * (2 - seed)
        stage = add_analysis(tmp_path, stage, made, [{**about, "amounts_U": amounts}])
    row = row_of("no-new-capability", stage, tmp_path)
    assert row.value is not None
    assert row.effect is not None
    assert row.value.high == 1.0
    assert row.effect.high == pytest.approx(0.05)
    assert 0.5 < row.value.low == pytest.approx(row.effect.low + 0.95)


def shorten(root: Path, name: str) -> None:
    """A model's own training takes a tenth of what it did, and a third of the steps."""
    ledger, provenance = root / f"build/metrics/{name}.json", root / f"build/models/{name}/provenance.json"
    ledger.write_text(json.dumps(json.loads(ledger.read_text(encoding="utf-8")) | {"steps": 20}), encoding="utf-8")
    provenance.write_text(provenance.read_text(encoding="utf-8").replace("1000000000.0", "1e8"), encoding="utf-8")


def scalpel(root: Path, sft: float, sft_short: float) -> Row:
    """GRPO reaches .6 at a KL of .2; sft .9 at this one, and `sft-short` .6 at that one, which forgets nothing."""
    stage = consolidated(root, 3, USUAL)
    for seed in range(3):
        made = {"sort": (0.6, 0.2, 0.0), "sft": (0.9, sft, 0.2), "sft-short": (0.6, sft_short, 0.1)}
        names = {way: f"s{seed}-{way}" for way in made}
        models = [specialist(names[way], "tiny", "sort", "sft") for way in ("sft", "sft-short")]
        models = [one.model_copy(update={"seed": seed}) for one in models]
        same = {"sort": counts(0.5, 7), "odd": counts(0.5, 8)}
        write_run(root, [stage.models[0], *models], {"tiny": same} | {one.name: same for one in models}, {})
        shorten(root, names["sft-short"])
        stage = stage.model_copy(update={"models": [*stage.models, *models]})
        generator = np.random.default_rng(seed)
        about = {"domain": "sort", "unit": "item", "weights_U": None}
        start = 0.3 + generator.normal(0, 0.02, ITEMS)
        statistics = [{**about, "name": "score", "of": "tiny", "amounts_U": start.tolist()}]
        for way, values in made.items():
            for name, value in zip(("score", "kl_model_base", "forgetting"), values, strict=True):
                amounts = (value + generator.normal(0, 0.02, ITEMS)).tolist()
                statistics.append({**about, "name": name, "of": names[way], "amounts_U": amounts})
        look = ReportedAnalysis(name=f"look-{seed}", type="scalpel", models=["tiny", *names.values()], seed=seed)
        stage = add_analysis(root, stage, look, statistics)
    return row_of("scalpel-and-hammer", stage, root)


def parted(root: Path, *parts: dict[str, float]) -> Row:
    """A row of a made-up claim, a dictionary of parts for each seed; every resample is the value ± 1/100."""
    stage = consolidated(root, len(parts), USUAL)

    def measure(_: Evidence) -> list[Measured]:
        rows = [{name: Resampled(x, x + np.tile([-0.01, 0.01], 1000)) for name, x in one.items()} for one in parts]
        return [Measured(seed, next(iter(row.values())), None, row) for seed, row in enumerate(rows)]

    claim = replace(CRITICAL[0], name="made-up", measure=measure)
    (row,) = judge([claim], Evidence(stage, root))
    return row


def test_parts_are_judged_over_seeds_one_by_one(tmp_path: Path) -> None:
    """Two parts without an effect: in each seed one is below 0 by .3, which is no effect of either."""
    noise = parted(tmp_path / "a", {"a": 0.31, "b": -0.3}, {"a": -0.3, "b": 0.31}, {"a": 0.01, "b": 0.01})
    assert noise.verdict == "undecided at this scale"
    assert noise.effect is not None
    assert noise.effect.value == pytest.approx(0.0067, abs=1e-3)
    both = parted(tmp_path / "b", *({"a": 0.5 + x, "b": 0.3 + x} for x in (0.0, 0.01, -0.01)))
    assert both.verdict == "supported"
    one = parted(tmp_path / "c", *({"a": 0.5 + x, "b": -0.3 + x} for x in (0.0, 0.01, -0.01)))
    assert (one.verdict, one.why[:20]) == ("not supported", "the effect (b) is be")


def test_a_part_that_refutes_pays_for_having_been_chosen(tmp_path: Path) -> None:
    values = [-0.2, -0.25, -0.1]
    alone = parted(tmp_path / "a", *({"a": value} for value in values))
    of_two = parted(tmp_path / "b", *({"a": value, "b": 0.5} for value in values))
    assert alone.p is not None
    assert of_two.p == pytest.approx(2 * alone.p)


def test_sft_is_held_against_reinforcement_at_an_equal_score(tmp_path: Path) -> None:
    """At .6, where GRPO ends: what `sft` is further on counts for nothing."""
    near = scalpel(tmp_path / "a", sft=0.9, sft_short=0.1)
    assert near.verdict == "not supported"
    assert near.control is not None
    assert near.control.value == pytest.approx(0.1, abs=0.02)
    assert scalpel(tmp_path / "b", sft=0.9, sft_short=0.5).verdict == "supported"


def diverged(root: Path) -> ClaimsStage:
    """Divergence of a specialist, of the same after a third of its steps, and of one by sft; one seed."""
    stage = consolidated(root, 1, USUAL)
    early = specialist("s0-sort-early", "tiny", "sort")
    imitator = specialist("s0-sft", "tiny", "sort", "sft")
    same = {"sort": counts(0.5, 7), "odd": counts(0.5, 8)}
    write_run(root, [stage.models[0], early, imitator], dict.fromkeys(("tiny", early.name, imitator.name), same), {})
    shorten(root, early.name)
    stage = stage.model_copy(update={"models": [*stage.models, early, imitator]})
    for name, js in (("s0-sort", 0.2), (early.name, 0.05), (imitator.name, 0.4)):
        about = {"domain": "sort", "unit": "item", "of": "along-other", "weights_U": None}
        statistics = [{**about, "name": "js_mean", "amounts_U": [js] * ITEMS}]
        for cut, share in (("0.001", 0.5), ("0.1", 0.9)):
            statistics.append({**about, "name": f"js_below_{cut}", "amounts_U": [share * (1 - js)] * ITEMS})
        made = ReportedAnalysis(name=f"d-{name}", type="divergence", models=["tiny", name], seed=0)
        stage = add_analysis(root, stage, made, statistics)
    return stage


def test_points_of_a_course_are_no_results(tmp_path: Path) -> None:
    evidence = Evidence(diverged(tmp_path), tmp_path)
    assert evidence.on_the_way == {"s0-sort-early"}
    assert [one.name for one in evidence.select(kind="specialist", method="grpo", domain="sort")] == ["s0-sort"]


def set_method(root: Path, name: str, **values: object) -> None:
    """Values of the method in a model's provenance."""
    path = root / f"build/models/{name}/provenance.json"
    made = json.loads(path.read_text(encoding="utf-8"))
    made["config"].setdefault("method", {}).update(values)
    path.write_text(json.dumps(made), encoding="utf-8")


def test_models_with_other_values_are_no_points_of_a_course(tmp_path: Path) -> None:
    stage = diverged(tmp_path)
    set_method(tmp_path, "s0-sort-early", temperature=0.7)
    assert Evidence(stage, tmp_path).on_the_way == frozenset()
    set_method(tmp_path, "s0-sort", temperature=0.7, steps=60)
    assert Evidence(stage, tmp_path).on_the_way == {"s0-sort-early"}


def test_mixed_rl_at_a_share_of_the_cost_is_no_equal(tmp_path: Path) -> None:
    stage = consolidated(tmp_path, 3, USUAL)
    rivals = [student(f"s{seed}-mixed", "tiny", [], "mixed").model_copy(update={"seed": seed}) for seed in range(3)]
    scored = {"sort": counts(0.4, 7), "odd": counts(0.4, 8)}
    write_run(tmp_path, [stage.models[0], *rivals], {"tiny": scored} | {one.name: scored for one in rivals}, {})
    stage = stage.model_copy(update={"models": [*stage.models, *rivals]})
    assert row_of("specialists-beat-mixed", stage, tmp_path).verdict == "supported"
    for one in rivals:
        set_method(tmp_path, one.name, budget="whole", share=0.33)
    assert row_of("specialists-beat-mixed", stage, tmp_path).seeds == []


def test_divergence_side_by_side(tmp_path: Path) -> None:
    stage = diverged(tmp_path)
    found = {(one.way, one.flops): one for one in looked(Evidence(stage, tmp_path))}
    assert {key: one.js for key, one in found.items()} == pytest.approx(
        {("grpo", 1e9): 0.2, ("grpo", 1e8): 0.05, ("sft", 1e9): 0.4}
    )
    assert found["sft", 1e9].below == pytest.approx({0.001: 0.3, 0.1: 0.54})
    bars, means, course = picture(list(found.values())).axes
    assert [label.get_text() for label in bars.get_yticklabels()] == ["grpo", "sft"]
    # Three bands of a bar; the shorter run counts in the course alone.
    assert [round(bar.get_width(), 6) for bar in bars.patches[:3] if isinstance(bar, Rectangle)] == [40.0, 32.0, 28.0]
    assert np.shape(means.lines[0].get_xdata()) == (1,)
    assert np.asarray(course.lines[0].get_xdata()).tolist() == [0.0, 1e8, 1e9]
    assert np.asarray(course.lines[0].get_ydata()).tolist() == pytest.approx([0.0, 0.05, 0.2])
    (tmp_path / "out").mkdir()
    build_claims(stage, tmp_path, tmp_path / "out")
    assert (tmp_path / "out/divergence.png").stat().st_size > 1000
    assert "Divergence from the base" in (tmp_path / "out/claims.html").read_text(encoding="utf-8")


def test_a_student_of_two_teachers_of_a_domain_is_held_against_the_better(tmp_path: Path) -> None:
    """Base .25, teachers 1 and .5 by selection .9 and .4: the student's .625 is half of the better one's lead."""
    own, strange = ["good", "weak"], ["far"]
    models = [
        base("tiny"),
        base("other"),
        *(specialist(name, "tiny", "sort") for name in own),
        specialist("far", "other", "sort"),
        student("opd", "tiny", own),
        student("strangers", "tiny", strange),
    ]
    solved = {"tiny": 1, "other": 1, "good": 4, "weak": 2, "far": 4, "opd": 2, "strangers": 1}
    correct: Correct = {name: {"sort": [count] * ITEMS} for name, count in solved.items()}
    correct["opd"] = {"sort": [2, 3] * (ITEMS // 2)}
    write_run(tmp_path, models, correct, {})
    for name, score in (("good", 0.9), ("weak", 0.4)):
        path = tmp_path / f"build/metrics/{name}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"selection_pass@1": score}), encoding="utf-8")
    stage = ClaimsStage(name="claims", experiment="toy", domains=["sort"], models=models, analyses=[], resamples=1000)
    row = row_of("same-origin", stage, tmp_path)
    assert row.value is not None
    assert row.value.value == pytest.approx(0.5)
