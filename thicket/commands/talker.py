"""A model that answers lines of text, token by token."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from thicket.commands.chat import Asked, Settings, shown_so_far
from thicket.config.answering import Answering
from thicket.config.places import MODELS
from thicket.config.run import Trainer
from thicket.domains.item import Item, RawItem
from thicket.evaluation.way import weights_folders
from thicket.models.folder import load_model, load_tokenizer
from thicket.models.perturb import Direction, move
from thicket.models.pooled import Pooled
from thicket.ops import draws
from thicket.plan.folders import name_of
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import framed
from thicket.sampling.piecewise import device_of
from thicket.sampling.prompts import encode_prompt, stop_ids
from thicket.sampling.stream import stream
from thicket.sampling.unknown import NAMED, unknown_characters
from thicket.stages.data import item_of


class Talker:
    """A model and what was said to it."""

    def __init__(self, folder: Path, root: Path, way: Answering, asked: Asked | None, trainer: Trainer):
        """Raises: ValueError where there is no model, or where those that it answers with are others by now."""
        self.way, self.asked = way, asked
        weights = weights_folders(folder, way, root / MODELS)
        self.tokenizer, loaded = load_tokenizer(weights[0]), [load_model(one) for one in weights]
        if way.members:
            best = way.members[0]
            move(loaded[0], [Direction(best.seed, best.sigma)])
        shares = [voice.share for voice in way.pooled]
        self.model: Any = Pooled(loaded, shares, len(self.tokenizer)) if shares else loaded[0]
        self.device, self.half = device_of(trainer.accelerator), trainer.precision == "bf16-mixed"
        self.model.to(self.device).eval()
        self.context = min(getattr(one.config, "max_position_embeddings", None) or 2**20 for one in loaded)
        self.stop = asked.stop if asked else None
        self.stops = stop_ids(self.tokenizer, self.stop)
        self.chats = asked is None and bool(getattr(self.tokenizer, "chat_template", None))
        self.said: list[dict[str, str]] = []
        self.is_full = False
        """Whether the last answer was cut off where the context ends."""
        self.name = name_of(root, str(folder))

    @property
    def about(self) -> str:
        """Who answers, and how it takes what is said."""
        who = f"{self.name}, the best of {len(self.way.members)} members" if self.way.members else self.name
        if self.asked:
            return f"{who}: each line is a question of {self.asked.name}."
        return f"{who}: a chat." if self.chats else f"{who}: each line is a text that it goes on with."

    def forget(self) -> None:
        self.said.clear()

    def doubts(self, line: str) -> Iterator[str]:
        """What makes an answer to a line worth little, in words."""
        if unknown := unknown_characters(self.tokenizer, [line]):
            named = " ".join(map(repr, sorted(unknown)[:NAMED])) + (" …" if len(unknown) > NAMED else "")
            yield f"the model's tokenizer doesn't know {named}, which it can't tell apart"
        asked, tokens = self.asked, len(self._prompt(line))
        if asked and asked.longest is not None and asked.longest < tokens < self.context:
            yield f"{tokens} tokens are more than the {asked.longest} that a prompt of {asked.name} has at most"

    def answer(self, line: str, turn: int, settings: Settings) -> Iterator[str]:
        """The answer in pieces. Raises: ValueError where there is no room for one."""
        self.is_full, prompt = False, self._prompt(line)
        most = min(settings.tokens, self.context - len(prompt))
        if most < 1:
            forget = ": /reset forgets what was said" if self.said else ""
            raise ValueError(f"{len(prompt)} tokens leave no room in a context of {self.context}{forget}")
        decoding = Decoding(settings.temperature, settings.top_k, settings.top_p, most)
        told, tokens = "", list[int]()
        casting = torch.autocast(self.device, torch.bfloat16, enabled=self.half, cache_enabled=False)
        try:
            with casting:
                for token in stream(self.model, prompt, draws.key(settings.seed, turn), decoding, self.stops):
                    tokens.append(token)
                    text = self._text(tokens)
                    if len(text) > len(told):
                        yield text[len(told) :]
                        told = text
            self.is_full = len(tokens) == most < settings.tokens and tokens[-1] not in self.stops
        finally:
            if self.chats:
                self.said += [{"role": "user", "content": line}, {"role": "assistant", "content": told}]

    def _text(self, tokens: list[int]) -> str:
        text = shown_so_far(self.tokenizer.decode(tokens, skip_special_tokens=True))
        return text.split(self.stop)[0] if self.stop else text

    def _prompt(self, line: str) -> list[int]:
        return encode_prompt(self.tokenizer, self._item(line))

    def _item(self, line: str) -> Item:
        if self.asked:
            return framed(item_of(self.asked.prompt, [], RawItem(line, "")), "", self.way.template)
        prompt: Any = [*self.said, {"role": "user", "content": line}] if self.chats else line
        return framed(Item("", prompt, "", 1), "", self.way.template)
