"""What a domain is: where its items come from, how they are asked, how answers are judged, what a specialist pays for.

A stage's resolved config holds just the part that it depends on (`DataDomain`, `ScoredDomain`, `TrainedDomain`), so
that a changed length penalty reruns a specialist but neither the data nor the evaluation of other models.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, Name, NonNegative, Positive, Share, Strict
from thicket.config.plugins import is_plugin
from thicket.config.source import DatasetSource, Source
from thicket.config.verifier import CODE_TESTS, Verifier


class Prompt(Strict):
    """How an item's question is put to the model."""

    style: Literal["raw", "chat"] = "raw"
    """`raw`: plain text, continued; `chat`: the tokenizer's chat template with a user turn."""
    template: str = "{question}"
    """Text around the question; `{question}` is replaced."""
    shots: Count = 0
    """Solved examples before the question (few-shot), drawn for each item anew: a small model copies the answers of a
    few examples that every prompt holds (docs/log.md, 2026-11-24)."""
    shot_pool: Positive = 64
    """Items that the train split gives up as examples; nobody is asked or trained on them."""
    shot_template: str = "{prompt}{answer}\n\n"
    """Text of one solved example: `{prompt}` is its question in `template`, `{answer}` its reference answer,
    `{demonstration}` its worked solution, or the answer where there is none. A chat doesn't use it: there an example
    is a user's turn with the prompt, and an assistant's turn with the demonstration."""
    system: str | None = None
    """System turn of a chat prompt; null: none."""

    @model_validator(mode="after")
    def _placeholders(self) -> "Prompt":
        if "{question}" not in self.template:
            raise ValueError("`template` needs {question}, the place where the question goes")
        solved = "{answer}" in self.shot_template or "{demonstration}" in self.shot_template
        if "{prompt}" not in self.shot_template or not solved:
            raise ValueError("`shot_template` needs {prompt}, and {answer} or {demonstration}")
        if self.shots > self.shot_pool:
            raise ValueError(
                f"`shots` ({self.shots}) are drawn from a `shot_pool` of at least as many ({self.shot_pool})"
            )
        if self.system is not None and self.style == "raw":
            raise ValueError("`system` is a turn of a chat: it needs `style: chat`")
        return self


class Splits(Strict):
    """Train, selection and test, decided by a hash of the item's question: equal questions always fall in one split.

    Which of a file's items a most of `train`, `selection` or `test` keeps is decided by a hash of question and seed: a
    row more takes the place of one other at most, and the order of a file's questions counts for nothing.
    """

    train_share: Share = 0.6
    """Share of the hash's range that is train. With both shares 0 every item is a test item: models can be scored on
    such a domain, not trained."""
    selection_share: Share = 0.15
    """Share that is selection (choosing a checkpoint, sweeps); the rest is test."""
    train: Positive = 512
    """Most items in train."""
    selection: Positive = 64
    """Most items in selection."""
    test: Positive = 128
    """Most items in test."""

    @model_validator(mode="after")
    def _room_for_test(self) -> "Splits":
        shares = (self.train_share, self.selection_share)
        if self.trainable and (min(shares) <= 0 or sum(shares) >= 1):
            raise ValueError(
                "`train_share` and `selection_share` are above 0 and together below 1, which leaves the test; "
                "or both are 0, and all is test"
            )
        return self

    @property
    def trainable(self) -> bool:
        """Whether there are items to train on."""
        return self.train_share > 0 or self.selection_share > 0


class Window(Strict):
    """Context window of a domain, in tokens."""

    prompt: Positive
    """Longest prompt; a longer one stops the stage with an error rather than being cut."""
    response: Positive
    """Longest response; a response that reaches it without stopping is truncated and judged as it is."""


class Effort(Strict):
    """A mode of answering: more or less thought, at another price (DeepSeek-V4's Non-think, High and Max).

    A specialist with `effort: NAME` is trained and scored so (arXiv 2606.19348 §5; values there are undisclosed).
    """

    prefix: str = ""
    """Fixed instruction before everything else: in the system turn of a chat, before the text of a raw prompt."""
    length_penalty: NonNegative = 0.0
    """In place of the domain's."""
    window: Window
    """In place of the domain's."""


class DataDomain(Strict):
    """The part of a domain that its data depends on."""

    name: Name
    """The domain's name: the file's name in conf/domain."""
    source: Source
    prompt: Prompt = Prompt()
    splits: Splits = Splits()

    @model_validator(mode="after")
    def _shots_have_a_pool(self) -> "DataDomain":
        if self.prompt.shots and not self.splits.trainable:
            raise ValueError("`prompt.shots` are taken from the train split, which is empty where both shares are 0")
        return self


class ScoredDomain(Strict):
    """The part of a domain that a score depends on, beside its data."""

    name: Name
    """The domain's name."""
    verifier: Verifier
    stop: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """A character that ends the response where it first appears (the end-of-sequence token always does)."""
    window: Window
    prefix: str = ""
    """Fixed instruction before every prompt: an effort's, mostly."""


class TrainedDomain(ScoredDomain):
    """The part of a domain that training on it depends on, beside its data."""

    length_penalty: NonNegative = 0.0
    """Reward taken off a response that fills the window, less for shorter ones: r = correct − penalty·|y|/window.

    DeepSeek-V4 gives each domain and effort its own penalty and does not disclose the values (arXiv 2606.19348 §5)."""


class Domain(DataDomain, TrainedDomain):
    """A whole domain, as conf/domain/NAME.yaml declares it."""

    efforts: dict[Name, Effort] = {}
    """Modes of answering, by name, that a specialist may be made in."""

    @model_validator(mode="after")
    def _verifier_fits(self) -> "Domain":
        if is_plugin(self.source) or is_plugin(self.verifier):
            return self  # Who wrote it knows.
        fits = {
            "procedural": {"exact", "number"},
            "countdown": {"countdown"},
            "reasoning-gym": {"exact", "number", "reasoning-gym"},
            "dataset": {"exact", "number", "choice", "math", "countdown", "writing", "code"},
            "livecodebench": {"code"},
            "ifeval": {"instructions", "writing"},
        }[self.source.type]
        if self.verifier.type not in fits:
            raise ValueError(
                f"`verifier.type` {self.verifier.type} can't judge items of a `{self.source.type}` source; "
                f"allowed: {', '.join(sorted(fits))}"
            )
        return self

    @model_validator(mode="after")
    def _answer_is_named(self) -> "Domain":
        unnamed = isinstance(self.source, DatasetSource) and self.source.answer is None
        if unnamed and self.verifier.type in ("exact", "number", "choice", "math"):
            raise ValueError(f"`verifier.type` {self.verifier.type} needs `source.answer`, the answer to compare with")
        return self

    @model_validator(mode="after")
    def _options_are_letters(self) -> "Domain":
        choices = self.source.choices if isinstance(self.source, DatasetSource) else None
        if choices is not None and choices.answered == "text" and self.verifier.type == "choice":
            raise ValueError(
                "`verifier.type` choice can't compare texts, which `source.choices.answered` makes the answers; "
                "allowed: exact"
            )
        return self

    @model_validator(mode="after")
    def _reference_is_there(self) -> "Domain":
        needs = {"code": CODE_TESTS, "countdown": ("numbers", "target")}.get(self.verifier.type)
        if not isinstance(self.source, DatasetSource) or not needs:
            return self
        found = [key in self.source.reference for key in needs]
        code = self.verifier.type == "code"
        if not (any(found) if code else all(found)):
            wanted = f"{'one of ' if code else ''}{', '.join(needs)}"
            raise ValueError(f"`verifier.type` {self.verifier.type} needs in `source.reference`: {wanted}")
        return self

    def at_effort(self, name: str | None) -> "Domain":
        """The domain in one of its modes; None, or a mode that it does not have: as it is."""
        effort = self.efforts.get(name) if name else None
        return self.model_copy(update=dict(effort)) if effort else self

    def data_part(self) -> DataDomain:
        return DataDomain(**_take(self, DataDomain))

    def scored_part(self) -> ScoredDomain:
        return ScoredDomain(**_take(self, ScoredDomain))

    def trained_part(self) -> TrainedDomain:
        return TrainedDomain(**_take(self, TrainedDomain))


def _take(domain: Domain, part: type[Strict]) -> dict[str, Any]:
    return {name: getattr(domain, name) for name in part.model_fields}
