"""The command tables: scores and claims, for a text or a spreadsheet."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thicket.commands.about import abouts
from thicket.commands.alike import alike
from thicket.commands.models import aged, declared, is_gone, outdated_words, scores_outdated
from thicket.commands.stale_scores import stale_scores, stale_words
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, PARAMS, REPORT
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.plan import console
from thicket.plan.pipeline import pipeline
from thicket.plan.state import states
from thicket.reporting.claims.page import shown
from thicket.reporting.inputs import interval_of, read_scores
from thicket.reporting.markdown import escaped
from thicket.reporting.results import GREEDY
from thicket.reporting.text import percent, percent_interval
from thicket.statistics.intervals import Interval

LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "−": "$-$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "σ": r"$\sigma$",
    "θ": r"$\theta$",
    "δ": r"$\delta$",
    "½": r"$\frac12$",
    "\N{NO-BREAK SPACE}": "~",
}
"""Characters that LaTeX takes for something else, and what it shows them by."""
SUFFIXES = ("", "_low", "_high")


@dataclass(frozen=True)
class Table:
    """A table of text, and the same for programs, with a number in each cell."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[Sequence[object]]
    """Its first row is the head."""
    note: str = ""
    """What its rows are not alike in."""


def tables(root: Path, which: str | None, format: str) -> None:
    """Prints those that there are. Raises: ConfigError where a CSV file is to hold two; ValueError where there is none
    yet."""
    made = [make(root) for name, make in TABLES.items() if which in (None, name)]
    found = [one for one in made if one is not None]
    if format == "csv" and len(found) > 1:
        wrong = "a CSV file holds one table: which?"
        raise ConfigError([Problem(COMMAND_LINE, "--format", "'csv'", wrong, ", ".join(TABLES))])
    if not found:
        if which == "claims":
            raise ValueError("no claim is judged: `dvc repro` does that where params.yaml declares analyses")
        raise ValueError("nothing is scored yet: `dvc repro` makes the scores")
    sys.stdout.write("\n".join(FORMATS[format](one) for one in found))


def scores(root: Path) -> Table | None:
    """A row a model and domain that is scored; which scores are of an earlier model, are not those of now, or were made
    otherwise than others on the domain, goes to standard error too."""
    models = declared(root)
    scored = [name for name in models if (root / EVALUATION / name / "metrics.json").is_file()]
    if not scored:
        return None
    read = {name: read_scores(root / EVALUATION / name) for name in scored}
    ks = dict.fromkeys(k for one in read.values() for k in one.metrics["settings"]["ks"])
    figures = [*(f"pass@{k}" for k in ks), GREEDY]
    flat_head = [f"{figure}{suffix}" for figure in figures for suffix in SUFFIXES]
    told, outdated, made = abouts(models.values()), [name for name in read if scores_outdated(root, name)], alike(read)
    old = stale_words(stale_scores(states(root, pipeline(Project(root))), scored))
    for words in filter(None, (outdated_words(root, outdated), *old, made.note)):
        print(words, file=sys.stderr)
    rows: list[list[str]] = []
    head: list[object] = ["model", "kind", "domain", *flat_head, "items", "scores_outdated", "scored_as"]
    numbers = [head]
    for name, domain, found in ((name, *of) for name, one in read.items() for of in one.metrics["domains"].items()):
        cells = [interval_of(found, figure) if figure in found else None for figure in figures]
        way, is_old = made.ways[domain][name], name in outdated
        row = [aged(name, is_old, is_gone(root, name)), told[name], domain, *map(_scored, cells)]
        rows.append([*row, str(way)] if made.note else row)
        flat = [found.get(figure, "") for figure in flat_head]
        numbers.append([name, models[name].kind, domain, *flat, found["items"], int(is_old), way])
    apart = ["scored as"] if made.note else []
    return Table("Scores, %", ["model", "what it is", "domain", *figures, *apart], rows, numbers, made.note)


def claims(root: Path) -> Table | None:
    """A row a statement of the table of claims; whether what they rest on is newer goes to standard error too, and
    whose they are, where the project has none of its own."""
    path = root / REPORT / "claims.json"
    if not path.is_file():
        return None
    content, outdated = console.read_json(path), _why_outdated(root)
    if outdated is None:
        left = f"of the experiment {content['experiment']!r} and not shown: {PARAMS} declares no analyses to judge by"
        print(f"The claims in {path.relative_to(root)} are {left}.", file=sys.stderr)
        return None
    if outdated:
        print(f"The claims are not those of now: {outdated}.", file=sys.stderr)
    rows, numbers = list[list[str]](), list[list[object]]()
    for name, row in content["claims"].items():
        found = [Interval(**row[key]) if row[key] else None for key in ("value", "control", "effect")]
        p = row["adjusted"]
        verdict = f"{row['verdict']} (not of now)" if outdated else row["verdict"]
        rows.append([row["statement"], *map(shown, found), "—" if p is None else f"{p:.2g}", verdict])
        flat = [bound for one in found for bound in ((one.value, one.low, one.high) if one else ("", "", ""))]
        judged = ["" if p is None else p, row["verdict"], len(row["seeds"]), int(bool(outdated))]
        numbers.append([name, row["statement"], *flat, *judged])
    flat_head = [f"{key}{suffix}" for key in ("measured", "control", "effect") for suffix in SUFFIXES]
    head: list[object] = ["claim", "statement", *flat_head, "p_holm", "verdict", "seeds", "outdated"]
    return Table(
        "Claims", ["statement", "measured", "control", "effect", "p (Holm)", "verdict"], rows, [head, *numbers]
    )


def _why_outdated(root: Path) -> str | None:
    """Why the claims are not those of now, and what judges anew; empty where they are, None where nothing judges."""
    for state in states(root, pipeline(Project(root))):
        if state.planned.resolved.kind == "claims":
            return f"{state.why[0]} (`dvc repro claims` judges anew)" if state.why else ""
    return None


TABLES: dict[str, Callable[[Path], Table | None]] = {"scores": scores, "claims": claims}


def _scored(interval: Interval | None) -> str:
    return "—" if interval is None else f"{percent(interval.value)} {percent_interval(interval)}"


def markdown(table: Table) -> str:
    """With a heading."""
    lines = [list(map(escaped, row)) for row in (table.head, *table.rows)]
    lines.insert(1, ["---"] * len(table.head))
    note = ["", escaped(table.note)] * bool(table.note)
    return "\n".join([f"## {escaped(table.title)}", "", *(f"| {' | '.join(line)} |" for line in lines), *note, ""])


def as_csv(table: Table) -> str:
    """Numbers as they are, an interval in two columns of its own."""
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(table.numbers)
    return written.getvalue()


def latex(table: Table) -> str:
    """A `tabular` in the style of the package booktabs."""
    wide = table.head[0] == "statement"
    columns = ("p{0.4\\linewidth}" if wide else "l") + "l" * (len(table.head) - 1)
    body = [" & ".join(map(_latex, row)) + r" \\" for row in table.rows]
    head = " & ".join(map(_latex, table.head)) + r" \\"
    about = [f"% {table.title}; needs \\usepackage{{booktabs}}", *[f"% {table.note}"] * bool(table.note)]
    lines = [*about, f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head]
    return "\n".join([*lines, "\\midrule", *body, "\\bottomrule", "\\end{tabular}", ""])


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text.replace("—", "---"))


FORMATS: dict[str, Callable[[Table], str]] = {"markdown": markdown, "csv": as_csv, "latex": latex}
