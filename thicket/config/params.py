"""`params.yaml`: what a person declares. The model graph (bases, specialists, students) and values over conf/."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from thicket.config.fields import Name, NonNegative, Seed, Strict
from thicket.config.loggers import Loggers

Values = dict[str, Any]


class Declared(Strict):
    """What every declaration of a model may say."""

    seed: Seed | None = None
    """Fixes everything random in the making of this model; null: the experiment's seed."""
    set: Values = {}
    """Values over those of conf/ and `values`, for this model: `{method.optimizer.lr: 1e-4}` or nested."""


class BaseNode(Declared):
    """A base model, or a model trained elsewhere (`base: folder`, `base: hub`)."""

    base: str
    """Option of conf/base."""


def _one_method(method: Any) -> Any:
    if isinstance(method, list):
        raise ValueError("one method: a sequence of them stands in `products`, or `base` names the step before")
    return method


class SpecialistNode(Declared):
    """A specialist: a method applied to a model on one domain."""

    base: Name
    """The model to start from: a base, a specialist (methods in sequence) or a student (a second round)."""
    domain: str
    """Option of conf/domain."""
    method: Annotated[str, BeforeValidator(_one_method, json_schema_input_type=str)]
    """Option of conf/method that makes specialists."""
    effort: Name | None = None
    """Mode of answering out of the domain's `efforts`, with its own prefix, length penalty and window; null: none."""


class TeacherEntry(Strict):
    """A teacher with more to say than its name."""

    model: Name
    """The model that teaches: a specialist, or any other with the domain that it judges."""
    domain: str | None = None
    """The domain that it judges; null: the one that it is a specialist of."""
    weight: NonNegative = 1.0
    """w_i of the distillation (arXiv 2606.19348 eq. 29), or of a merge; in a mean, relative to the others."""


def _long_form(entry: Any) -> Any:
    """A bare name stands for the teacher of that name."""
    return {"model": entry} if isinstance(entry, str) else entry


Teacher = Annotated[TeacherEntry, BeforeValidator(_long_form, json_schema_input_type=Name | TeacherEntry)]


class StudentNode(Declared):
    """A student: several models or domains folded into one model."""

    base: Name
    """The model to start from: a base, or any other for a second round."""
    method: str
    """Option of conf/method that makes students."""
    teachers: list[Teacher] = []
    """The models to learn from: names, or `{model: …, domain: …, weight: …}`."""
    domains: list[str] = []
    """Domains to train on, or to choose on where a merge has a choice; empty: those of the teachers."""
    budget_of: Name | None = None
    """Mixed RL: the student whose whole cost this run may spend."""


Sequence = Annotated[list[str], Field(min_length=1)]
"""Methods one after the other, each starting from what the one before made."""


class AnalysisNode(Declared):
    """A measurement on models, beside their scores."""

    analysis: str
    """Option of conf/analysis."""
    models: Annotated[list[Name], Field(min_length=1)]
    """The models, in the order that the analysis gives a meaning: the base first, mostly."""
    domains: list[str] = []
    """Options of conf/domain; empty: those of the experiment."""


class Product(Strict):
    """Shorthand for the specialists DOMAIN-METHOD of every pair; each step of a sequence of methods is one."""

    prefix: Name | None = None
    """Goes before each name, with a hyphen, where products would give the same names; null: nothing."""
    base: Name
    """The model that all of them start from."""
    seed: Seed | None = None
    """As in the declaration of a model, for all of them."""
    effort: Name | None = None
    """As in the declaration of a specialist, for all of them; it is not in their names: `prefix` tells them apart."""
    domains: Annotated[list[str], Field(min_length=1)]
    """Options of conf/domain."""
    methods: Annotated[list[str | Sequence], Field(min_length=1)]
    """Options of conf/method that make specialists, or sequences of them: `[grpo, [sft, grpo]]` gives DOMAIN-grpo,
    DOMAIN-sft and, from that, DOMAIN-sft-grpo. A further step's seed is 2⁴⁰ more than the one before: the same draws
    would try the same again."""
    set: dict[str, Values] = {}
    """Name of one of them → values for it alone, as a model declares them: `{sort-grpo: {method.steps: 40}}`."""


class Params(Strict):
    """The whole of params.yaml."""

    experiment: str
    """What the tables are headed with: a name of your own, or that of conf/experiment from which `thicket experiment
    use NAME` wrote this file."""
    seed: Seed = 0
    """Fixes everything random, in every stage that names no seed of its own."""
    domains: Annotated[list[str], Field(min_length=1)]
    """Options of conf/domain: every model is evaluated on these."""
    bases: Annotated[dict[Name, BaseNode], Field(min_length=1)]
    """Name → a model to start from."""
    products: list[Product] = []
    """Specialists of every domain by every method, in short."""
    specialists: dict[Name, SpecialistNode] = {}
    """Name → a model trained on one domain."""
    students: dict[Name, StudentNode] = {}
    """Name → a model that several models or domains are folded into."""
    analyses: dict[Name, AnalysisNode] = {}
    """Name → a measurement on models; the claims are judged by them."""
    report: list[Name] = []
    """Models that the report is about, beside those that they are made of; empty: all. Others are for the claims."""
    sampler: str = "torch"
    """Option of conf/sampler."""
    trainer: str = "default"
    """Option of conf/trainer."""
    evaluation: str = "default"
    """Option of conf/evaluation."""
    loggers: Loggers = Loggers()
    """Who else is told of each training's figures while it runs: `{tensorboard: {}, wandb: {project: …}}`. Whatever
    stands here, no stage runs again for it."""
    values: dict[str, dict[str, Values]] = {}
    """GROUP → OPTION → values over conf/GROUP/OPTION.yaml, for every stage that uses the option."""
