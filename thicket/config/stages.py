"""The resolved config of each pipeline stage: what `thicket compose` writes and what a stage's function takes.

A stage's config holds everything that its result depends on, beside the artifacts that it reads, and nothing else: DVC
runs a stage again when this file changes.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from thicket.config.analysis import Analysis
from thicket.config.base import Base
from thicket.config.domain import DataDomain, ScoredDomain, TrainedDomain
from thicket.config.fields import Name, NonNegative, Positive, Seed, Share, Strict
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.run import Evaluation, Sampler, Trainer

Code = dict[str, str]


class Stage(Strict):
    """What every stage has."""

    name: Name
    """Name of the artifact: a domain, a model, or `report`."""
    seed: Seed = 0
    """Fixes everything random in the stage."""
    code: Code = {}
    """Module → hash of its source, for each module of thicket that the stage may run (comments do not count)."""

    @property
    def id(self) -> str:
        """The stage's name in the DAG."""
        kind: str = getattr(self, "stage")  # noqa: B009  (each kind of stage declares its own literal)
        return kind if kind in ("report", "claims") else f"{kind}-{self.name}"


class DataStage(Stage):
    """A domain's items."""

    stage: Literal["data"] = "data"
    domain: DataDomain


class BaseStage(Stage):
    """A model to start from."""

    stage: Literal["base"] = "base"
    base: Base
    trainer: Trainer


class SpecialistStage(Stage):
    """A model trained on one domain."""

    stage: Literal["specialist"] = "specialist"
    base: Name
    """The model that training starts from."""
    domain: TrainedDomain
    method: SpecialistMethod
    sampler: Sampler
    trainer: Trainer


class Teacher(Strict):
    """A model that a student learns from."""

    name: Name
    """The model."""
    domain: Name | None = None
    """The domain whose prompts this teacher judges; null in a merge, which asks nobody."""
    weight: NonNegative = 1.0
    """w_i of arXiv 2606.19348 eq. 29, or of a merge."""


class StudentStage(Stage):
    """A model that several models, or several domains, are folded into."""

    stage: Literal["student"] = "student"
    base: Name
    """The model that training starts from, or that a merge's differences are taken from."""
    teachers: list[Teacher] = []
    """Models that the student learns from."""
    domains: list[TrainedDomain] = []
    """Domains that the student trains on, or that a merge is chosen on; empty: it has no choice."""
    budget_of: Name | None = None
    """Mixed RL: the student whose whole cost this run may spend (its teachers' training and its own distillation)."""
    method: StudentMethod
    sampler: Sampler
    trainer: Trainer


class EvaluateStage(Stage):
    """A model's scores on every domain."""

    stage: Literal["evaluate"] = "evaluate"
    source: str | None = None
    """The model's folder; null: the model of this name in the project."""
    domains: Annotated[list[ScoredDomain], Field(min_length=1)]
    """Domains that the model is scored on."""
    evaluation: Evaluation
    sampler: Sampler
    trainer: Trainer


class AnalysedModel(Strict):
    """A model that is looked at."""

    name: Name
    """The model, or a name for it."""
    source: str | None = None
    """A folder, or the id of a model of the hub; null: the model of this name in the project."""


class AnalyzeStage(Stage):
    """A measurement on models."""

    stage: Literal["analyze"] = "analyze"
    analysis: Analysis
    models: Annotated[list[AnalysedModel], Field(min_length=1)]
    """In the order that the analysis gives a meaning."""
    domains: Annotated[list[ScoredDomain], Field(min_length=1)]
    """Domains whose items the models are asked."""
    evaluation: Evaluation
    """The intervals' resamples and coverage."""
    sampler: Sampler
    trainer: Trainer


class ReportedModel(Strict):
    """A row of the report."""

    name: Name
    """The model."""
    kind: Literal["base", "specialist", "student"]
    """What it is in the graph."""
    method: str
    """How the model was made: the option of conf/method, or the base's source."""
    type: str
    """The method's type, or again the base's source."""
    base: Name | None = None
    """The model that it started from; null for a base."""
    domain: Name | None = None
    """A specialist's domain."""
    effort: Name | None = None
    """The mode of answering that a specialist was made in."""
    teachers: list[Name] = []
    """The models that a student learns from."""
    seed: Seed = 0
    """What fixed everything random in its making."""
    steps: int | None = None
    """A base's pretraining steps; null where it was not pretrained here."""
    corpus: str = ""
    """Hash of what it was pretrained on; empty where it was not pretrained here."""


class ReportedAnalysis(Strict):
    """An analysis that claims are judged by."""

    name: Name
    """The analysis."""
    type: str
    """What was measured."""
    models: list[Name]
    """On which models."""
    seed: Seed
    """What fixed its draws."""


class ClaimsStage(Stage):
    """The verdicts on the claims, by what the experiment measured."""

    stage: Literal["claims"] = "claims"
    experiment: str
    """The experiment's name, for the title."""
    domains: list[Name]
    """Domains that all models are scored on."""
    models: list[ReportedModel]
    """All models."""
    analyses: list[ReportedAnalysis]
    """All analyses."""
    resamples: Positive = 5000
    """Bootstrap resamples, over seeds and within each over prompts (or what else an analysis resamples)."""
    level: Share = 0.05
    """Of the tests over the whole table, by Holm's procedure."""
    seeds_needed: Positive = 3
    """With fewer, a claim stays undecided."""


class ReportStage(Stage):
    """The report on all models."""

    stage: Literal["report"] = "report"
    experiment: str
    """The experiment's name, for the title."""
    domains: list[Name]
    """Domains that all models are scored on: the columns."""
    models: list[ReportedModel]
    """All models: the rows."""
    methods: dict[str, str] = {}
    """Option of conf/method that made one of them → what it is, in a sentence."""
    claims: bool = False
    """Whether a page on the claims lies beside it."""


AnyStage = Annotated[
    DataStage | BaseStage | SpecialistStage | StudentStage | EvaluateStage | ReportStage | AnalyzeStage | ClaimsStage,
    Field(discriminator="stage"),
]
STAGE_TYPES: dict[str, type[Stage]] = {
    "data": DataStage,
    "base": BaseStage,
    "specialist": SpecialistStage,
    "student": StudentStage,
    "evaluate": EvaluateStage,
    "report": ReportStage,
    "analyze": AnalyzeStage,
    "claims": ClaimsStage,
}


class _SomeStage(Strict, extra="ignore"):
    """What every file of a stage says."""

    stage: Literal["data", "base", "specialist", "student", "evaluate", "report", "analyze", "claims"]


def write_stage(path: Path, stage: Stage) -> None:
    """Writes a resolved config as YAML."""
    from thicket.config.yamlfile import to_yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(to_yaml(stage.model_dump()), encoding="utf-8")


def read_stage(path: Path) -> AnyStage:
    """Reads what `write_stage` wrote. Raises: ConfigError where it is not a stage's config."""
    from thicket.config.validate import validate
    from thicket.config.yamlfile import read_yaml

    file = read_yaml(path, str(path))
    kind = file.value.get("stage")
    model = STAGE_TYPES.get(kind, _SomeStage) if isinstance(kind, str) else _SomeStage
    return validate(model, file.layers())  # type: ignore[return-value]
