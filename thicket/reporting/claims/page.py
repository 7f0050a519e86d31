"""Stage *claims*: every statement with what was measured, its control and a verdict, as a page, Markdown and JSON."""

import html
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib

from thicket.config.places import ANALYSIS
from thicket.config.report_files import DIVERGENCE_FILE
from thicket.config.stages import ClaimsStage
from thicket.reporting.claims import consolidation, critical, geometry, self_distillation
from thicket.reporting.claims.claim import CONFIDENCE, Claim, Row, judge
from thicket.reporting.claims.evidence import Evidence
from thicket.reporting.claims.side_by_side import looked, picture
from thicket.reporting.jsonfile import plain
from thicket.reporting.markdown import escaped as marked_up
from thicket.reporting.style import document
from thicket.reporting.svg import STYLE, inline, save_png
from thicket.reporting.text import NONE, PERCENT, joined
from thicket.statistics.intervals import Interval

SECTIONS: dict[str, tuple[Claim, ...]] = {
    "The geometry": geometry.CLAIMS,
    "Specialists, and one model of them": consolidation.CLAIMS,
    "What reinforcement changes": critical.CLAIMS,
    "Self-distillation, and the base": self_distillation.CLAIMS,
}
TEXTS = {
    "statement": "statement",
    "figure": "source",
    "value": "measured",
    "control": "held_against",
    "rule": "holds_where",
    "needs": "needs",
    "decides": "would_be_decided_by",
}
"""Field of a claim → its key in claims.json, where `value` and `control` are the numbers."""
HEAD = ("statement", "measured", "control", "effect", "p (Holm)", "verdict", "seeds")
MARKS = {"supported": "✓", "not supported": "✗", "undecided at this scale": "?", "not measured": NONE}
RULE = (
    "A statement is supported where its effect is above 0 and Holm's procedure over the whole table rejects 0 at the "
    "level {level}, not supported where it is below and rejected, else undecided, and always with fewer than {seeds} "
    "seeds. Not measured is what no model or analysis of the experiment speaks of. Of a statement of several parts all "
    "have to be above 0, and one that is below refutes it; the effect shown is that of the part that decides. In "
    "brackets: {confidence:g} % intervals over seeds and over the prompts of each. Effects are means over seeds, of "
    "which those with equal weights count once. What they vary by over resampled prompts (or perturbations) is known "
    "from many resamples, what they vary by over seeds from these few alone: Student's t where seeds are all that "
    "varies. Where nothing varies, nothing is said. An interval ends where what is measured ends, "
    "that of a score or another share at 0 and 1: such an end is the scale's, not the data's."
)


def build_claims(stage: ClaimsStage, root: Path, out: Path) -> None:
    """Writes claims.html, claims.md and claims.json; equal inputs give equal bytes.

    Raises: ValueError, with the file, where one is missing or broken.
    """
    evidence = Evidence(stage, root)
    rows = judge([claim for claims in SECTIONS.values() for claim in claims], evidence)
    text = json.dumps(_content(stage, rows), indent=1, ensure_ascii=False)
    (out / "claims.json").write_text(text + "\n", encoding="utf-8")
    (out / "claims.md").write_text(_markdown(stage, evidence, rows), encoding="utf-8")
    drawn = _divergences(evidence, out)
    (out / "claims.html").write_text(_page(stage, root, evidence, rows, drawn), encoding="utf-8")
    print(f"claims: {_counts(rows)}", flush=True)


def _content(stage: ClaimsStage, rows: Sequence[Row]) -> dict[str, Any]:
    """For programs and `dvc metrics diff`: claims by name."""
    counts = Counter(row.verdict for row in rows)
    claims = {
        row.claim.name: {
            **{key: value for key, value in asdict(row).items() if key != "claim"},
            **{TEXTS[key]: value for key, value in vars(row.claim).items() if key in TEXTS},
        }
        for row in rows
    }
    return plain({"experiment": stage.experiment, "verdicts": {mark: counts[mark] for mark in MARKS}, "claims": claims})


def _counts(rows: Iterable[Row]) -> str:
    counts = Counter(row.verdict for row in rows)
    return joined([f"{counts[verdict]} {verdict}" for verdict in MARKS])


def _setup(stage: ClaimsStage, evidence: Evidence) -> str:
    by_size: dict[float, list[str]] = {}
    for one in stage.models:
        if one.kind == "base":
            by_size.setdefault(evidence.size(one.name), []).append(one.name)
    bases = [f"{', '.join(names)} ({size:,.0f} weights)" for size, names in sorted(by_size.items())]
    seeds = joined(list(map(str, evidence.seeds)))
    counts = f"{len(stage.models)} models, {len(stage.analyses)} analyses"
    return f"Bases: {'; '.join(bases)}. Domains: {', '.join(stage.domains)}. Seeds: {seeds}. {counts}."


def _rule(stage: ClaimsStage) -> str:
    return RULE.format(level=stage.level, seeds=stage.seeds_needed, confidence=CONFIDENCE * PERCENT)


def shown(interval: Interval | None) -> str:
    """`0.83 [0.80, 0.86]`."""
    if interval is None:
        return NONE
    return f"{_number(interval.value)} [{_number(interval.low)}, {_number(interval.high)}]"


def _number(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _cells(row: Row) -> list[str]:
    """What stands beside the statement."""
    probability = NONE if row.adjusted is None else f"{row.adjusted:.2g}"
    verdict = f"{MARKS[row.verdict]} {row.verdict}"
    return [shown(row.value), shown(row.control), shown(row.effect), probability, verdict, str(len(row.seeds))]


# -- Markdown ----------------------------------------------------------------------------------------------------------


def _markdown(stage: ClaimsStage, evidence: Evidence, rows: Sequence[Row]) -> str:
    parts = [f"# {marked_up(stage.experiment)}: claims", f"{_counts(rows)}.", marked_up(_setup(stage, evidence))]
    parts.append(marked_up(_rule(stage)))
    by_name = {row.claim.name: row for row in rows}
    for title, claims in SECTIONS.items():
        lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
        lines += [_line(by_name[claim.name]) for claim in claims]
        parts += [f"## {title}", "\n".join(lines)]
    parts += ["## How each is measured", *(_how(row) for row in rows)]
    return "\n\n".join(parts) + "\n"


def _line(row: Row) -> str:
    return f"| {' | '.join(marked_up(text) for text in (row.claim.statement, *_cells(row)))} |"


def _how(row: Row) -> str:
    claim = row.claim
    lines = {
        "source": claim.figure,
        "measured": claim.value,
        "control": claim.control,
        "holds where": claim.rule,
        "verdict": f"{row.verdict}: {row.why}",
        "would be decided by": claim.decides,
    }
    return "\n".join(
        [f"**{marked_up(claim.statement)}**", "", *(f"- {key}: {marked_up(text)}" for key, text in lines.items())]
    )


# -- the page ----------------------------------------------------------------------------------------------------------


def _divergences(evidence: Evidence, out: Path) -> str:
    """Writes divergence.png where divergence was measured; the figure for the page, or nothing."""
    found = looked(evidence)
    if not found:
        return ""
    with matplotlib.rc_context(STYLE):
        figure = picture(found)
        save_png(figure, out / DIVERGENCE_FILE)
        svg = inline(figure, "divergences", "Divergence from the base by method, and over the course of training")
    caption = "Divergence from the base <small>by method, and over the course of training</small>"
    return f"<figure><figcaption>{caption}</figcaption>{svg}</figure>"


def _page(stage: ClaimsStage, root: Path, evidence: Evidence, rows: Sequence[Row], drawn: str) -> str:
    by_name = {row.claim.name: row for row in rows}
    tables = [_table(title, [by_name[claim.name] for claim in claims]) for title, claims in SECTIONS.items()]
    title, text = html.escape(stage.experiment), html.escape
    body = [
        f"<h1>{title} <small>claims</small></h1>",
        f'<p class="lead">{text(_counts(rows))}.</p>',
        f"<p>{text(_setup(stage, evidence))}</p>",
        '<nav><a href="index.html">Results of all models</a></nav>',
        *tables,
        f'<p class="note">{text(_rule(stage))}</p>',
        drawn,
        "<h2>What the analyses saw</h2>",
        f'<div class="wide">{"".join(_pictures(stage, root))}</div>',
    ]
    return document(f"{stage.experiment}: claims", "\n".join(body))


def _table(title: str, rows: Sequence[Row]) -> str:
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in HEAD)
    lines = "".join(f"<tr>{_statement(row)}{''.join(map(_cell, _cells(row)))}</tr>" for row in rows)
    return (
        f'<h2>{html.escape(title)}</h2><div class="scroll"><table class="claims"><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _statement(row: Row) -> str:
    claim, text = row.claim, html.escape
    details = {
        "Source": claim.figure,
        "Measured": claim.value,
        "Control": claim.control,
        "Holds where": claim.rule,
        "Why this verdict": row.why,
        "Would be decided by": claim.decides,
    }
    inside = "".join(f"<br><b>{text(key)}</b> {text(value)}" for key, value in details.items())
    return (
        f'<th scope="row" id="{claim.name}"><details><summary>{text(claim.statement)}</summary>'
        f"<small>{inside.removeprefix('<br>')}</small></details></th>"
    )


def _cell(value: str) -> str:
    """An interval goes under its value; verdicts are coloured."""
    number, _, interval = html.escape(value).partition(" [")
    heat = {"✓": ' class="gain" style="--heat: .3"', "✗": ' class="loss" style="--heat: .3"'}.get(value[:1], "")
    return f"<td{heat}>{number}{f'<small>[{interval}</small>' if interval else ''}</td>"


def _pictures(stage: ClaimsStage, root: Path) -> Iterable[str]:
    for made in stage.analyses:
        path = root / ANALYSIS / made.name / "picture.svg"
        if path.is_file():
            caption = f"{html.escape(made.name)} <small>{html.escape(f'{made.type}, seed {made.seed}')}</small>"
            yield f"<figure><figcaption>{caption}</figcaption>{path.read_text(encoding='utf-8')}</figure>"
