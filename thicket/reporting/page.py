"""`index.html`: the report as one page that needs nothing else; with a script it sorts and filters its tables.

Every text goes through `escaped`; only figures and tags made here are put in as they are.
"""

import html
from collections.abc import Iterable

from thicket.reporting import costs, figures, gains, inference, tables, ways
from thicket.reporting.axis import cut
from thicket.reporting.findings import findings, how_made
from thicket.reporting.lineage import lineage
from thicket.reporting.outdated import told
from thicket.reporting.results import AGED, Results
from thicket.reporting.samples import samples
from thicket.reporting.ssd_map import ssd_map
from thicket.reporting.style import document
from thicket.reporting.tables import Entry, Row, Table, brief
from thicket.reporting.text import over_items

escaped = html.escape
HEAT = 0.55
"""Opacity of the strongest colour of a table: the number on it stays legible."""
LEGEND = (
    ("base", "◆", "base, with its interval as a band"),
    ("specialist", "●", "the domain's specialist"),
    ("control", "▲", "a control of the domain: a model asked in another way"),
    ("student", "■", "student"),
    ("other", "○", "another domain's specialist or control"),
)
SECTIONS = {
    "scores": "Scores",
    "ways": "Ways to a specialist",
    "gains": "Who gains where, and who loses",
    "attempts": "Greedy decoding and several attempts",
    "levels": "By difficulty, length of responses",
    "learning": "Learning curves",
    "samples": "Samples of the trainings",
    "cost": "Cost",
    "lineage": "Lineage",
    "settings": "Settings",
}
CURVES_NOTE = (
    "By step, in %. Dots: sampled pass@1 on the selection items of the model's own domains. Grey: the mean reward of "
    "the rollouts (100: full marks for every response). Below, from 0 on, and with the first and the last value: the "
    "loss of what does not learn from rewards, the policy's entropy and its KL to its teachers or its start (nats a "
    "token), and the mean length of the responses (tokens)."
)
CANDIDATES_NOTE = " Triangles: a control's candidates, by temperature."
SAMPLES_NOTE = (
    "What a model learned from in steps 1, 2, 4, 8 and so on: of its own responses the first ones to the first prompt "
    "of each domain, with their rewards or their divergence from the teachers (mean over tokens); by imitation, the "
    "first texts of each domain, to the token that ends them. They lie in build/models/NAME/samples.jsonl."
)
MAP_NOTE = (
    "Sampled pass@1 in %, on the items of the tables above; in brackets: {intervals}. Of several seeds the first is "
    "shown. Rows: the temperature that a model was trained on samples of; start: the model that was not trained. "
    "Columns: the temperature of the answers, 0 for greedy ones. Colour: better or worse than the start at its best "
    "temperature. Bold: the best of all."
)
BUDGET_NOTE = (
    "Marks: sampled pass@1 on the items of the tables above, with {intervals}. Lines: on the selection items, while "
    "training. A student with teachers starts where their cost ends. Broken line: the base."
)
CLAIMS_LINK = '<a href="claims.html">Claims</a> <small>(a page that <code>dvc repro claims</code> makes)</small>'
"""The report is not made anew for them: it can't know whether they are there."""
LINEAGE_NOTE = "Solid: starts from. Broken: learns from, or is a mean of. Each box leads to the model's scores."


def page(results: Results, claims: bool = False) -> str:
    """The whole page, with a newline at its end; `claims`: it leads to the page on them."""
    links = " ".join(f'<a href="#{name}">{escaped(text)}</a>' for name, text in SECTIONS.items())
    links = f"{links} {CLAIMS_LINK}" if claims else links
    body = "\n".join([_top(results), f"<nav>{links}</nav>", *_sections(results)])
    return document(f"{results.experiment}: results", body)


def _top(results: Results) -> str:
    there = {figures.role(result, domain) for result in results.models.values() for domain in results.domains}
    signs = [f'<b class="{kind}-ink">{sign}</b> {escaped(text)}' for kind, sign, text in LEGEND if kind in there]
    legend = " ".join(
        f"<span>{text}</span>"
        for text in (*signs, "axis: sampled pass@1, %", f"bars: {over_items(results.settings.confidence)}")
    )
    panels = [
        _figure(
            domain,
            f"{results.items[domain]} items{cut(figures.score_end(results, domain))}",
            figures.score_panel(results, domain, f"score-{place}"),
        )
        for place, domain in enumerate(results.domains)
    ]
    return "\n".join(
        [
            f"<h1>{escaped(results.experiment)} <small>results</small></h1>",
            _banner(results),
            f'<p class="lead">{escaped(findings(results))}</p>',
            _table(results, ways.consolidated(results)),
            f'<div class="wide">{"".join(panels)}</div>',
            f'<p class="legend">{legend}</p>',
            _table(results, costs.students(results)),
        ]
    )


def _banner(results: Results) -> str:
    """What is not as declared, where anything is not."""
    sentence, reasons = told(results)
    listed = "".join(f"<li>{escaped(why)}</li>" for why in reasons)
    return f'<div class="banner"><p>{escaped(sentence)}</p><ul>{listed}</ul></div>' if sentence else ""


def _sections(results: Results) -> list[str]:
    content = {
        "scores": _table(results, tables.scores(results), anchors=True),
        "ways": _tables(results, ways.deployed(results), ways.sampled(results)) + _maps(results),
        "gains": _tables(results, gains.differences(results), gains.greedy_differences(results)),
        "attempts": _side_by_side(_tables(results, *tables.attempts(results))),
        "levels": _side_by_side(_tables(results, *tables.levels(results), tables.lengths(results))),
        "learning": _learning(results),
        "samples": _samples(results),
        "cost": _tables(results, costs.prices(results), inference.answers(results), costs.ledger(results)),
        "lineage": _lineage(results),
        "settings": _paragraphs(how_made(results)) + _table(results, costs.origins(results)),
    }
    return [
        f'<section id="{name}"><h2>{escaped(SECTIONS[name])}</h2>{part or "<p>Nothing to show.</p>"}</section>'
        for name, part in content.items()
    ]


def _maps(results: Results) -> str:
    most = max((found.largest for found in results.maps), default=0.0)
    panels = [
        _figure(
            f"Self-distillation on {found.domain}",
            f"by its two temperatures; samples with {found.cut}",
            _scrolled(ssd_map(found, f"map-{place}", most)),
        )
        for place, found in enumerate(results.maps)
    ]
    return f'<div class="tables">{"".join(panels)}</div>{_note(_with_intervals(MAP_NOTE, results))}' if panels else ""


def _learning(results: Results) -> str:
    trained = [result for result in results.models.values() if figures.has_curve(result)]
    panels = [
        _figure(
            results.label(result.model.name),
            f"{brief(result.model)}{cut(figures.curve_end(result))}",
            figures.curve_panel(result, f"curve-{place}"),
        )
        for place, result in enumerate(trained)
    ]
    said = CURVES_NOTE + CANDIDATES_NOTE * any(result.is_control for result in trained)
    parts = [_note(said), f'<div class="small">{"".join(panels)}</div>'] if panels else []
    if results.of_kind("student"):
        budget = _scrolled(figures.budget_figure(results, "budget"))
        parts += [
            _figure("Score against budget", "mean over domains, %", budget),
            _note(_with_intervals(BUDGET_NOTE, results)),
        ]
    return "".join(parts)


def _samples(results: Results) -> str:
    found = samples(results)
    return f"{_note(SAMPLES_NOTE)}{found}" if found else ""


def _lineage(results: Results) -> str:
    graph = lineage((result.model for result in results.models.values()), results.outdated)
    return f"{_scrolled(graph)}{_note(LINEAGE_NOTE)}"


def _scrolled(svg: str) -> str:
    """A picture in a box that scrolls where the page is narrower: its letters stay as large as they are."""
    return f'<div class="scroll">{svg}</div>'


def _paragraphs(texts: Iterable[str]) -> str:
    return "".join(f"<p>{escaped(text)}</p>" for text in texts)


def _with_intervals(text: str, results: Results) -> str:
    return text.format(intervals=over_items(results.settings.confidence))


def _note(text: str) -> str:
    return f'<p class="note">{escaped(text)}</p>'


def _figure(caption: str, detail: str, svg: str) -> str:
    return f"<figure><figcaption>{escaped(caption)} <small>{escaped(detail)}</small></figcaption>{svg}</figure>"


def _table(results: Results, table: Table, anchors: bool = False) -> str:
    """A table with its title and note; nothing where it has no rows. `anchors`: links to a model lead to its row."""
    if not table.rows:
        return ""
    head = "".join(f'<th scope="col">{escaped(text)}</th>' for text in (table.first, *table.head))
    kinds = [None, *(row.model.kind for row in table.rows)]
    rows = "".join(
        _row(row, _mark(results, row.models), row.model.kind != before, anchors)
        for row, before in zip(table.rows, kinds, strict=False)
    )
    note = (_note(table.note) if table.note else "") + _terms(table)
    return (
        f'<div><h3>{escaped(table.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}</div>"
    )


def _terms(table: Table) -> str:
    """What the names in a table are."""
    said = "".join(f"<dt>{escaped(name)}</dt><dd>{escaped(what)}</dd>" for name, what in table.terms)
    return f'<dl class="note">{said}</dl>' if said else ""


def _tables(results: Results, *shown: Table) -> str:
    return "".join(_table(results, table) for table in shown)


def _side_by_side(shown: str) -> str:
    """Tables beside each other, as far as they fit."""
    return f'<div class="tables">{shown}</div>'


def _mark(results: Results, models: Iterable[str]) -> str:
    """What stands beside a name of models of which one is not as declared; why, for who points at it."""
    reasons = dict.fromkeys(why for name in models for why in results.outdated.get(name, ()))
    return f' <abbr title="{escaped("; ".join(reasons))}">{AGED}</abbr>' if reasons else ""


def _row(row: Row, mark: str, first_of_kind: bool, anchored: bool) -> str:
    name = escaped(row.name)
    kind = f"<small>{escaped(brief(row.model))}</small>" if anchored else ""
    anchor = f' id="model-{name}"' if anchored else ""
    start = ' class="first"' if first_of_kind else ""
    cells = "".join(map(_cell, row.entries))
    return f'<tr{anchor}{start}><th scope="row">{name}{mark}{kind}</th>{cells}</tr>'


def _cell(entry: Entry) -> str:
    names = ["own"] if entry.own else []
    style = ""
    if entry.heat is not None:
        names.append("gain" if entry.heat > 0 else "loss")
        style = f' style="--heat: {abs(entry.heat) * HEAT:.2f}"'
    shown = f' class="{" ".join(names)}"' if names else ""
    mark = f" {entry.mark}" if entry.mark else ""
    detail = f"<small>{escaped(entry.detail)}</small>" if entry.detail else ""
    return f"<td{shown}{style}>{escaped(entry.text)}{mark}{detail}</td>"
