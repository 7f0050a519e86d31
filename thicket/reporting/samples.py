"""Samples of trainings as a section of the page: what a model was asked, what it answered, what it was given for it.

Their texts are a model's: they are escaped, signs that nobody sees stand as their codes, and each is set apart so that
one written from right to left turns nothing around it.
"""

import html

from thicket.config.problems import printable
from thicket.config.shown import Shown
from thicket.reporting.results import Results
from thicket.reporting.text import NONE

HEAD = ("step", "domain", "reward", "tokens", "prompt", "response")


def samples(results: Results) -> str:
    """A table a model, folded; nothing where no training left samples."""
    return "".join(_model(name, result.shown) for name, result in results.models.items() if result.shown)


def _model(name: str, shown: tuple[Shown, ...]) -> str:
    head = "".join(f'<th scope="col">{text}</th>' for text in HEAD)
    rows = "".join(map(_row, shown))
    return (
        f"<details><summary>{html.escape(name)} <small>{len(shown)} samples</small></summary>"
        f'<div><h3 hidden>{html.escape(name)}</h3><div class="scroll"><table class="samples"><thead><tr>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div></div></details>"
    )


def _row(one: Shown) -> str:
    reward = NONE if one.reward is None else f"{one.reward:.3g}"
    by = "" if one.own else "<small>by a teacher</small>"
    cells = (str(one.step), html.escape(one.domain), reward, str(one.tokens))
    plain = "".join(f"<td>{text}</td>" for text in cells)
    return f"<tr>{plain}<td>{_text(one.prompt)}</td><td>{_text(one.response)}{by}</td></tr>"


def _text(text: str) -> str:
    return f"<bdi>{html.escape(printable(text))}</bdi>"
