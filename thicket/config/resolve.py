"""From params.yaml and conf/ to the resolved config of every stage, with every problem found on the way.

A model takes its options of conf/, then params.yaml's `values` for those options, then its own `set`; each value
remembers where it came from.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from thicket.config.base import Base
from thicket.config.checks import LongestQuestion, check_student, check_vocabularies, window_problems
from thicket.config.domain import Domain
from thicket.config.fields import Strict
from thicket.config.graph import Graph, Node, Place
from thicket.config.layers import Layered, Path_, expanded
from thicket.config.library import GROUPS
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.params import BaseNode, SpecialistNode, StudentNode
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.stages import (
    BaseStage,
    DataStage,
    EvaluateStage,
    ReportedModel,
    ReportStage,
    SpecialistStage,
    Stage,
    StudentStage,
    Teacher,
)
from thicket.config.validate import Model, validate


class _Run(Strict):
    sampler: Sampler
    trainer: Trainer


class _BaseParts(Strict):
    base: Base
    trainer: Trainer


class _SpecialistParts(_Run):
    domain: Domain
    method: SpecialistMethod


class _StudentParts(_Run):
    method: StudentMethod


class _EvaluateParts(_Run):
    evaluation: Evaluation


@dataclass(frozen=True)
class Resolved:
    """A stage's config, where each of its values came from, and the models and domains whose artifacts it reads."""

    stage: Stage
    layers: Layered
    models: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return getattr(self.stage, "stage")  # noqa: B009  (each kind of stage declares its own literal)

    @property
    def id(self) -> str:
        """The stage's name in the DAG."""
        return "report" if self.kind == "report" else f"{self.kind}-{self.stage.name}"


@dataclass
class _Domain:
    value: Domain | None
    layers: Layered = field(default_factory=Layered)


class Resolver:
    """Resolves a whole project, and collects problems instead of stopping at the first."""

    def __init__(self, project: Project, longest_question: LongestQuestion):
        self.project, self.longest_question = project, longest_question
        self.params, broken = project.sound_params()
        self.graph = Graph(self.params, project.params_layers, broken)
        self.problems = list(project.params_problems)
        self._domains: dict[str, _Domain] = {}
        self._bases: dict[str, Base] = {}

    def resolve(self) -> list[Resolved]:
        """Every stage, in an order in which each comes after those that it needs.

        Raises: ConfigError with every problem.
        """
        self._check_values()
        for index, name in enumerate(self.params.domains):
            self._domain(name, ("domains", index))
        order = self.graph.order()
        models = [made for made in map(self._model, order) if made]
        for name in order:
            if name in self.params.students:
                check_vocabularies(self.graph, name, self._bases)
        data = [self._data(name, domain) for name, domain in self._domains.items() if domain.value]
        evaluations = [made for made in map(self._evaluate, order) if made]
        problems = [*self.problems, *self.graph.problems]
        if problems:
            raise ConfigError(problems)
        return [*data, *models, *evaluations, self._report(order)]

    def _check_values(self) -> None:
        for group, options in self.params.values.items():
            if group not in GROUPS:
                self.graph.problem(("values", group), group, "there is no such group in conf/", GROUPS)
                continue
            known = self.project.library.options(group)
            for option in set(options) - set(known):
                at = ("values", group, option)
                self.graph.problem(at, option, f"there is no such option of conf/{group}", known)

    # -- options and their values ------------------------------------------------------------------------------------

    def _option(self, group: str, name: str, at: Place, user: str) -> Layered:
        """An option with params.yaml's values for it. Raises: ConfigError where there is none."""
        origin = self.project.params_layers.origin
        asked = Problem(origin(at), ".".join(map(str, at)), "", "", users=(user,))
        layers = self.project.library.option(group, name, asked)
        values = self.params.values.get(group, {}).get(name, {})
        return layers.merge(expanded(values), lambda path: origin(("values", group, name, *path)))

    def _options(self, place: Place, **chosen: str) -> dict[str, tuple[str, Place]]:
        """A model's own choices, and those that hold for every model."""
        own = {group: (name, (*place, group)) for group, name in chosen.items()}
        return {
            **own,
            "sampler": (self.params.sampler, ("sampler",)),
            "trainer": (self.params.trainer, ("trainer",)),
        }

    def _compose(self, options: Mapping[str, tuple[str, Place]], name: str, values: dict[str, Any]) -> Layered:
        """The options, each at its group, and the model's own values over them. Raises: ConfigError."""
        layers, problems, place = Layered(), [], self.graph.place(name)
        for group, (option, at) in options.items():
            try:
                layers.graft(self._option(group, option, at, self._user(name)), (group,))
            except ConfigError as error:
                problems.extend(error.problems)
        own = expanded(values)
        for key in set(own) - set(options):
            self.graph.problem((*place, "set", key), key, "not a part of this model's config", options)
            del own[key]
        if problems:
            raise ConfigError(problems)
        origin = self.project.params_layers.origin
        return layers.merge(own, lambda path: origin((*place, "set", *_as_written(values, path))))

    def _validated(self, model: type[Model], user: str, compose: Callable[[], Layered]) -> tuple[Model, Layered] | None:
        """The validated parts with their layers; None where something is wrong, and the problems are kept."""
        try:
            layers = compose()
            return validate(model, layers, user), layers
        except ConfigError as error:
            self.problems.extend(error.problems)
            return None

    def _domain(self, name: str, at: Place) -> Domain | None:
        """A domain without any model's own values; every domain that is asked for gets a data stage."""
        if name not in self._domains:
            self._domains[name] = _Domain(None)
            try:
                layers = self._option("domain", name, at, f"domain {name}")
                domain = validate(Domain, layers, f"domain {name}", prefix="domain.")
                self._domains[name] = _Domain(domain, layers)
                if domain.name != name:
                    wrong = f"differs from the file's name, conf/domain/{name}.yaml"
                    self.problems.append(Problem(layers.origin(("name",)), "domain.name", repr(domain.name), wrong))
            except ConfigError as error:
                self.problems.extend(error.problems)
        return self._domains[name].value

    def _check_window(self, user: str, domain: Domain, model: str) -> None:
        base = self._bases.get(self.graph.root(model))
        if base:
            layers = self._domains[domain.name].layers
            self.problems.extend(window_problems(user, domain, layers, base, self.longest_question))

    # -- stages ------------------------------------------------------------------------------------------------------

    def _user(self, name: str) -> str:
        """A model as messages name it: `specialist sort-grpo`."""
        return f"{self.graph.kind(name)} {name}"

    def _seed(self, node: Node) -> int:
        return self.params.seed if node.seed is None else node.seed

    def _model(self, name: str) -> Resolved | None:
        node = self.graph.nodes()[name]
        if isinstance(node, BaseNode):
            return self._base(name, node)
        return self._specialist(name, node) if isinstance(node, SpecialistNode) else self._student(name, node)

    def _base(self, name: str, node: BaseNode) -> Resolved | None:
        place = self.graph.place(name)
        options = self._options(place, base=node.base)
        del options["sampler"]
        found = self._validated(_BaseParts, self._user(name), lambda: self._compose(options, name, node.set))
        if not found:
            return None
        parts, layers = found
        self._bases[name] = parts.base
        return Resolved(BaseStage(name=name, seed=self._seed(node), base=parts.base, trainer=parts.trainer), layers)

    def _specialist(self, name: str, node: SpecialistNode) -> Resolved | None:
        place = self.graph.place(name)
        whole = self._domain(node.domain, (*place, "domain"))
        if whole is None:
            return None
        options = self._options(place, domain=node.domain, method=node.method)
        found = self._validated(_SpecialistParts, self._user(name), lambda: self._compose(options, name, node.set))
        if not found:
            return None
        parts, layers = found
        if parts.domain.data_part() != whole.data_part():
            at = (*place, "set", "domain")
            self.graph.problem(at, None, "a specialist can't change its domain's data: declare a domain in conf/domain")
        self._check_window(self._user(name), parts.domain, name)
        stage = SpecialistStage(
            name=name,
            seed=self._seed(node),
            base=node.base,
            domain=parts.domain.trained_part(),
            method=parts.method,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        return Resolved(stage, layers, models=(node.base,), domains=(node.domain,))

    def _student(self, name: str, node: StudentNode) -> Resolved | None:
        place = self.graph.place(name)
        teachers = self._teachers(name, node)
        names = node.domains or list(dict.fromkeys(teacher.domain for teacher in teachers))
        domains = [self._domain(domain, (*place, "domains")) for domain in names]
        options = self._options(place, method=node.method)
        found = self._validated(_StudentParts, self._user(name), lambda: self._compose(options, name, node.set))
        if not found or len(teachers) < len(node.teachers):
            return None
        parts, layers = found
        check_student(self.graph, name, node, parts.method, teachers, names)
        whole = [domain for domain in domains if domain and parts.method.type != "soup"]
        for domain in whole:
            self._check_window(self._user(name), domain, name)
        stage = StudentStage(
            name=name,
            seed=self._seed(node),
            base=node.base,
            teachers=teachers,
            domains=[domain.trained_part() for domain in whole],
            budget_of=node.budget_of,
            method=parts.method,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        needed = [node.base, *(teacher.name for teacher in teachers), *([node.budget_of] if node.budget_of else [])]
        return Resolved(
            stage, layers, models=tuple(dict.fromkeys(needed)), domains=tuple(domain.name for domain in whole)
        )

    def _teachers(self, student: str, node: StudentNode) -> list[Teacher]:
        """The teachers whose domain is known; the others are problems."""
        teachers = []
        for index, entry in enumerate(node.teachers):
            model = self.graph.nodes()[entry.model]
            domain = entry.domain or (model.domain if isinstance(model, SpecialistNode) else None)
            if domain is None:
                wrong = "not a specialist: say which domain it judges, {model: …, domain: …}"
                self.graph.problem(("students", student, "teachers", index), entry.model, wrong)
            else:
                teachers.append(Teacher(name=entry.model, domain=domain, weight=entry.weight))
        return teachers

    def _data(self, name: str, domain: _Domain) -> Resolved:
        assert domain.value is not None
        stage = DataStage(name=name, seed=self.params.seed, domain=domain.value.data_part())
        return Resolved(stage, Layered().graft(domain.layers, ("domain",)))

    def _evaluate(self, name: str) -> Resolved | None:
        options = {**self._options(()), "evaluation": (self.params.evaluation, ("evaluation",))}
        user = f"evaluate {name}"
        found = self._validated(_EvaluateParts, user, lambda: self._compose(options, name, {}))
        domains = [domain for domain in (self._domains[name].value for name in self.params.domains) if domain]
        if not found or not domains:
            return None
        for domain in domains:
            self._check_window(user, domain, name)
        parts, layers = found
        stage = EvaluateStage(
            name=name,
            seed=self.params.seed,
            domains=[domain.scored_part() for domain in domains],
            evaluation=parts.evaluation,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        return Resolved(stage, layers, models=(name,), domains=tuple(self.params.domains))

    def _report(self, order: list[str]) -> Resolved:
        models = [self._row(name) for name in order]
        stage = ReportStage(
            name="report", experiment=self.params.experiment, domains=self.params.domains, models=models
        )
        return Resolved(stage, Layered(), models=tuple(order))

    def _row(self, name: str) -> ReportedModel:
        node = self.graph.nodes()[name]
        if isinstance(node, BaseNode):
            return ReportedModel(name=name, kind="base", method=self._bases[name].type)
        if isinstance(node, SpecialistNode):
            return ReportedModel(name=name, kind="specialist", method=node.method, base=node.base, domain=node.domain)
        taught = [teacher.model for teacher in node.teachers]
        return ReportedModel(name=name, kind="student", method=node.method, base=node.base, teachers=taught)


def _as_written(values: Mapping[str, Any], path: Path_) -> Path_:
    """The path of a value as the file spells it, with dotted keys in one piece."""
    for length in range(len(path), 0, -1):
        joined = ".".join(map(str, path[:length]))
        if joined in values:
            return (joined, *path[length:])
    return path
