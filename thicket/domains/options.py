"""The options of a multiple-choice row: its labels, which may be anything, become letters, or give way to the texts."""

from string import ascii_uppercase

from thicket.config.source import Choices
from thicket.domains.files import Row, text_of

Options = dict[str, str]
"""The row's own label of an option → its text, in the row's order; the first is A, the second B, …"""


def read_options(choices: Choices, row: Row) -> Options:
    """The options of a row. Raises: ValueError where they aren't two to 26 texts, each with a label of its own."""
    texts = _column(row, choices.text) if isinstance(choices.text, str) else [row[name] for name in choices.text]
    labels = range(1, len(texts) + 1) if choices.label is None else _column(row, choices.label)
    if len(texts) != len(labels) or not 2 <= len(texts) <= len(ascii_uppercase):
        found = f"{len(texts)} options and {len(labels)} labels"
        raise ValueError(f"{row.place}: {found}; allowed: 2 to {len(ascii_uppercase)} options, and a label for each")
    named = [text_of(label, row, str(choices.label)).strip() for label in labels]
    if len(set(named)) < len(named):
        raise ValueError(f"{row.place}: two options have one label; labels: {', '.join(named)}")
    return dict(zip(named, [text_of(text, row, str(choices.text)).strip() for text in texts], strict=True))


def _column(row: Row, column: str) -> list[object]:
    value = row[column]
    if not isinstance(value, list):
        raise ValueError(f"{row.place}: the column {column!r} holds {value!r:.60}; allowed: a list, an entry an option")
    return value


def lines(choices: Choices, options: Options) -> str:
    """`A. …`, `B. …`, or where an answer is a text `- …`, a line each."""
    if choices.answered == "text":
        return "\n".join(f"- {text}" for text in options.values())
    return "\n".join(f"{letter}. {text}" for letter, text in zip(ascii_uppercase, options.values(), strict=False))


def answer_of(choices: Choices, label: str, options: Options, row: Row) -> str:
    """The letter or the text of the option with this label. Raises: ValueError where there is none."""
    if label not in options:
        raise ValueError(f"{row.place}: the answer {label!r:.60} is no option's label; labels: {', '.join(options)}")
    return options[label] if choices.answered == "text" else ascii_uppercase[list(options).index(label)]
