"""Stage *data*: a domain's items, split by hash, as JSON lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist

from thicket.config.domain import DataDomain, Prompt
from thicket.config.stages import DataStage
from thicket.domains.item import (
    SPLIT_NAMES,
    Item,
    Message,
    RawItem,
    SplitName,
    item_id,
    place_of,
    split_of,
    write_items,
)
from thicket.domains.registry import raw_items

PATIENCE = 20_000
"""Items in a row that bring nothing new before an endless source counts as exhausted."""
CONFIDENCE, WIDE = 0.95, 0.1
"""Of the interval that a split's items can give a score of one half, and what it may reach to either side unsaid."""


def make_data(config: DataStage, out: Path) -> None:
    """Writes train.jsonl, selection.jsonl and test.jsonl; the first two stay empty where all items are test items.

    Raises: ValueError where a split is to hold items and stays empty, or train's first items can't serve as shots.
    """
    domain = config.domain
    dealt = collect(domain, raw_items(domain.source, config.seed))
    splits = dealt.splits
    pool = splits["train"][: _pool_size(domain.prompt)]
    _check_pool(domain, pool)
    splits["train"] = splits["train"][len(pool) :]
    for name in SPLIT_NAMES:
        if not splits[name] and (name == "test" or domain.splits.trainable):
            raise ValueError(f"domain {domain.name}: no item falls in {name}; the source has too few items")
        write_items(out / f"{name}.jsonl", [item_of(domain.prompt, pool, raw) for raw in splits[name]])
        print(f"data {domain.name}: {len(splits[name])} items in {name}", flush=True)
    for note in (*_contradictions(dealt), *_small_splits(domain, splits)):
        print(f"Note: data {domain.name}: {note}.", flush=True)


def _contradictions(dealt: "Dealt") -> Iterator[str]:
    if dealt.contradicting:
        kept, left = dealt.contradicting[0]
        example = f"{kept.question!r:.60}: {_right(kept)} stays, {_right(left)} does not"
        count = f"{len(dealt.contradicting)} item{'s' if len(dealt.contradicting) > 1 else ''}"
        yield f"{count} left out, whose question an earlier one has with another answer ({example})"


def _right(raw: RawItem) -> str:
    """What is right for an item, short."""
    return f"{raw.answer or raw.reference!r:.30}"


def _small_splits(domain: DataDomain, splits: dict[SplitName, list[RawItem]]) -> Iterator[str]:
    """What items are too few to tell: those that scores are made on and checkpoints chosen by."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    most: dict[SplitName, int] = {"selection": domain.splits.selection, "test": domain.splits.test}
    for name, asked in most.items():
        count = len(splits[name])
        if 0 < count < asked and (reach := z * (0.25 / count) ** 0.5) > WIDE:
            known = f"{count} item{'s' if count > 1 else ''} in {name}, where splits.{name} allows {asked}"
            yield f"{known}: a score of 50 % on them has a {100 * CONFIDENCE:g} % interval of ±{100 * reach:.0f} points"


def _pool_size(prompt: Prompt) -> int:
    return prompt.shot_pool if prompt.shots else 0


def _check_pool(domain: DataDomain, pool: list[RawItem]) -> None:
    asked = f"domain {domain.name}: prompt.shots = {domain.prompt.shots}"
    if len(pool) < _pool_size(domain.prompt):
        raise ValueError(f"{asked}: prompt.shot_pool = {domain.prompt.shot_pool}, but train has {len(pool)} items")
    if not all(map(_demonstration, pool)):
        raise ValueError(f"{asked}: items of this source have many right answers, and none to show; allowed: 0")
    shown = domain.prompt.style == "raw" and "{answer}" in domain.prompt.shot_template
    if shown and not all(raw.answer for raw in pool):
        raise ValueError(
            f"{asked}: items of this source have a demonstration and no answer; prompt.shot_template has to show "
            "{demonstration}, not {answer}"
        )


@dataclass(frozen=True)
class Dealt:
    """A source's items."""

    splits: dict[SplitName, list[RawItem]]
    contradicting: list[tuple[RawItem, RawItem]]
    """An item that stays, and one that was left out: the same question with another answer."""


def collect(domain: DataDomain, source: Iterator[RawItem]) -> Dealt:
    """Deals items to the splits until each is full, the source ends, or it brings nothing new for a long time."""
    splits: dict[SplitName, list[RawItem]] = {name: [] for name in SPLIT_NAMES}
    limits: dict[SplitName, int] = dict.fromkeys(SPLIT_NAMES, 0)
    limits["test"] = domain.splits.test
    if domain.splits.trainable:
        limits["train"] = domain.splits.train + _pool_size(domain.prompt)
        limits["selection"] = domain.splits.selection
    seen: dict[str, RawItem] = {}
    contradicting: list[tuple[RawItem, RawItem]] = []
    idle = 0
    for raw in source:
        identity = item_id(raw.question)
        split = split_of(identity, domain.splits.train_share, domain.splits.selection_share)
        kept = seen.get(identity)
        if kept and (kept.answer, kept.reference) != (raw.answer, raw.reference):
            contradicting.append((kept, raw))
        if kept or len(splits[split]) == limits[split]:
            idle += 1
        else:
            idle = 0
            seen[identity] = raw
            splits[split].append(raw)
        if idle == PATIENCE or all(len(splits[name]) == limits[name] for name in SPLIT_NAMES):
            break
    return Dealt(splits, contradicting)


def item_of(prompt: Prompt, pool: list[RawItem], raw: RawItem) -> Item:
    """An item as it is put to the model; its examples are drawn from the pool by the item's id."""
    identity = item_id(raw.question)
    shots = sorted(pool, key=lambda shot: place_of(shot.question, identity))[: prompt.shots]
    asked = (_chat if prompt.style == "chat" else _text)(prompt, shots, raw)
    written = _lead(prompt) + _demonstration(raw) if _demonstration(raw) else ""
    return Item(identity, asked, raw.answer, raw.level, raw.reference, written)


def _lead(prompt: Prompt) -> str:
    """The space between a prompt and its solution in the examples that raw text shows: an answer begins as they do."""
    if prompt.style == "chat" or not prompt.shots:
        return ""
    found = re.search(r"\{prompt\}(\s*)", prompt.shot_template)
    return found[1] if found else ""


def _demonstration(raw: RawItem) -> str:
    return raw.demonstration or raw.answer


def _asked(prompt: Prompt, raw: RawItem) -> str:
    return prompt.template.replace("{question}", raw.question)


def _text(prompt: Prompt, shots: list[RawItem], raw: RawItem) -> str:
    return "".join(_example(prompt, shot) for shot in shots) + _asked(prompt, raw)


def _example(prompt: Prompt, shot: RawItem) -> str:
    """A solved example; filled in one pass, since a question may hold the text `{answer}`."""
    texts = {"prompt": _asked(prompt, shot), "answer": shot.answer, "demonstration": _demonstration(shot)}
    return re.sub(rf"\{{({'|'.join(texts)})\}}", lambda match: texts[match[1]], prompt.shot_template)


def _chat(prompt: Prompt, shots: list[RawItem], raw: RawItem) -> list[Message]:
    messages: list[Message] = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
    for shot in shots:
        messages.append({"role": "user", "content": _asked(prompt, shot)})
        messages.append({"role": "assistant", "content": _demonstration(shot)})
    return [*messages, {"role": "user", "content": _asked(prompt, raw)}]
