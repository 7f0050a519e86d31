"""A small grammar of prompts with verifiable instructions: a form × a topic × one or more instructions in words.

The counts are small, so that a small model can follow them in a response of about a hundred tokens.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from thicket.domains import vocabulary
from thicket.domains.instructions import ANSWERS, Arguments

FEW = (2, 4)
"""Range of the number of sentences, bullet points, paragraphs, sections, highlights, placeholders and words."""
LETTER_TIMES = (4, 8)
"""Range of how often a letter appears."""
LONG = (40, 60)
"""Range of the fewest words of a longer response."""
SHORT = (15, 30)
"""Range of the number of words that a short response stays below."""

Instruction = tuple[str, Arguments]
"""The instruction in words, and the arguments of its check."""
Draw = Callable[[random.Random, str], Instruction]
"""(generator, request) → an instruction for that request."""


def _fixed(words: str) -> Draw:
    return lambda rng, request: (words, {})


def _counted(words: str, argument: str, bounds: tuple[int, int] = FEW, **rest: str) -> Draw:
    def draw(rng: random.Random, request: str) -> Instruction:
        count = rng.randint(*bounds)
        return words.format(count), {**rest, argument: count}

    return draw


def _picked(words: str, argument: str, options: tuple[str, ...]) -> Draw:
    def draw(rng: random.Random, request: str) -> Instruction:
        option = rng.choice(options)
        return words.format(option), {argument: option}

    return draw


def _two_words(words: str, argument: str, options: tuple[str, ...]) -> Draw:
    def draw(rng: random.Random, request: str) -> Instruction:
        pair = rng.sample(options, 2)
        return words.format(*pair), {argument: pair}

    return draw


def _frequency(rng: random.Random, request: str) -> Instruction:
    word, count = rng.choice(vocabulary.WORDS), rng.randint(*FEW)
    arguments = {"relation": "at least", "keyword": word, "frequency": count}
    return f"Use the word {word} at least {count} times.", arguments


def _letters(rng: random.Random, request: str) -> Instruction:
    letter, count = rng.choice(vocabulary.LETTERS), rng.randint(*LETTER_TIMES)
    arguments = {"let_relation": "at least", "letter": letter, "let_frequency": count}
    return f"Use the letter {letter} at least {count} times.", arguments


def _sections(rng: random.Random, request: str) -> Instruction:
    heading, count = rng.choice(vocabulary.HEADINGS), rng.randint(*FEW)
    arguments = {"section_spliter": heading, "num_sections": count}
    return f"Divide it into at least {count} parts with the headings {heading} 1, {heading} 2 and so on.", arguments


def _first_word(rng: random.Random, request: str) -> Instruction:
    word, count = rng.choice(vocabulary.WORDS), rng.randint(*FEW)
    arguments = {"num_paragraphs": count, "nth_paragraph": 1, "first_word": word}
    return f"Write exactly {count} paragraphs with blank lines between them, and begin with the word {word}.", arguments


def _length(rng: random.Random, request: str) -> Instruction:
    relation, words, bounds = rng.choice([("at least", "at least", LONG), ("less than", "fewer than", SHORT)])
    count = rng.randint(*bounds)
    return f"Use {words} {count} words.", {"relation": relation, "num_words": count}


@dataclass(frozen=True)
class Wording:
    """How an instruction of one kind is worded."""

    aspects: frozenset[str]
    """What it is about. Two instructions about one thing could contradict each other, so they never meet."""
    draw: Draw


def _about(aspects: str, draw: Draw) -> Wording:
    return Wording(frozenset(aspects.split()), draw)


ALONE = "case layout asterisks words length punctuation brackets title start end"
"""Every aspect: an instruction about the whole response stands alone."""
WORDINGS = {
    "change_case:capital_word_frequency": _about(
        "case",
        _counted("Put at least {} words in capital letters.", "capital_frequency", capital_relation="at least"),
    ),
    "change_case:english_capital": _about("case", _fixed("Write all of it in capital letters.")),
    "change_case:english_lowercase": _about("case", _fixed("Write all of it in lower-case letters, without capitals.")),
    "combination:repeat_prompt": _about(
        ALONE,
        lambda rng, request: (
            "Before you answer, repeat the first sentence word for word.",
            {"prompt_to_repeat": request},
        ),
    ),
    "combination:two_responses": _about(
        ALONE, _fixed("Give two different answers, with six asterisks between them: ******")
    ),
    "detectable_content:number_placeholders": _about(
        "brackets", _counted("Leave at least {} blanks in square brackets, such as [name].", "num_placeholders")
    ),
    "detectable_content:postscript": _about(
        "end", _picked("At the end, add a postscript that begins with {}", "postscript_marker", vocabulary.POSTSCRIPTS)
    ),
    "detectable_format:constrained_response": _about(
        ALONE, _fixed(f"Then say whether you would recommend it, in one of these sentences: {' '.join(ANSWERS)}")
    ),
    "detectable_format:json_format": _about(ALONE, _fixed("Give the whole answer as JSON.")),
    "detectable_format:multiple_sections": _about("layout case", _sections),
    "detectable_format:number_bullet_lists": _about(
        "layout", _counted("Write exactly {} bullet points, on lines that begin with an asterisk.", "num_bullets")
    ),
    "detectable_format:number_highlighted_sections": _about(
        "asterisks", _counted("Highlight at least {} phrases with asterisks, *like this*.", "num_highlights")
    ),
    "detectable_format:title": _about("title", _fixed("Give it a title in double angular brackets, <<like this>>.")),
    "keywords:existence": _about("words", _two_words("Use the words {} and {}.", "keywords", vocabulary.WORDS)),
    "keywords:forbidden_words": _about(
        "words", _two_words("Use neither the word {} nor the word {}.", "forbidden_words", vocabulary.FORBIDDEN)
    ),
    "keywords:frequency": _about("words", _frequency),
    "keywords:letter_frequency": _about("words", _letters),
    "length_constraints:nth_paragraph_first_word": _about("layout start", _first_word),
    "length_constraints:number_paragraphs": _about(
        "layout asterisks",
        _counted("Write exactly {} paragraphs, with three asterisks between them: ***", "num_paragraphs"),
    ),
    "length_constraints:number_sentences": _about(
        "length", _counted("Write at least {} sentences.", "num_sentences", relation="at least")
    ),
    "length_constraints:number_words": _about("length", _length),
    "punctuation:no_comma": _about("punctuation", _fixed("Use no commas.")),
    "startend:end_checker": _about(
        "end", _picked("End with exactly these words: {}", "end_phrase", vocabulary.ENDINGS)
    ),
    "startend:quotation": _about("start end", _fixed("Put all of it in double quotation marks.")),
}


def draw_request(rng: random.Random, kinds: list[str], count: int) -> tuple[str, list[tuple[str, Arguments]]]:
    """A prompt, and its instructions as (kind, arguments): `count`, or as many as don't contradict each other."""
    request = rng.choice(vocabulary.FORMS).format(topic=rng.choice(vocabulary.TOPICS))
    chosen: list[str] = []
    for kind in rng.sample(kinds, len(kinds)):
        taken = frozenset().union(*(WORDINGS[other].aspects for other in chosen))
        if len(chosen) < count and not WORDINGS[kind].aspects & taken:
            chosen.append(kind)
    drawn = [WORDINGS[kind].draw(rng, request) for kind in chosen]
    prompt = " ".join([request, *(words for words, _ in drawn)])
    return prompt, [(kind, arguments) for kind, (_, arguments) in zip(chosen, drawn, strict=True)]
