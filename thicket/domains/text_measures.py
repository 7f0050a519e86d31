"""What the checks of verifiable instructions count and look for in a text: plain operations in linear time."""

import json
import re
import unicodedata
from collections import Counter

ABBREVIATIONS = frozenset(
    {"mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr", "vs", "etc", "e.g", "i.e", "inc", "ltd", "co"}
)
"""Words whose full stop ends no sentence."""
CLOSING = "\"'”’)]*_"
"""What may follow the punctuation of a sentence's last word."""
OPENING = "\"'“‘([*_"
"""What may precede a sentence's word."""


def words(text: str) -> int:
    """Runs of letters, digits and underscores."""
    return len(re.findall(r"\w+", text))


def sentences(text: str) -> int:
    """Words that end in . ! or ?, but for abbreviations and initials; a rest after the last counts as well.

    The number of a list's entry ("1.") counts too: IFEval's own splitter (Punkt) takes it for a sentence.
    """
    ends = [_ends_sentence(word) for word in text.split()]
    return sum(ends) + (bool(ends) and not ends[-1])


def _ends_sentence(word: str) -> bool:
    bare = word.rstrip(CLOSING)
    stem = bare.rstrip(".").lower().lstrip(OPENING)
    short = (len(stem) == 1 and stem.isalpha()) or stem in ABBREVIATIONS
    return bare.endswith(("!", "?")) or (bare.endswith(".") and not short)


def capital_words(text: str) -> int:
    """Words without a lower-case letter; what hyphens, apostrophes and full stops join is one word."""
    return sum(word.isupper() for word in re.findall(r"\w+(?:[-'’.]\w+)*", text))


def occurrences(text: str, word: str) -> int:
    """Times that a word or phrase stands in the text, inside longer words too; letter case doesn't count."""
    return text.lower().count(word.lower())


def has_whole_word(text: str, word: str) -> bool:
    """Whether a word or phrase stands in the text outside longer words; letter case doesn't count."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE) is not None


def highlights(text: str) -> int:
    """Passages in single or double asterisks, within a line and not blank."""
    passages = re.findall(r"\*([^\n*]*)\*", text) + re.findall(r"\*\*([^\n*]*)\*\*", text)
    return sum(bool(passage.strip()) for passage in passages)


def placeholders(text: str) -> int:
    """Passages in square brackets, within a line."""
    return len(re.findall(r"\[[^\[\]\n]*\]", text))


def sections(text: str, heading: str) -> int:
    """Times that the heading's word stands before a number."""
    return len(re.findall(rf"{re.escape(heading)}\s?\d+", text))


def bullets(text: str) -> int:
    """Lines that begin with a hyphen, or with one asterisk and something after it."""
    lines = [line.strip() for line in text.split("\n")]
    return sum(line.startswith("-") or (line.startswith("*") and line[1:2] not in ("", "*")) for line in lines)


def has_title(text: str) -> bool:
    """Whether a line holds <<something>>."""
    return any(_title(line) for line in text.split("\n"))


def _title(line: str) -> str:
    start, end = line.find("<<"), line.rfind(">>")
    return line[start:end].strip("<> \t") if 0 <= start < end else ""


def is_json(text: str) -> bool:
    """Whether the text is JSON, as it is or in a fenced block."""
    body = text.strip()
    if body.startswith("```"):
        body = re.sub("^json", "", body.removeprefix("```").removesuffix("```"), flags=re.IGNORECASE)
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def parts(text: str, separator: str) -> list[str]:
    """The parts between separators, stripped; a blank first or last one is left out."""
    found = [part.strip() for part in text.split(separator)]
    return found[not found[0] : len(found) - (not found[-1])]


def first_word(paragraph: str) -> str:
    """The first word in lower case, without quotation marks before it and up to the first punctuation."""
    word = paragraph.split()[0].lstrip("\"'")
    return re.split(r"[.,?!'\"]", word)[0].lower()


def paragraphs(text: str) -> int:
    """Parts with something in them, between blank lines."""
    return sum(bool(part.strip()) for part in re.split(r"\n[ \t]*\n", text))


def distinct_share(text: str, n: int) -> float:
    """Share of different n-grams among all n-grams of words; letter case doesn't count. A text without any has 1."""
    found = re.findall(r"\w+", text.lower())
    grams = [tuple(found[place : place + n]) for place in range(len(found) - n + 1)]
    return len(set(grams)) / len(grams) if grams else 1.0


def script_share(text: str, script: str) -> float:
    """Share of the letters whose Unicode names begin with the script's; a text without letters has 0."""
    letters = {letter: count for letter, count in Counter(text).items() if letter.isalpha()}
    own = sum(count for letter, count in letters.items() if unicodedata.name(letter, "").split(" ")[0] == script)
    return own / sum(letters.values()) if letters else 0.0
