"""The arithmetic expressions that stand in a text, in whatever signs people, LaTeX and Markdown set them."""

import re

from thicket.domains.arithmetic import MAX_DEPTH
from thicket.domains.digits import ascii_signs

SIGNS = {"*": "×✕⨯·⋅∙•∗", "/": "÷∕⁄", "-": "\u2212\u2013\u2010\ufe63", "(": "[", ")": "]", " ": "`$\u00a0\u2009\u202f"}
"""Sign → what else it is written as; a back tick and a dollar sign only set an expression off."""
COMMANDS = {"times": "*", "cdot": "*", "ast": "*", "div": "/"} | dict.fromkeys(
    ("left", "right", "boxed", "fbox", "displaystyle", "quad", "qquad", "text"), " "
)
"""Command of LaTeX → what it means in an expression."""
_ONE_SIGN = str.maketrans({other: sign for sign, others in SIGNS.items() for other in others})
_COMMAND = re.compile(rf"\\(?P<name>{'|'.join(COMMANDS)})(?![a-zA-Z])|\\[,;:! ()\[\]]|\*\*")
_FRACTION = re.compile(r"\\[cdt]?frac\s*(?:\{([^{}]*)\}|([0-9]))\s*(?:\{([^{}]*)\}|([0-9]))")
_TIMES = re.compile(r"(?<=[0-9)])[ \t]*+[xX](?=[ \t]*+[0-9(])")
# What would change a number or an expression that it touches belongs to it, and then makes it none: 2^3, 1.5, f(3), 3!.
_RUN = re.compile(r"(?:[-+*/()=0-9 \t^!%√_]|(?<=[0-9])[.,](?=[0-9])|(?<=[0-9)])[^\W\d_]|[^\W\d_](?=[0-9(]))+")


def statements(text: str) -> list[str]:
    """The expressions and equations in a text, each once; the numbers in it where no operator stands by any.

    A number by itself is a remark where there is an expression: 3 + 4 (this equals 7).
    """
    runs = dict.fromkeys(_trimmed(run) for run in _RUN.findall(plain(text)) if re.search("[0-9]", run))
    return [run for run in runs if re.search("[-+*/]", run)] or list(runs)


def plain(text: str) -> str:
    """A text with the signs of `thicket.domains.arithmetic`, and without what only sets an expression off."""
    plain = _COMMAND.sub(lambda match: COMMANDS.get(match["name"], " "), ascii_signs(text))
    plain = plain.translate(_ONE_SIGN)
    for _ in range(MAX_DEPTH):  # The innermost fractions first.
        plain, found = _FRACTION.subn(r"((\1\2)/(\3\4))", plain)
        if not found:
            break
    plain = _TIMES.sub("*", plain.replace("{", "(").replace("}", ")"))
    return "=".join(side.strip() for side in plain.split("="))


def _trimmed(run: str) -> str:
    """A run of signs without the brackets of the words around it."""
    return " ".join(run.lstrip("=) \t").rstrip("=( \t").split())
