"""Where a domain's items come from: each source is `thicket/domains/sources/TYPE.py`."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Commit, Positive, Strict, form
from thicket.config.layers import Path_
from thicket.config.plugins import SOURCES, with_plugins

PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
"""A column in a template."""
CONSTANT = "a column's name without braces, which stands for itself in every item"
TaskName = Literal[
    "sort", "reverse", "add", "count", "odd", "shift", "swap", "double", "unique", "largest", "nines", "mirror"
]


class ProceduralSource(Strict):
    """Items made by one of thicket's own generators."""

    type: Literal["procedural"]
    task: TaskName
    """Which generator of `thicket.domains.procedural`."""
    levels: Annotated[list[Positive], Field(min_length=1)]
    """Difficulty levels, drawn with equal probability; what a level means is the task's (characters, mostly)."""
    named: bool = True
    """A question begins with the task's name, as in `sort 312`; false: it is the instance alone, as in `12 + 35`."""


class CountdownSource(Strict):
    """Numbers and a target that an expression over them reaches: made from a solution, so that each has one.

    The game is that of TinyZero (https://github.com/Jiayi-Pan/TinyZero). A question's numbers are sorted, so that one
    set of them with one target is one question.
    """

    type: Literal["countdown"]
    levels: Annotated[list[Annotated[int, Field(ge=2)]], Field(min_length=1)] = [3, 4]
    """How many numbers, drawn with equal probability; an item's level is that number."""
    largest: Annotated[int, Field(ge=2)] = 99
    """Numbers are drawn evenly from 1 to this."""
    target: Annotated[list[Positive], Field(min_length=2, max_length=2)] = [10, 100]
    """Smallest and largest target."""

    @model_validator(mode="after")
    def _targets_are_within_reach(self) -> "CountdownSource":
        low, high = self.target
        if low > high:
            raise ValueError(f"`target` is [smallest, largest], and {low} is above {high}")
        if high > 2 * self.largest:
            raise ValueError(f"`target` goes up to {high}; allowed: up to 2·`largest` ({2 * self.largest})")
        return self


class ReasoningGymSource(Strict):
    """Items of a task of the package reasoning-gym (https://github.com/open-thought/reasoning-gym)."""

    type: Literal["reasoning-gym"]
    task: str
    """Name of the data set in reasoning-gym, as in `reasoning_gym.create_dataset(name)`."""
    params: dict[str, Any] = {}
    """Keyword arguments of the data set's configuration, for every level."""
    levels: Annotated[list[dict[str, Any]], Field(min_length=1)] = [{}]
    """Further keyword arguments of level 1, level 2, and so on; the levels give items in turn."""


class Choices(Strict):
    """The options of a multiple-choice row, which become lines in the question."""

    text: str | Annotated[list[str], Field(min_length=2)]
    """Column that holds all options, as in `choices.text`; or a list of columns that hold one each."""
    label: str | None = None
    """Column that holds the labels which the row's answer names, as in `choices.label`; null: 1, 2, 3, …"""
    answered: Literal["letter", "text"] = "letter"
    """What names an option: `letter`, the lines are `A. …`, `B. …` and the answer is a letter; `text`, they are `- …`
    and the answer is an option's text, which the verifier `exact` compares. Which text goes with a question a small
    model may know before it can name the text's letter."""


class DatasetSource(Strict):
    """Rows of a Hugging Face data set, or of local JSON, JSON-lines, CSV or Parquet files."""

    type: Literal["dataset"]
    path: str | None = None
    """Hub id, as in `datasets.load_dataset(path)`; null where `data_files` names local files."""
    revision: Commit | None = None
    """Commit of the hub repository (40 hexadecimal digits), so that the same config gives the same items."""
    subset: str | None = None
    """The data set's configuration name on the hub."""
    split: str | None = None
    """Which split of the hub's data set to read; thicket makes its own train, selection and test out of it."""
    data_files: str | list[str] | None = None
    """Local file or files (.json, .jsonl, .csv, .parquet), relative to the project's root or absolute."""
    license: str | None = None
    """Licence of the rows as the hub names it (`mit`), for the cards of models trained on them; null: unstated."""
    question: str
    """Template of the question over the row's columns, as in `{Body} {Question}`. A dot goes into a column that holds
    more (`{question.stem}`, `{tests.0}`); `{choices}` stands for the lines of the options."""
    choices: Choices | None = None
    """Where the options of a multiple-choice row are; null: it has none."""
    answer: str | None = None
    """Template of the reference answer over the row's columns; null: many are right, and none is named. With
    `choices` it is the label of the right option, and becomes the option's letter, whatever the row's labels are, or
    its text (`choices.answered`)."""
    answer_pattern: str | None = None
    """Regular expression whose first group is the reference answer within the filled `answer`, as in `#### (.*)`."""
    demonstration: str | None = None
    """Template of a worked solution over the row's columns; null: there is none, and the answer stands for it."""
    reference: dict[str, str] = {}
    """What the verifier needs beyond the answer: its name there, and the column that holds it, taken as it is."""
    level: str | None = None
    """Column that holds the difficulty level: a whole number, on its own or as the only one in a text (`Level 5`). A
    question mark in its place (two rows of MATH) is an unknown level, 0."""

    def constants(self) -> Iterator[tuple[str, str]]:
        """Templates that name no column, each with its field: sound, if all items are to have the same text."""
        for field in ("answer", "demonstration"):
            text = getattr(self, field)
            if text is not None and not PLACEHOLDER.search(text):
                yield field, text.strip()

    def columns(self) -> Iterator[tuple[Path_, str]]:
        """The columns that it reads, each with the place here that names it."""
        for field in ("question", "answer", "demonstration"):
            for column in PLACEHOLDER.findall(getattr(self, field) or ""):
                if field != "question" or column != "choices" or self.choices is None:
                    yield (field,), column
        if self.choices is not None:
            texts = self.choices.text
            yield from (
                [(("choices", "text"), texts)]
                if isinstance(texts, str)
                else ((("choices", "text", index), text) for index, text in enumerate(texts))
            )
            if self.choices.label is not None:
                yield ("choices", "label"), self.choices.label
        yield from ((("reference", name), column) for name, column in self.reference.items())
        if self.level is not None:
            yield ("level",), self.level

    @model_validator(mode="after")
    def _one_place(self) -> "DatasetSource":
        if (self.path is None) == (self.data_files is None):
            raise ValueError(
                "name either `path` (a hub id) or `data_files` (local files), not both and not neither; local files "
                "in place of a hub id: {data_files: …, path: null, revision: null, split: null, subset: null}"
            )
        if self.path is not None and (self.revision is None or self.split is None):
            raise ValueError(
                "a hub id needs `revision`, the commit to read, and `split`, so that the items can't change"
            )
        if self.path is None and (self.revision, self.subset, self.split) != (None, None, None):
            raise ValueError("`revision`, `subset` and `split` belong to a hub id; local files have none")
        return self

    @model_validator(mode="after")
    def _question_asks(self) -> "DatasetSource":
        if not PLACEHOLDER.search(self.question):
            raise ValueError(
                f"`question` ({self.question!r}) names no column in braces, as {{question}}: all rows ask alike"
            )
        return self

    @model_validator(mode="after")
    def _choices_are_asked(self) -> "DatasetSource":
        if (self.choices is None) == ("{choices}" in self.question):
            raise ValueError("`choices` and the place {choices} in `question`, where the options go, belong together")
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


Day = Annotated[str, form(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a day, as in 2024-08-01")]


class LivecodebenchSource(Strict):
    """Problems of programming contests with their tests, in the form of LiveCodeBench (Jain et al. 2024, arXiv
    2403.07974): the files of its data set `code_generation_lite`, of which each release adds one.

    An item's level is 1 for easy, 2 for medium and 3 for hard."""

    type: Literal["livecodebench"]
    data_files: str | list[str]
    """Local JSON-lines files; release 6 is `test.jsonl` with `test2.jsonl` to `test6.jsonl`."""
    since: Day | None = None
    """First day of a contest, as in `2024-08-01`: problems from after a model's training data are new to it."""
    until: Day | None = None
    """Last day of a contest."""
    whole: str = "{question}\n\nWrite a program that reads the standard input and prints the answer."
    """What is asked where a whole program is tested; `{question}` is the problem's text."""
    starter: str = "{question}\n\nComplete this code:\n```python\n{code}\n```"
    """What is asked where a method is tested; `{code}` is the code to complete."""

    @model_validator(mode="after")
    def _problem_is_asked(self) -> "LivecodebenchSource":
        for field in ("whole", "starter"):
            if "{question}" not in getattr(self, field):
                raise ValueError(f"`{field}` needs {{question}}, the place where the problem's text goes")
        return self


Own = ProceduralSource | CountdownSource | ReasoningGymSource | DatasetSource | IfevalSource | LivecodebenchSource
if TYPE_CHECKING:
    Source = Own
else:
    Source = with_plugins(SOURCES, Own)
