"""Documents by writers of mixed skill, which a base model made in the pipeline is pretrained on."""

import random

from thicket.config.base import Corpus
from thicket.domains.item import item_id, split_of
from thicket.domains.sources.procedural import TASKS, question

Document = list[tuple[str, str]]
"""The problems of a document: the question's text, and what the writer answers, with a line break."""


def documents(corpus: Corpus, seed: int, step: int, count: int) -> list[Document]:
    """The documents of a training step."""
    rng = random.Random(f"corpus:{seed}:{step}")
    return [_document(corpus, rng) for _ in range(count)]


def _document(corpus: Corpus, rng: random.Random) -> Document:
    source = rng.choice(corpus.tasks)
    task = TASKS[source.task]
    solve = rng.choice(task.wrong) if rng.random() < corpus.wrong_share else task.solve
    document: Document = []
    while len(document) < corpus.problems:
        instance = task.draw(rng, rng.choice(source.levels))
        asked = question(source, instance)
        # Nobody writes about an item of the selection or test split.
        if split_of(item_id(asked), corpus.train_share, 0.0) == "train":
            document.append((corpus.template.replace("{question}", asked), f"{solve(instance)}\n"))
    return document
