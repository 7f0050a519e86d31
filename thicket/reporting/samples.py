"""Samples of trainings as a section of the page: what a model was asked, what it learned from, what was said of that.

Their texts are a model's: they are escaped, signs that nobody sees stand as their codes, and each is set apart so that
one written from right to left turns nothing around it.
"""

import html
from collections.abc import Callable, Sequence

from thicket.config.problems import printable
from thicket.config.shown import DEMONSTRATION, Shown
from thicket.reporting.results import Results
from thicket.reporting.text import NONE

LINE_END = "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
COLUMNS: dict[str, Callable[[Shown], str | None]] = {
    "reward": lambda one: None if one.reward is None else f"{one.reward:.3g}",
    "right": lambda one: None if one.correct is None else "yes" if one.correct else "no",
    "nats from teachers": lambda one: None if one.divergence is None else f"{one.divergence:.3g}",
    "tokens": lambda one: str(one.tokens),
    "domain": lambda one: one.domain,
}
"""Head → what it says of a sample beside its texts, which come first, so that a phone shows them; None where nothing
is known. A column of which nothing is known is left out."""


def samples(results: Results) -> str:
    """A table a model, folded; nothing where no training left samples."""
    return "".join(
        of_model(results.label(name), result.shown) for name, result in results.models.items() if result.shown
    )


def of_model(name: str, shown: Sequence[Shown]) -> str:
    """A model's table, folded."""
    told = {text: say for text, say in COLUMNS.items() if any(say(one) is not None for one in shown)}
    head = "".join(f'<th scope="col">{text}</th>' for text in ("step", "prompt", "response", *told))
    rows = "".join(_row(one, [say(one) for say in told.values()]) for one in shown)
    return (
        f"<details><summary>{html.escape(name)} <small>{len(shown)} samples</small></summary>"
        f'<div><h3 hidden>{html.escape(name)}</h3><div class="scroll"><table class="samples"><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></div></details>"
    )


def _row(one: Shown, told: list[str | None]) -> str:
    by = "" if one.writer is None else f"<small>{_writer(one.writer)}</small>"
    plain = "".join(f"<td>{NONE if text is None else html.escape(text)}</td>" for text in told)
    return f"<tr><td>{one.step}</td><td>{_text(one.prompt)}</td><td>{_text(one.response)}{by}</td>{plain}</tr>"


def _writer(name: str) -> str:
    return name if name == DEMONSTRATION else f"by {html.escape(name)}"


def _text(text: str) -> str:
    """Line ends that nobody would see, since nothing comes after them, stand as signs."""
    body = text.rstrip("\n")
    return f"<bdi>{html.escape(printable(body))}{LINE_END * (len(text) - len(body))}</bdi>"
