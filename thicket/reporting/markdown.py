"""`results.md`: the tables of the report as Markdown."""

import re
from collections.abc import Collection

from thicket.reporting import costs, gains, inference, tables, ways
from thicket.reporting.findings import findings, how_made
from thicket.reporting.outdated import told
from thicket.reporting.results import AGED, Results
from thicket.reporting.tables import Entry, Table

PLAIN = r"\[[-+−\d., ]*\d\](?![(\[:])|(?<=[^\W_])_+(?=[^\W_])"
"""What looks like markup and is none: numbers in brackets, which no text of ours defines as a link; `_` in a word."""
SPECIAL = re.compile(rf"{PLAIN}|([\\`*_<>|#\[\]&])")
"""That, and, as a group, what Markdown, or HTML within it, would take for markup."""


def markdown(results: Results) -> str:
    """The whole text, with a newline at its end."""
    all_tables = [
        ways.consolidated(results),
        costs.students(results),
        tables.scores(results),
        ways.deployed(results),
        ways.sampled(results),
        gains.differences(results),
        gains.greedy_differences(results),
        *tables.attempts(results),
        *tables.levels(results),
        tables.lengths(results),
        costs.prices(results),
        inference.answers(results),
        costs.ledger(results),
        costs.origins(results),
    ]
    parts = [f"# {escaped(results.experiment)}: results", *_banner(results), escaped(findings(results))]
    parts += [section(table, results.outdated) for table in all_tables if table.rows]
    parts += ["## How the numbers were made", *map(escaped, how_made(results))]
    return "\n\n".join(parts) + "\n"


def _banner(results: Results) -> list[str]:
    """What is not as declared, where anything is not."""
    sentence, reasons = told(results)
    return [f"**{escaped(sentence)}**", "\n".join(f"- {escaped(why)}" for why in reasons)] if sentence else []


def section(table: Table, aged: Collection[str]) -> str:
    """A heading, a table, its note, and what the names in it are. `aged`: models whose rows get a mark."""
    lines = [_line([*map(escaped, (table.first, *table.head))]), _line(["---", *("---:" for _ in table.head)])]
    for row in table.rows:
        mark = "" if set(aged).isdisjoint(row.models) else f" {AGED}"
        lines.append(_line([f"{escaped(row.name)}{mark}", *map(_text, row.entries)]))
    terms = [f"- **{escaped(name)}**: {escaped(what)}" for name, what in table.terms]
    parts = [f"## {escaped(table.title)}", "\n".join(lines), escaped(table.note), "\n".join(terms)]
    return "\n\n".join(part for part in parts if part)


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return SPECIAL.sub(lambda found: f"\\{found[1]}" if found[1] else found[0], " ".join(text.split()))


def _text(entry: Entry) -> str:
    text = f"**{escaped(entry.text)}**" if entry.own else escaped(entry.text)
    if entry.detail and not entry.detail.startswith("["):  # Of its own, where a page has a second line.
        text += ","
    return " ".join(part for part in (text, escaped(entry.detail), entry.mark) if part)


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
