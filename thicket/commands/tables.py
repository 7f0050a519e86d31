"""The command tables: scores and claims, for a text or a spreadsheet."""

import csv
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from thicket.commands.about import abouts
from thicket.commands.models import aged, declared, is_gone, outdated_words, scores_outdated
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, REPORT
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.plan import console
from thicket.plan.pipeline import pipeline
from thicket.plan.state import states
from thicket.reporting.claims.page import shown
from thicket.reporting.inputs import interval_of
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


def tables(root: Path, which: str | None, format: str) -> None:
    """Prints them. Raises: ConfigError where a CSV file is to hold two; ValueError where there is none yet."""
    if format == "csv" and which is None:
        wrong = "a CSV file holds one table: which?"
        raise ConfigError([Problem(COMMAND_LINE, "--format", "'csv'", wrong, ", ".join(TABLES))])
    made = [make(root) for name, make in TABLES.items() if which in (None, name)]
    found = [one for one in made if one is not None]
    if not found:
        if which == "claims":
            raise ValueError("no claim is judged yet: `dvc repro` does that where params.yaml declares analyses")
        raise ValueError("nothing is scored yet: `dvc repro` makes the scores")
    sys.stdout.write("\n".join(FORMATS[format](one) for one in found))


def scores(root: Path) -> Table | None:
    """A row a model and domain that is scored; which scores are of an earlier model goes to standard error too."""
    rows, numbers, figures = list[list[str]](), list[list[object]](), dict[str, None]()
    models = declared(root)
    told = abouts(models.values())
    metrics = {name: root / EVALUATION / name / "metrics.json" for name in models}
    read = {name: console.read_json(path) for name, path in metrics.items() if path.is_file()}
    for one in read.values():
        for k in one["settings"]["ks"]:
            figures[f"pass@{k}"] = None
    names, outdated = [*figures, GREEDY], [name for name in read if scores_outdated(root, name)]
    for name, made in models.items():
        for domain, found in read.get(name, {"domains": {}})["domains"].items():
            cells = [interval_of(found, figure) if figure in found else None for figure in names]
            rows.append([aged(name, name in outdated, is_gone(root, name)), told[name], domain, *map(_scored, cells)])
            flat = [found.get(f"{figure}{suffix}", "") for figure in names for suffix in SUFFIXES]
            numbers.append([name, made.kind, domain, *flat, found["items"], int(name in outdated)])
    if not rows:
        return None
    flat_head = [f"{figure}{suffix}" for figure in names for suffix in SUFFIXES]
    if outdated:
        print(outdated_words(root, outdated), file=sys.stderr)
    head: list[object] = ["model", "kind", "domain", *flat_head, "items", "scores_outdated"]
    return Table("Scores, %", ["model", "what it is", "domain", *names], rows, [head, *numbers])


def claims(root: Path) -> Table | None:
    """A row a statement of the table of claims; where they are older than what they rest on, standard error says so."""
    path = root / REPORT / "claims.json"
    if not path.is_file():
        return None
    for state in states(root, pipeline(Project(root))):
        if state.planned.resolved.kind == "claims" and state.mark != "done":
            print(f"The claims are not those of now ({state.why[0]}): `dvc repro claims` judges anew.", file=sys.stderr)
    rows, numbers = list[list[str]](), list[list[object]]()
    for name, row in console.read_json(path)["claims"].items():
        found = [Interval(**row[key]) if row[key] else None for key in ("value", "control", "effect")]
        p = row["adjusted"]
        rows.append([row["statement"], *map(shown, found), "—" if p is None else f"{p:.2g}", row["verdict"]])
        flat = [bound for one in found for bound in ((one.value, one.low, one.high) if one else ("", "", ""))]
        numbers.append([name, row["statement"], *flat, "" if p is None else p, row["verdict"], len(row["seeds"])])
    flat_head = [f"{key}{suffix}" for key in ("measured", "control", "effect") for suffix in SUFFIXES]
    head: list[object] = ["claim", "statement", *flat_head, "p_holm", "verdict", "seeds"]
    return Table(
        "Claims", ["statement", "measured", "control", "effect", "p (Holm)", "verdict"], rows, [head, *numbers]
    )


TABLES: dict[str, Callable[[Path], Table | None]] = {"scores": scores, "claims": claims}


def _scored(interval: Interval | None) -> str:
    return "—" if interval is None else f"{percent(interval.value)} {percent_interval(interval)}"


def markdown(table: Table) -> str:
    """With a heading."""
    lines = [list(map(escaped, row)) for row in (table.head, *table.rows)]
    lines.insert(1, ["---"] * len(table.head))
    return "\n".join([f"## {escaped(table.title)}", "", *(f"| {' | '.join(line)} |" for line in lines), ""])


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
    lines = [f"% {table.title}; needs \\usepackage{{booktabs}}", f"\\begin{{tabular}}{{{columns}}}", "\\toprule", head]
    return "\n".join([*lines, "\\midrule", *body, "\\bottomrule", "\\end{tabular}", ""])


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text.replace("—", "---"))


FORMATS: dict[str, Callable[[Table], str]] = {"markdown": markdown, "csv": as_csv, "latex": latex}
