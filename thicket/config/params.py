"""`params.yaml`: what a person declares. The model graph (bases, specialists, students) and values over conf/."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from thicket.config.fields import Count, Name, NonNegative, Strict

Values = dict[str, Any]


class BaseNode(Strict):
    """A base model, or a model trained elsewhere (`base: folder`, `base: hub`)."""

    base: str
    """Option of conf/base."""
    seed: Count | None = None
    """Null: the experiment's."""
    set: Values = {}
    """Values over those of conf/ and `values`, for this model: `{base.steps: 100}` or nested."""


class SpecialistNode(Strict):
    """A specialist: a method applied to a model on one domain."""

    base: Name
    """The model to start from: a base, a specialist (methods in sequence) or a student (a second round)."""
    domain: str
    """Option of conf/domain."""
    method: str
    """Option of conf/method."""
    seed: Count | None = None
    set: Values = {}


class TeacherEntry(Strict):
    """A teacher with more to say than its name."""

    model: Name
    domain: str | None = None
    """The domain that it judges; null: the one that it is a specialist of."""
    weight: NonNegative = 1.0


def _long_form(entry: Any) -> Any:
    """A bare name stands for the teacher of that name."""
    return {"model": entry} if isinstance(entry, str) else entry


class StudentNode(Strict):
    """A student: several models or domains folded into one model."""

    base: Name
    method: str
    """Option of conf/method."""
    teachers: list[Annotated[TeacherEntry, BeforeValidator(_long_form)]] = []
    domains: list[str] = []
    """Domains to train on; empty: those of the teachers."""
    budget_of: Name | None = None
    """Mixed RL: the student whose whole cost this run may spend."""
    seed: Count | None = None
    set: Values = {}


class Product(Strict):
    """Shorthand for the specialists DOMAIN-METHOD of every pair."""

    base: Name
    domains: Annotated[list[str], Field(min_length=1)]
    methods: Annotated[list[str], Field(min_length=1)]


class Params(Strict):
    """The whole of params.yaml."""

    experiment: str
    """The experiment of conf/experiment that this file was written from (`thicket experiment use NAME`)."""
    seed: Count = 0
    domains: Annotated[list[str], Field(min_length=1)]
    """Options of conf/domain: every model is evaluated on these."""
    bases: Annotated[dict[Name, BaseNode], Field(min_length=1)]
    products: list[Product] = []
    specialists: dict[Name, SpecialistNode] = {}
    students: dict[Name, StudentNode] = {}
    sampler: str = "torch"
    """Option of conf/sampler."""
    trainer: str = "default"
    """Option of conf/trainer."""
    evaluation: str = "default"
    """Option of conf/evaluation."""
    values: dict[str, dict[str, Values]] = {}
    """GROUP → OPTION → values over conf/GROUP/OPTION.yaml, for every stage that uses the option."""
