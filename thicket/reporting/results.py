"""The results of an experiment, as numbers: what every form of the report shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from thicket.config.never_right import Counts
from thicket.config.shown import Shown
from thicket.config.stages import ReportedModel
from thicket.reporting.consolidation import Consolidation
from thicket.reporting.inputs import PASS_AT_1, Curve
from thicket.reporting.methods import MethodResult
from thicket.reporting.settings import Settings
from thicket.reporting.ssd_map import SsdMap
from thicket.statistics.intervals import Interval
from thicket.statistics.recovery import Recovery

GREEDY = "greedy"
AGED = "†"
"""Stands at a model whose numbers are not of what is declared now."""
CONTROLS = frozenset(("self_consistency", "best_prompt"))
"""Methods that make no model: what they start from, asked in another way."""


@dataclass(frozen=True)
class Level:
    """Sampled pass@1 on the items of a difficulty level."""

    score: Interval
    items: int


@dataclass(frozen=True)
class Cell:
    """A model on a domain. Shares lie between 0 and 1."""

    scores: dict[str, Interval]
    """`pass@k` for each k, and `greedy`; a vote, which is one answer, has `pass@1` alone."""
    difference: Interval | None
    """Sampled pass@1 less that of the base on the same items; None for a base."""
    greedy_difference: Interval | None
    """For a model that answers greedily or by vote: pass@1 less the base's greedy score on the same items."""
    length: float
    """Mean tokens of the sampled responses."""
    truncated: float
    """Share of the sampled responses that the window cut off."""
    levels: dict[str, Level]

    @property
    def score(self) -> Interval:
        return self.scores[PASS_AT_1]


@dataclass(frozen=True)
class Recovered:
    """A student's share of the gain of the specialists that it stands for."""

    recovery: Recovery
    specialists: dict[str, tuple[str, ...]]
    """Domain → the model whose gain counts there; several, by their mean, where selection items can't tell the best."""
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Domain → the teachers there that were not the best on the selection items."""


@dataclass(frozen=True)
class Cost:
    """A model's ledger."""

    tokens_generated: int
    tokens_trained: int
    flops: float
    """Of its own training."""
    total_flops: float
    """Of its own training and of that of every model that it rests on, the bases left out."""
    wall_seconds: float | None
    """None, as the memory, where another machine made the model."""
    peak_memory_bytes: int | None
    steps: int
    budget_of: str | None
    """The model whose cost it was allowed to spend; None where steps are the limit."""
    budget: str
    """What of that cost: `whole`, or that of its `teachers`."""
    budget_share: float
    """Of that, from 0 to 1."""
    budget_flops: float | None
    useful: float | None = None
    """Share of the groups of rewards that differ; None where none were compared."""


@dataclass(frozen=True)
class Answers:
    """How a model answers when it is scored, and what an answer takes: means over domains."""

    members: int
    """Of an ensemble, each with one greedy response to vote with; 0: none."""
    votes: int
    """Samples that vote on an answer, where no members do; 1: no vote."""
    temperature: float
    """0: greedy."""
    top_k: int
    top_p: float
    template: str | None
    """Text around each prompt; None: the prompt as it is."""
    calls: float
    """Responses."""
    prompt: float
    """Prompt tokens that are read."""
    tokens: float
    """Tokens that are decoded."""
    flops: float
    times: float
    """FLOPs over those of the base."""
    pooled: int = 0
    """Models that choose every token together; 0: one model does."""


@dataclass(frozen=True)
class Origin:
    """Where a model's weights come from."""

    seed: int
    config_hash: str
    weights: str
    """Hash of the weights."""
    commit: str | None
    """Commit of the project when the model was made; `+` at its end: with changes that were not committed."""
    device: str | None
    """None, as the commit, where another machine made the model."""


@dataclass(frozen=True)
class ModelResult:
    """All about one model."""

    model: ReportedModel
    root: str
    """The base that the model goes back to, which it is compared with."""
    cells: dict[str, Cell]
    """A cell a domain."""
    mean: Interval
    """Sampled pass@1, the mean over domains."""
    mean_difference: Interval | None
    """The mean over domains, less the base's; None for a base."""
    recovered: Recovered | None
    """None where no specialists stand behind the model."""
    cost: Cost
    answers: Answers
    origin: Origin
    curve: Curve
    shown: tuple[Shown, ...] = ()
    """Samples of its training."""
    never_right: Counts = field(default_factory=dict)
    """Of the items that it is scored on."""

    @property
    def is_control(self) -> bool:
        return self.model.type in CONTROLS

    @property
    def gain(self) -> Interval | None:
        """What a model is made for: a specialist's gain on its own domain, a student's over all domains."""
        if self.model.kind == "specialist":
            own = self.cells.get(self.model.domain or "")
            return own.difference if own else None
        return self.mean_difference


@dataclass(frozen=True)
class Results:
    """All about an experiment."""

    experiment: str
    domains: tuple[str, ...]
    items: dict[str, int]
    """Domain → number of items."""
    settings: Settings
    models: dict[str, ModelResult]
    methods: Mapping[str, str] = field(default_factory=dict)
    """Option of conf/method → what it is, in a sentence."""
    ways: tuple[MethodResult, ...] = ()
    """Every way to a specialist, over its seeds."""
    consolidations: tuple[Consolidation, ...] = ()
    """Ways to one model that have students of several seeds."""
    outdated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Model → why its numbers are not of what is declared now."""
    maps: tuple[SsdMap, ...] = ()
    """Self-distillation by its two temperatures, where several were measured."""

    def label(self, name: str) -> str:
        """A model's name, with a mark where its numbers are not of what is declared now."""
        return f"{name} {AGED}" if name in self.outdated else name

    def of_kind(self, kind: Literal["base", "specialist", "student"]) -> list[ModelResult]:
        return [result for result in self.models.values() if result.model.kind == kind]
