"""What a domain is: where its items come from, how they are asked, how answers are judged, what a specialist pays for.

A stage's resolved config holds just the part that it depends on (`DataDomain`, `ScoredDomain`, `TrainedDomain`), so
that a changed length penalty reruns a specialist but neither the data nor the evaluation of other models.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, Name, NonNegative, Positive, Share, Strict

TaskName = Literal["sort", "reverse", "add", "count", "odd", "shift"]


class ProceduralSource(Strict):
    """Items made by one of thicket's own generators."""

    type: Literal["procedural"]
    task: TaskName
    """Which generator of `thicket.domains.procedural`."""
    levels: Annotated[list[Positive], Field(min_length=1)]
    """Difficulty levels, drawn with equal probability; what a level means is the task's (characters, mostly)."""
    named: bool = True
    """A question begins with the task's name, as in `sort 312`; false: it is the instance alone, as in `12 + 35`."""


class ReasoningGymSource(Strict):
    """Items of a task of the package reasoning-gym (https://github.com/open-thought/reasoning-gym)."""

    type: Literal["reasoning-gym"]
    task: str
    """Name of the data set in reasoning-gym, as in `reasoning_gym.create_dataset(name)`."""
    params: dict[str, Any] = {}
    """Keyword arguments of the data set's configuration, for every level."""
    levels: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    """Further keyword arguments of level 1, level 2, and so on; the levels give items in turn."""


class DatasetSource(Strict):
    """Rows of a Hugging Face data set, or of local JSON, JSON-lines, CSV or Parquet files."""

    type: Literal["dataset"]
    path: str | None = None
    """Hub id, as in `datasets.load_dataset(path)`; null where `data_files` names local files."""
    revision: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    """Commit of the hub repository (40 hexadecimal digits), so that the same config gives the same items."""
    subset: str | None = None
    """The data set's configuration name on the hub."""
    split: str | None = None
    """Which split of the hub's data set to read; thicket makes its own train, selection and test out of it."""
    data_files: str | list[str] | None = None
    """Local file or files (.json, .jsonl, .csv, .parquet), relative to the project's root or absolute."""
    question: str
    """Template of the question over the row's columns, as in `{Body} {Question}`."""
    answer: str
    """Template of the reference answer over the row's columns."""
    answer_pattern: str | None = None
    """Regular expression whose first group is the reference answer within the filled `answer`, as in `#### (.*)`."""
    level: str | None = None
    """Column that holds the difficulty level (a whole number)."""

    @model_validator(mode="after")
    def _one_place(self) -> "DatasetSource":
        if (self.path is None) == (self.data_files is None):
            raise ValueError("name either `path` (a hub id) or `data_files` (local files), not both and not neither")
        if self.path is not None and (self.revision is None or self.split is None):
            raise ValueError(
                "a hub id needs `revision`, the commit to read, and `split`, so that the items can't change"
            )
        if self.path is None and (self.revision, self.subset, self.split) != (None, None, None):
            raise ValueError("`revision`, `subset` and `split` belong to a hub id; local files have none")
        return self

    @model_validator(mode="after")
    def _pattern_has_a_group(self) -> "DatasetSource":
        if self.answer_pattern is not None:
            try:
                groups = re.compile(self.answer_pattern).groups
            except re.error as error:
                raise ValueError(f"`answer_pattern` is no regular expression: {error}") from None
            if groups == 0:
                raise ValueError("`answer_pattern` needs a group, as in `#### (.*)`: the group is the answer")
        return self


class IfevalSource(Strict):
    """Prompts with verifiable instructions, in the form of IFEval (Zhou et al. 2023, arXiv 2311.07911).

    Without files, prompts are made from a small grammar of requests and of the instruction kinds named in `kinds`.
    """

    type: Literal["ifeval"]
    data_files: str | list[str] | None = None
    """Local JSON-lines files with the columns `key`, `prompt`, `instruction_id_list`, `kwargs`; null: make prompts."""
    kinds: list[str] = []
    """Instruction kinds to keep, as in `punctuation:no_comma`; a prompt with any other kind is left out. Empty: all."""
    levels: Annotated[list[Positive], Field(min_length=1)] | None = None
    """Instructions in a made prompt, drawn with equal probability; null: one. An item's level is that number."""

    @model_validator(mode="after")
    def _levels_are_made(self) -> "IfevalSource":
        if self.data_files is not None and self.levels is not None:
            raise ValueError(
                "`levels` is about made prompts; those of `data_files` have the instructions that they have"
            )
        return self


Source = Annotated[ProceduralSource | ReasoningGymSource | DatasetSource | IfevalSource, Field(discriminator="type")]


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
    """Text of one solved example: `{prompt}` is its question in `template`, `{answer}` its reference answer."""
    system: str | None = None
    """System turn of a chat prompt; null: none."""

    @model_validator(mode="after")
    def _placeholders(self) -> "Prompt":
        if "{question}" not in self.template:
            raise ValueError("`template` needs {question}, the place where the question goes")
        if "{prompt}" not in self.shot_template or "{answer}" not in self.shot_template:
            raise ValueError("`shot_template` needs {prompt} and {answer}")
        if self.shots > self.shot_pool:
            raise ValueError(
                f"`shots` ({self.shots}) are drawn from a `shot_pool` of at least as many ({self.shot_pool})"
            )
        if self.system is not None and self.style == "raw":
            raise ValueError("`system` is a turn of a chat: it needs `style: chat`")
        return self


class Splits(Strict):
    """Train, selection and test, decided by a hash of the item's question: equal questions always fall in one split."""

    train_share: Share = 0.6
    """Share of the hash's range that is train."""
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
        if self.train_share <= 0 or self.selection_share <= 0 or self.train_share + self.selection_share >= 1:
            raise ValueError(
                "`train_share` and `selection_share` are above 0 and together below 1, which leaves the test"
            )
        return self


class ExactVerifier(Strict):
    """The response's text equals the answer, white space at the ends aside."""

    type: Literal["exact"]


class NumberVerifier(Strict):
    """A number in the response equals the answer's last number."""

    type: Literal["number"]
    which: Literal["first", "last"] = "last"
    """Which number of the response counts."""
    tolerance: NonNegative = 0.0
    """Largest absolute difference that counts as equal."""


class ChoiceVerifier(Strict):
    """The first option letter that stands alone in the response equals the answer's letter."""

    type: Literal["choice"]
    letters: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{2,}$")] = "ABCDE"
    """The letters (or digits) that are options."""


class InstructionsVerifier(Strict):
    """All of an IFEval prompt's instructions are followed."""

    type: Literal["instructions"]
    mode: Literal["strict", "loose"] = "strict"
    """`loose` also accepts the response without its first or last line, or without asterisks (arXiv 2311.07911 §2)."""


class ReasoningGymVerifier(Strict):
    """The scorer that the item's reasoning-gym task brings along."""

    type: Literal["reasoning-gym"]
    threshold: Share = 1.0
    """Scores of at least this are correct (the scorers give partial credit for form)."""


Verifier = Annotated[
    ExactVerifier | NumberVerifier | ChoiceVerifier | InstructionsVerifier | ReasoningGymVerifier,
    Field(discriminator="type"),
]


class Window(Strict):
    """Context window of a domain, in tokens."""

    prompt: Positive
    """Longest prompt; a longer one stops the stage with an error rather than being cut."""
    response: Positive
    """Longest response; a response that reaches it without stopping is truncated and judged as it is."""


class DataDomain(Strict):
    """The part of a domain that its data depends on."""

    name: Name
    """The domain's name: the file's name in conf/domain."""
    source: Source
    prompt: Prompt = Prompt()
    splits: Splits = Splits()


class ScoredDomain(Strict):
    """The part of a domain that a score depends on, beside its data."""

    name: Name
    """The domain's name."""
    verifier: Verifier
    stop: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """A character that ends the response where it first appears (the end-of-sequence token always does)."""
    window: Window


class TrainedDomain(ScoredDomain):
    """The part of a domain that training on it depends on, beside its data."""

    length_penalty: NonNegative = 0.0
    """Reward taken off a response that fills the window, less for shorter ones: r = correct − penalty·|y|/window.

    DeepSeek-V4 gives each domain and effort its own penalty and does not disclose the values (arXiv 2606.19348 §5)."""


class Domain(DataDomain, TrainedDomain):
    """A whole domain, as conf/domain/NAME.yaml declares it."""

    @model_validator(mode="after")
    def _verifier_fits(self) -> "Domain":
        fits = {
            "procedural": {"exact", "number"},
            "reasoning-gym": {"exact", "number", "reasoning-gym"},
            "dataset": {"exact", "number", "choice"},
            "ifeval": {"instructions"},
        }[self.source.type]
        if self.verifier.type not in fits:
            raise ValueError(
                f"`verifier.type` {self.verifier.type} can't judge items of a `{self.source.type}` source; "
                f"allowed: {', '.join(sorted(fits))}"
            )
        return self

    def data_part(self) -> DataDomain:
        return DataDomain(**_take(self, DataDomain))

    def scored_part(self) -> ScoredDomain:
        return ScoredDomain(**_take(self, ScoredDomain))

    def trained_part(self) -> TrainedDomain:
        return TrainedDomain(**_take(self, TrainedDomain))


def _take(domain: Domain, part: type[Strict]) -> dict[str, Any]:
    return {name: getattr(domain, name) for name in part.model_fields}
