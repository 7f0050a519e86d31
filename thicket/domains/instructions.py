"""Verifiable instructions in the form of IFEval (Zhou et al. 2023, arXiv 2311.07911): a check for each kind.

A check takes the response and the instruction's arguments, under IFEval's names (with its spelling `section_spliter`).
All are plain text operations: no model, no download. For that, some differ from the original: the letter cases don't
ask which language it is, sentences are counted by their punctuation rather than by a trained splitter, and keywords are
text rather than regular expressions. `language:response_language` needs a model and is left out.
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from thicket.config.problems import nearest
from thicket.domains import text_measures as measure

Arguments = dict[str, Any]
RELATIONS: dict[str, Callable[[int, int], bool]] = {"at least": operator.ge, "less than": operator.lt}
ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
"""The options of `detectable_format:constrained_response`, which are the same in every prompt of IFEval."""


def _holds(relation: str, count: int, bound: int) -> bool:
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {relation!r}; allowed: {', '.join(RELATIONS)}")
    return RELATIONS[relation](count, bound)


def _capital_words(text: str, capital_relation: str, capital_frequency: int) -> bool:
    return _holds(capital_relation, measure.capital_words(text), capital_frequency)


def _frequency(text: str, relation: str, keyword: str, frequency: int) -> bool:
    return _holds(relation, measure.occurrences(text, keyword), frequency)


def _letter_frequency(text: str, let_relation: str, letter: str, let_frequency: int) -> bool:
    return _holds(let_relation, measure.occurrences(text, letter), let_frequency)


def _sentences(text: str, relation: str, num_sentences: int) -> bool:
    return _holds(relation, measure.sentences(text), num_sentences)


def _words(text: str, relation: str, num_words: int) -> bool:
    return _holds(relation, measure.words(text), num_words)


def _first_word(text: str, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    paragraphs = [part for part in text.split("\n\n") if part.strip()]
    if len(paragraphs) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    return measure.first_word(paragraphs[nth_paragraph - 1]) == first_word.lower()


def _paragraphs(text: str, num_paragraphs: int) -> bool:
    parts = measure.parts(text, "***")
    return len(parts) == num_paragraphs and all(parts)


def _two_responses(text: str) -> bool:
    parts = measure.parts(text, "******")
    return len(parts) == 2 and all(parts) and parts[0] != parts[1]


def _postscript(text: str, postscript_marker: str) -> bool:
    """The marker in either case, with or without a space after each full stop."""
    return re.search(re.escape(postscript_marker.strip()).replace(r"\.", r"\.\s?"), text, re.IGNORECASE) is not None


def _ends_with(text: str, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def _repeats(text: str, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def _quoted(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and bare[0] == bare[-1] == '"'


CHECKS: dict[str, Callable[..., bool]] = {
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text: text.isupper(),
    "change_case:english_lowercase": lambda text: text.islower(),
    "combination:repeat_prompt": _repeats,
    "combination:two_responses": _two_responses,
    "detectable_content:number_placeholders": lambda text, num_placeholders: (
        measure.placeholders(text) >= num_placeholders
    ),
    "detectable_content:postscript": _postscript,
    "detectable_format:constrained_response": lambda text: any(answer in text for answer in ANSWERS),
    "detectable_format:json_format": measure.is_json,
    "detectable_format:multiple_sections": lambda text, section_spliter, num_sections: (
        measure.sections(text, section_spliter) >= num_sections
    ),
    "detectable_format:number_bullet_lists": lambda text, num_bullets: measure.bullets(text) == num_bullets,
    "detectable_format:number_highlighted_sections": lambda text, num_highlights: (
        measure.highlights(text) >= num_highlights
    ),
    "detectable_format:title": measure.has_title,
    "keywords:existence": lambda text, keywords: all(measure.occurrences(text, word) for word in keywords),
    "keywords:forbidden_words": lambda text, forbidden_words: (
        not any(measure.has_whole_word(text, word) for word in forbidden_words)
    ),
    "keywords:frequency": _frequency,
    "keywords:letter_frequency": _letter_frequency,
    "length_constraints:nth_paragraph_first_word": _first_word,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_words": _words,
    "punctuation:no_comma": lambda text: "," not in text,
    "startend:end_checker": _ends_with,
    "startend:quotation": _quoted,
}


def require_known(kinds: Iterable[str], place: str) -> None:
    """Raises: ValueError, naming the place, for a kind that has no check here."""
    for kind in kinds:
        if kind not in CHECKS:
            meant = nearest(kind, list(CHECKS))
            allowed = ", ".join(CHECKS) + (f"; did you mean: {meant}" if meant else "")
            raise ValueError(f"{place}: the instruction kind {kind!r} can't be checked here; allowed: {allowed}")


def require_arguments(kind: str, arguments: Arguments, place: str) -> None:
    """Tries the check on a short text. Raises: ValueError, naming the place, where the arguments aren't the kind's."""
    try:
        CHECKS[kind]("text", **arguments)
    except (TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"{place}: the arguments {arguments} of {kind} don't fit: {error}") from None


def follows(response: str, kind: str, arguments: Arguments, loose: bool) -> bool:
    """Whether a response follows an instruction; a blank response follows none.

    Loose (arXiv 2311.07911 §2) accepts it as well without its first line, its last line or both, and without asterisks:
    eight texts, of which one has to follow.
    """
    texts = _variants(response) if loose else [response]
    return any(text.strip() != "" and CHECKS[kind](text, **arguments) for text in texts)


def _variants(response: str) -> list[str]:
    lines = response.split("\n")
    texts = [response, *("\n".join(rest).strip() for rest in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*texts, *(text.replace("*", "") for text in texts)]
