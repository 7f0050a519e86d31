"""A text keeps within every bound that is set."""

from thicket.config.verifier import Bounds, WritingVerifier
from thicket.domains import text_measures as measure
from thicket.domains.item import Item


def verify(config: WritingVerifier, response: str, item: Item) -> bool:
    """Correct if the response is not blank and every check holds; the item says nothing that they need."""
    text = response.strip()
    return text != "" and _sizes(config, text) and _phrases(config, text) and _letters(config, text)


def _sizes(config: WritingVerifier, text: str) -> bool:
    counted = (
        (config.words, measure.words),
        (config.sentences, measure.sentences),
        (config.paragraphs, measure.paragraphs),
    )
    return all(_within(bounds, count(text)) for bounds, count in counted)


def _within(bounds: Bounds, count: int) -> bool:
    return (bounds.least is None or count >= bounds.least) and (bounds.most is None or count <= bounds.most)


def _phrases(config: WritingVerifier, text: str) -> bool:
    return (
        all(measure.has_whole_word(text, phrase) for phrase in config.required)
        and not any(measure.has_whole_word(text, phrase) for phrase in config.forbidden)
        and text.startswith(config.starts_with or "")
        and text.endswith(config.ends_with or "")
    )


def _letters(config: WritingVerifier, text: str) -> bool:
    in_script = config.alphabet is None or measure.script_share(text, config.alphabet) >= config.alphabet_share
    return in_script and measure.distinct_share(text, config.ngram) >= config.distinct
