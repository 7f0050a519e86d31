"""The three forms of the report: complete, safe, self-contained, equal for equal inputs."""

import json
import re
from collections import Counter
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from reporting_run import Correct, WriteRun, base, results_of, specialist, student

from thicket.config.report_files import BUDGET_FILE
from thicket.config.stages import ReportedModel
from thicket.reporting import costs, figures, gains, tables, ways
from thicket.reporting.axis import axis_end
from thicket.reporting.findings import findings
from thicket.reporting.markdown import escaped, markdown
from thicket.reporting.page import page
from thicket.reporting.report import build_report
from thicket.statistics.intervals import Interval

MODELS = [
    base("tiny"),
    specialist("sort-grpo", "tiny", "sort"),
    specialist("reverse-grpo", "tiny", "reverse"),
    student("opd", "tiny", ["sort-grpo", "reverse-grpo"]),
    student("soup", "tiny", ["sort-grpo", "reverse-grpo"], "soup"),
    student("mixed", "tiny", [], "mixed"),
]
CORRECT: Correct = {
    "tiny": {"sort": [1, 1, 1, 1], "reverse": [1, 1, 1, 1]},
    "sort-grpo": {"sort": [3, 3, 3, 3], "reverse": [0, 0, 0, 0]},
    "reverse-grpo": {"sort": [0, 0, 0, 0], "reverse": [3, 3, 3, 3]},
    "opd": {"sort": [3, 3, 3, 3], "reverse": [2, 2, 2, 2]},
    "soup": {"sort": [2, 2, 2, 2], "reverse": [2, 2, 2, 2]},
    "mixed": {"sort": [1, 1, 1, 1], "reverse": [2, 2, 2, 2]},
}
BRACKETS = "In brackets: 90 % intervals over the items."
FILES = ("index.html", "results.md", "results.json")


def build(run: WriteRun, root: Path, models: list[ReportedModel], correct: Correct) -> dict[str, str]:
    """The text of each form."""
    mixed = {"mixed": "opd"} if any(model.name == "mixed" for model in models) else {}
    build_report(run(models, correct, mixed), root, root)
    return {name: (root / name).read_text(encoding="utf-8") for name in FILES}


def test_every_model_and_domain_is_in_every_form(run: WriteRun, tmp_path: Path) -> None:
    forms = build(run, tmp_path, MODELS, CORRECT)
    for model in MODELS:
        assert f'<tr id="model-{model.name}"' in forms["index.html"]
        assert f"| {model.name} |" in forms["results.md"]
        assert set(json.loads(forms["results.json"])["models"][model.name]["cells"]) == {"sort", "reverse"}
    for domain in ("sort", "reverse"):
        assert f'<th scope="col">{domain}</th>' in forms["index.html"]
        assert f" {domain} |" in forms["results.md"]


def test_the_frontier_is_a_picture_where_there_are_students(run: WriteRun, tmp_path: Path) -> None:
    build(run, tmp_path, MODELS, CORRECT)
    first = (tmp_path / BUDGET_FILE).read_bytes()
    build(run, tmp_path, MODELS, CORRECT)
    assert (tmp_path / BUDGET_FILE).read_bytes() == first
    assert first.startswith(b"\x89PNG")
    (tmp_path / BUDGET_FILE).unlink()
    build(run, tmp_path, [model for model in MODELS if model.kind != "student"], CORRECT)
    assert not (tmp_path / BUDGET_FILE).exists()


def test_the_findings_are_computed(run: WriteRun, tmp_path: Path) -> None:
    told = json.loads(build(run, tmp_path, MODELS, CORRECT)["results.json"])["findings"].replace("\xa0", " ")
    assert told == (
        "In 2 of 2 domains a specialist of the domain beats its base, the 90 % interval of the paired difference over "
        "the items lying above 0 (in points of sampled pass@1: sort-grpo +50.0, reverse-grpo +50.0). Of the "
        "specialists' gain opd recovers 75.0 % [75.0, 75.0], soup recovers 50.0 % [50.0, 50.0] and mixed recovers "
        f"25.0 % [25.0, 25.0]. {BRACKETS}"
    )


def test_levels_have_a_table_where_there_are_several(run: WriteRun, tmp_path: Path) -> None:
    results = results_of(run(MODELS, CORRECT, {"mixed": "opd"}), tmp_path)
    assert tables.levels(results) == []
    cell = results.models["tiny"].cells["sort"]
    cell.levels["2"] = cell.levels["1"]
    (table,) = tables.levels(results)
    assert table.title == "sort: sampled pass@1 by level of difficulty, %"


def test_what_is_no_gain_is_not_told_as_one(run: WriteRun, tmp_path: Path) -> None:
    models = [*MODELS[:3], specialist("sort-es", "tiny", "sort", "es")]
    same = CORRECT["tiny"]
    correct = {**CORRECT, "reverse-grpo": same, "sort-es": {**same, "sort": [0] * len(same["sort"])}}
    told = json.loads(build(run, tmp_path, models, correct)["results.json"])["findings"].replace("\xa0", " ")
    assert told == (
        "In 1 of 2 domains a specialist of the domain beats its base, the 90 % interval of the paired difference over "
        "the items lying above 0 (in points of sampled pass@1: sort-grpo +50.0). Not told from 0: reverse-grpo 0.0 "
        f"[0.0, 0.0]. Below 0: sort-es −25.0. {BRACKETS}"
    )


def test_what_the_students_are_stands_below_their_table(run: WriteRun, tmp_path: Path) -> None:
    second = student("opd-2", "tiny", ["sort-grpo", "reverse-grpo"]).model_copy(update={"seed": 1})
    more = [second, student("lone", "tiny", ["sort-grpo"])]
    correct = {**CORRECT, "opd-2": CORRECT["opd"], "lone": CORRECT["opd"]}
    stage = run([*MODELS, *more], correct, {"mixed": "opd"})
    methods = {"grpo": "Reinforcement.", "opd": "Distils <b>.", "mixed": "One run."}
    results = results_of(stage.model_copy(update={"methods": methods}), tmp_path)
    two = {"opd": "Distils <b>. Teachers: sort-grpo and reverse-grpo."}
    assert dict(ways.consolidated(results).terms) == two, "both seeds, where the means of them are"
    assert dict(costs.students(results).terms) == {
        "soup": "Teachers: sort-grpo and reverse-grpo.",
        "mixed": "One run. Budget: the cost of opd.",
        "lone": "Distils <b>. Teachers: sort-grpo.",
    }
    assert "<dt>lone</dt><dd>Distils &lt;b&gt;. Teachers: sort-grpo.</dd>" in page(results)
    assert r"- **lone**: Distils \<b\>. Teachers: sort-grpo." in markdown(results)
    assert dict(ways.deployed(results).terms) == {"grpo": "Reinforcement."}


def test_the_link_to_the_claims_does_not_say_that_they_are_still_to_be_made(run: WriteRun, tmp_path: Path) -> None:
    results = results_of(run(MODELS, CORRECT), tmp_path)
    link = '<a href="claims.html">Claims</a> <small>(a page that <code>dvc repro claims</code> makes)</small></nav>'
    assert link in page(results, claims=True)
    assert "claims.html" not in page(results)


@pytest.mark.parametrize(("taken", "said"), [("11", "all"), ("01", "reverse-grpo")])
def test_which_teachers_a_greedy_soup_kept(run: WriteRun, tmp_path: Path, taken: str, said: str) -> None:
    models = [*MODELS[:3], student("soup", "tiny", ["sort-grpo", "reverse-grpo"], "greedy-soup")]
    stage = run(models, CORRECT)
    rows = [f"{step},{teacher},{flag}" for step, (teacher, flag) in enumerate(zip("12", taken, strict=True), start=1)]
    (tmp_path / "build/curves/soup.csv").write_text("\n".join(["step,teacher,taken", *rows]) + "\n", encoding="utf-8")
    told = dict(costs.students(results_of(stage, tmp_path)).terms)
    assert told == {"soup": f"Teachers: sort-grpo and reverse-grpo; kept: {said}."}


def test_entropy_and_length_go_below_the_learning_curve(run: WriteRun, tmp_path: Path) -> None:
    result = results_of(run(MODELS, CORRECT, {"mixed": "opd"}), tmp_path).models["sort-grpo"]
    plain = figures.curve_panel(result, "a")
    assert "reward, selection score by step" in plain
    assert "entropy" not in plain
    rows = [{"step": step, "reward": 0.5, "entropy": 0.5 / step, "length": 20.0} for step in (1.0, 2.0)]
    drawn = figures.curve_panel(replace(result, curve=(*rows, {"step": 3.0, "selection": 0.5})), "a")
    assert "reward, selection score, entropy, length by step" in drawn
    assert "entropy: 0.5 → 0.25" in drawn
    assert "length: 20 → 20" in drawn
    assert "KL" not in drawn
    assert "loss" not in figures.curve_panel(replace(result, curve=tuple({**row, "loss": 1e-9} for row in rows)), "a")


def test_the_loss_goes_there_where_nothing_learns_from_rewards(run: WriteRun, tmp_path: Path) -> None:
    result = results_of(run(MODELS, CORRECT, {"mixed": "opd"}), tmp_path).models["opd"]
    rows = ({"step": 1.0, "loss": 2.0, "kl": 2.0}, {"step": 2.0, "loss": 1.5, "kl": 1.5, "selection": 0.5})
    drawn = figures.curve_panel(replace(result, curve=rows), "a")
    assert "Learning curve of opd: selection score, loss, KL by step" in drawn
    assert "loss: 2 → 1.5" in drawn


@pytest.mark.parametrize(
    ("highest", "end"), [(0.0, 5), (0.049, 5), (0.05, 10), (0.262, 30), (0.499, 50), (0.5, 100), (1.0, 100)]
)
def test_an_axis_ends_above_scores_that_are_all_low(highest: float, end: int) -> None:
    assert axis_end([0.0, highest]) == end


def test_an_axis_that_ends_early_is_told(run: WriteRun, tmp_path: Path) -> None:
    low = {name: {"sort": [0] * 30 + [1], "reverse": counts["reverse"]} for name, counts in CORRECT.items()}
    results = results_of(run(MODELS, low, {"mixed": "opd"}), tmp_path)
    text = page(results).replace("\xa0", " ")
    assert "<figcaption>sort <small>31 items, axis to 20 %</small>" in text
    assert "<figcaption>reverse <small>4 items</small>" in text
    assert ">mean pass@1 (%)<" in text, "the mean over both, and the scores on the selection items"
    models = {
        name: replace(result, curve=(), mean=Interval(0.02, 0.01, 0.07)) for name, result in results.models.items()
    }
    text = figures.budget_figure(replace(results, models=models), "b").replace("\xa0", " ")
    assert ">mean pass@1 (%), axis to 10 %<" in text


def test_of_one_domain_there_is_no_mean_over_domains(run: WriteRun, tmp_path: Path) -> None:
    def heads(domains: tuple[str, ...]) -> list[bool]:
        models = [MODELS[0], MODELS[1], student("opd", "tiny", ["sort-grpo"]), student("s1-opd", "tiny", ["sort-grpo"])]
        correct = {model.name: {name: [1, 2] for name in domains} for model in models}
        results = results_of(run(models, correct), tmp_path)
        made = (tables.scores, gains.differences, ways.sampled, ways.deployed, ways.consolidated)
        tables_ = [table(results) for table in made]
        assert all(len(row.entries) == len(table.head) for table in tables_ for row in table.rows)
        assert ["Mean: over" in table.note for table in tables_[2:4]] == [len(domains) > 1] * 2
        return ["mean" in table.head for table in tables_]

    assert heads(("sort", "reverse")) == [True] * 5
    assert heads(("sort",)) == [False] * 5


def test_trainings_that_came_to_nothing_are_told(run: WriteRun, tmp_path: Path) -> None:
    build(run, tmp_path, MODELS, CORRECT)
    stage, ledger = run(MODELS, CORRECT, {"mixed": "opd"}), tmp_path / "build/metrics/sort-grpo.json"
    ledger.write_text(json.dumps({**json.loads(ledger.read_text(encoding="utf-8")), "useful": 0.0}), encoding="utf-8")
    assert findings(results_of(stage, tmp_path)).endswith(
        " In the training of sort-grpo the rewards of a group never differed, so nothing was learnt from them."
    )


def test_items_that_no_model_of_a_tokenizer_can_get_right_are_told_once(run: WriteRun, tmp_path: Path) -> None:
    models = [*MODELS, base("other")]
    stage = run(models, {**CORRECT, "other": CORRECT["tiny"]}, {"mixed": "opd"})
    assert "never be right" not in findings(results_of(stage, tmp_path))
    for model in models:
        path = tmp_path / f"build/evaluation/{model.name}/metrics.json"
        lost = {"never_right": {"sort": {"items": 1, "of": 4}}}
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **lost}), encoding="utf-8")
    told = (
        " 1 of 4 test answers of sort can never be right: they hold characters that no response of tiny and other can."
    )
    results = results_of(stage, tmp_path)
    assert findings(results).endswith(told)
    assert findings(results).count("never be right") == 1


def test_a_share_that_means_nothing_is_not_told(run: WriteRun, tmp_path: Path) -> None:
    models = [MODELS[0], MODELS[1], student("opd", "tiny", ["sort-grpo"])]
    correct = {**CORRECT, "sort-grpo": {"sort": [0, 2, 0, 2], "reverse": [1, 1, 1, 1]}}
    told = json.loads(build(run, tmp_path, models, correct)["results.json"])["findings"].replace("\xa0", " ")
    assert told.startswith("In 0 of 1 domain ")
    assert "What share opd recovers can't be said: the summed gain of its specialists, 0.0 points [" in told


def test_numbers_of_the_tables(run: WriteRun, tmp_path: Path) -> None:
    text = build(run, tmp_path, MODELS, CORRECT)["results.md"].replace("\xa0", " ")
    rows = [line for line in text.splitlines() if line.startswith("| opd |")]
    assert "| opd | 62.5 [62.5, 62.5] | +37.5 [+37.5, +37.5] ▲ | 75.0 [75.0, 75.0] | 3.00 G |" in rows
    assert "| opd | 75.0 [65.0, 85.0] | 50.0 [40.0, 60.0] | 62.5 [62.5, 62.5] |" in rows
    assert "| opd | +50.0 [+50.0, +50.0] ▲ | +25.0 [+25.0, +25.0] ▲ | +37.5 [+37.5, +37.5] ▲ |" in rows
    # 1e9 FLOPs of its own, 3e9 with its teachers', for 37.5 points.
    assert "| opd | +37.5 [+37.5, +37.5] ▲ | 1.00 G | 26.7 M | 3.00 G | 80.0 M |" in rows
    assert "| soup | +25.0 [+25.0, +25.0] ▲ | 0 | — | 2.00 G | 80.0 M |" in text
    lost = "| sort-grpo | **+50.0** [+50.0, +50.0] ▲ | −25.0 [−25.0, −25.0] ▼ | +12.5 [+12.5, +12.5] ▲ |"
    assert lost in text
    assert "| mixed | 60, budget 3.00 GFLOP, the cost of opd | 1.00 k | 2.00 k | 1.00 G | 1 min 1 s | 800 MB |" in text


def test_every_interval_says_over_what(run: WriteRun, tmp_path: Path) -> None:
    models = [model.model_copy(update={"name": f"s1-{model.name}", "seed": 1}) for model in MODELS[1:3]]
    opd = student("s1-opd", "tiny", [model.name for model in models])
    correct = {**CORRECT, **{f"s1-{name}": CORRECT[name] for name in ("sort-grpo", "reverse-grpo", "opd")}}
    forms = build(run, tmp_path, [*MODELS, *models, opd], correct)
    head, *sections = forms["results.md"].split("\n## ")
    assert "intervals over the items" in head
    with_intervals = [text for text in sections if re.search(r"^\|.* \[", text, re.MULTILINE)]
    assert len(with_intervals) >= 8
    assert [text.partition("\n")[0] for text in with_intervals if "90 % intervals over " not in text] == []
    seeds = [text.partition(":")[0].partition("\n")[0] for text in sections if "intervals over items and seeds" in text]
    assert seeds == ["Ways to one model, means over seeds", "Ways to a specialist", "Ways to a specialist"]
    titles = re.findall(r"<h3>([^<]*)</h3>(?:(?!<h3>).)*?</table></div><p class=\"note\">([^<]*)", forms["index.html"])
    assert {unescape(title) for title, note in titles if "intervals over" in note} == {
        text.partition("\n")[0].replace("\\", "") for text in with_intervals
    }


def test_equal_inputs_give_equal_bytes(run: WriteRun, tmp_path: Path) -> None:
    assert build(run, tmp_path, MODELS, CORRECT) == build(run, tmp_path, MODELS, CORRECT)


def test_the_page_needs_nothing_else(run: WriteRun, tmp_path: Path) -> None:
    text = build(run, tmp_path, MODELS, CORRECT)["index.html"]
    assert "://" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", text)
    assert not re.search(r"<(script .*|link|img|iframe|object|embed)\b|@import|url\((?!#)|fetch\(|XMLHttp", text)
    assert text.count("<script>") == 1
    assert "default-src 'none'" in text


def test_links_within_the_page_lead_somewhere(run: WriteRun, tmp_path: Path) -> None:
    text = build(run, tmp_path, MODELS, CORRECT)["index.html"]
    ids = Counter(re.findall(r'\bid="([^"]*)"', text))
    targets = set(re.findall(r'href="#([^"]*)"', text)) | set(re.findall(r"url\(#([^)]*)\)", text))
    assert {f"model-{model.name}" for model in MODELS} <= targets
    assert targets <= set(ids)
    assert [name for name, count in ids.items() if count > 1] == []


def test_names_and_texts_are_escaped(run: WriteRun, tmp_path: Path) -> None:
    evil = "<script>alert('&\"')</script>"
    stage = run(MODELS, CORRECT, {"mixed": "opd"})
    results = results_of(stage, tmp_path)
    models = {}
    for name, result in results.models.items():
        model = result.model.model_copy(update={"name": f"{name}{evil}", "method": evil})
        # The lineage looks parents up by name.
        parents = {"base": model.base and model.base + evil, "teachers": [other + evil for other in model.teachers]}
        origin = replace(result.origin, commit=evil, device=evil)
        models[model.name] = replace(
            result, model=model.model_copy(update=parents), root=result.root + evil, origin=origin
        )
    domains = {domain: f"{domain}{evil}" for domain in results.domains}
    models = {
        name: replace(result, cells={domains[domain]: cell for domain, cell in result.cells.items()})
        for name, result in models.items()
    }
    items = {domains[domain]: count for domain, count in results.items.items()}
    poisoned = replace(results, experiment=evil, domains=tuple(items), items=items, models=models)
    text = page(poisoned)
    assert text.lower().count("<script") == 1  # the page's own
    assert text.count("&lt;script&gt;") > 50
    assert text.count("<a ") == text.count("</a>")
    assert not re.search(r"(?<!\\)<", markdown(poisoned))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[12.9, 18.6] and [−1.0,\xa0+2.0]", "[12.9, 18.6] and [−1.0, +2.0]"),
        ("x86_64, a__b", "x86_64, a__b"),
        ("_a_ __b _ c_", r"\_a\_ \_\_b \_ c\_"),
        ("a_.b", r"a\_.b"),
        ("2*3*4", r"2\*3\*4"),
        ("[1](http://evil)", r"\[1\](http://evil)"),
        ("![1][2]", r"!\[1\][2]"),
        ("[1]: http://evil", r"\[1\]: http://evil"),
        ("[[1](u)]", r"\[\[1\](u)\]"),
        ("[x] [^1] [ ] [low, high]", r"\[x\] \[^1\] \[ \] \[low, high\]"),
        (r"\[1, 2] a|b <b> &amp; `x`", r"\\[1, 2] a\|b \<b\> \&amp; \`x\`"),
    ],
)
def test_only_what_markdown_takes_for_markup_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    "models",
    [MODELS[:1], MODELS[:2], MODELS[:3], [MODELS[0], base("other")], [MODELS[0], specialist("x", "tiny", "elsewhere")]],
    ids=["one base", "one specialist", "no student", "two bases", "a domain that is not scored"],
)
def test_smaller_experiments_work(run: WriteRun, tmp_path: Path, models: list[ReportedModel]) -> None:
    correct = {model.name: CORRECT.get(model.name, CORRECT["tiny"]) for model in models}
    forms = build(run, tmp_path, models, correct)
    for model in models:
        assert f'<tr id="model-{model.name}"' in forms["index.html"]
        assert f"| {model.name} |" in forms["results.md"]
    assert json.loads(forms["results.json"])["findings"]


def test_only_bases_are_told_by_their_scores(run: WriteRun, tmp_path: Path) -> None:
    stage = run(MODELS[:1], CORRECT)
    results = results_of(stage, tmp_path)
    told = findings(results).replace("\xa0", " ")
    assert told == f"tiny solves 25.0 % [25.0, 25.0] of the samples, in the mean over domains. {BRACKETS}"
    tiny = replace(results.models["tiny"], mean=Interval(0.5, 0.4, 0.6))
    told = findings(replace(results, models={"tiny": tiny})).replace("\xa0", " ")
    assert told == f"tiny solves 50.0 % [40.0, 60.0] of the samples, in the mean over domains. {BRACKETS}"
