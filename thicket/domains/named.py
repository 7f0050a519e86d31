"""Which options a text names: those that it announces, or else those that stand alone in it."""

import re
from dataclasses import dataclass

from thicket.domains.digits import ascii_signs

_SETTING = re.compile(r"[*_`$\"“”]|\\(?:text|textbf|mathrm|mathbf)(?![a-zA-Z])")
"""What sets a letter off in Markdown, LaTeX or print."""
_ANNOUNCING = re.compile(
    r"(?:\b(?:answer|option|choice)\s*+(?:(?:is|was|would\sbe|should\sbe|must\sbe)\b\s*+[:=]?|[:=-])\s*+"
    r"(?:(?:the\s++)?(?:option|choice|letter)\b\s*+)?|\\(?:boxed|fbox)\s*+)[\s({\[]*+",
    re.IGNORECASE,
)
_LINE_START = re.compile(r"^[ \t({\[]*+", re.MULTILINE)
_LINE_END = re.compile(r"[ \t)}\].:!]*+$", re.MULTILINE)
_END = re.compile(r"[ \t)}\]]*+(?:[.,;:!?/&\n]|\Z|(?:and|or)\b)", re.IGNORECASE)
"""What may follow a letter that isn't the article of "the answer is a guess"."""
_JOINT = re.compile(r"[\s)}\]]*+(?:,?\s*+(?:and|or)\b|[/&+])\s*+(?:(?:option|choice)\s++)?[({\[]*+", re.IGNORECASE)
_COMMA = re.compile(r"[\s)}\]]*+,\s*+[({\[]*+")
_NOTHING = "(?!)"
"""Matches nowhere."""


@dataclass(frozen=True)
class _Group:
    """Options named together, and where they stand."""

    start: int
    end: int
    options: frozenset[str]


def named(response: str, options: str | list[str]) -> list[frozenset[str]]:
    """The options that count, in order; those named together ("A and B") in one set. Letters, or words in any case.

    Announced is an option behind "answer is", "answer:" and the like, in a \\boxed{…}, or on a line of its own; where
    one is, no other counts. All have to stand alone: joined to no word, directly or by a hyphen or apostrophe, and not
    behind "not". "And", "or" and a stroke name options together, between letters a comma too. A letter in the other
    case counts as "(a)", and where it is announced or begins a line and a bracket, a stop or nothing follows.
    """
    text = _SETTING.sub("", ascii_signs(response))
    announcements = {match.end() for match in _ANNOUNCING.finditer(text)}
    lines = {match.end() for match in _LINE_START.finditer(text)}
    joints = (_JOINT, _COMMA) if isinstance(options, str) else (_JOINT,)
    groups: list[_Group] = []
    for match in _alone(options).finditer(text):
        start, end = match.span()
        joined = bool(groups) and any(joint.fullmatch(text, groups[-1].end, start) for joint in joints)
        begins = start in announcements or start in lines
        expected = (joined or begins) and _END.match(text, end)
        if match["other"] and not expected and not _bracketed(text, start, end, begins):
            continue
        before = groups.pop() if joined else _Group(start, end, frozenset())
        groups.append(_Group(before.start, end, before.options | {_option(options, match)}))
    announced = [
        group
        for group in groups
        if group.start in announcements or (group.start in lines and _LINE_END.match(text, group.end))
    ]
    return [group.options for group in announced or groups]


def _alone(options: str | list[str]) -> re.Pattern[str]:
    """An option (`own`) or a letter in its other case (`other`) that stands alone."""
    if isinstance(options, str):
        others = sorted(set(options.swapcase()) - set(options))
        own, other = f"[{options}]", f"[{''.join(others)}]" if others else _NOTHING
    else:
        # A group an option: which of them matched tells the option, by the search's own rule of letter cases, to which
        # those that `casefold` tells apart (İ and i) are one.
        own, other = f"(?i:{'|'.join(f'({re.escape(option)})' for option in options)})", _NOTHING
    either = f"(?P<own>{own})|(?P<other>{other})"
    return re.compile(rf"(?<!\w)(?<!\w['’-])(?<!\b(?i:not)\s)(?<!\b(?i:not)\s\()(?:{either})(?!\w|['’-]\w)")


def _option(options: str | list[str], match: re.Match[str]) -> str:
    """The option that was found, as it is given."""
    if isinstance(options, str):
        return match["own"] or match["other"].swapcase()
    groups = match.groups()[1:]  # behind `own`, which holds them
    return next(option for option, found in zip(options, groups, strict=False) if found is not None)


def _bracketed(text: str, start: int, end: int, begins: bool) -> bool:
    """(a), but not f(a); and a) where it begins a line or is announced."""
    before = text[max(0, start - 2) : start]
    opened = before.endswith("(") and not before[:-1].isalnum()
    return text[end : end + 1] == ")" and (opened or begins)
