"""From params.yaml and conf/ to the resolved config of every stage, with every problem found on the way.

A model takes its options of conf/, then params.yaml's `values` for those options, then its own `set`; each value
remembers where it came from.
"""

import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from thicket.config import origins
from thicket.config.base import Base, PretrainedBase
from thicket.config.checks import (
    LongestQuestion,
    answers,
    cache_problems,
    check_analysis,
    check_architectures,
    check_samples,
    check_start,
    check_student,
    check_twice,
    check_vocabularies,
    check_whole,
    device_problems,
    sampler_problems,
    window_problems,
)
from thicket.config.domain import Domain
from thicket.config.fields import SEEDS
from thicket.config.graph import Graph, Node
from thicket.config.layers import Layered, Path_
from thicket.config.merging import Ensemble, WeightSpace
from thicket.config.params import AnalysisNode, BaseNode, SpecialistNode, StudentNode
from thicket.config.parts import BaseParts, EvaluateParts, KnownDomain, Parts, SpecialistParts, StudentParts
from thicket.config.problems import ConfigError
from thicket.config.project import Project
from thicket.config.search import WEIGHTLESS
from thicket.config.stages import (
    AnalysedModel,
    AnalyzeStage,
    BaseStage,
    ClaimsStage,
    DataStage,
    EvaluateStage,
    ReportedAnalysis,
    ReportedModel,
    ReportStage,
    SpecialistStage,
    Stage,
    StudentStage,
    Teacher,
)

SEQUENCE_STRIDE = 2**40
"""Added to the seed for each step of a sequence of methods: the same draws would try the same again."""


@dataclass(frozen=True)
class Resolved:
    """A stage's config, where each of its values came from, and the models and domains whose artifacts it reads."""

    stage: Stage
    layers: Layered
    models: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return getattr(self.stage, "stage")  # noqa: B009  (as in `Stage.id`)

    @property
    def id(self) -> str:
        """The stage's name in the DAG."""
        return self.stage.id


class Resolver:
    """Resolves a whole project, and collects problems instead of stopping at the first."""

    def __init__(self, project: Project, longest_question: LongestQuestion):
        self.longest_question = longest_question
        self.params, broken = project.sound_params()
        self.graph = Graph(self.params, project.params_layers, broken)
        self.parts = Parts(project, self.params, self.graph)
        self._bases: dict[str, Base] = {}
        self._methods: dict[str, Any] = {}
        """Model → how it is made, of those that are sound."""

    def resolve(self) -> list[Resolved]:
        """Every stage, in an order in which each comes after those that it needs.

        Raises: ConfigError with every problem.
        """
        check_twice(self.graph, ("domains",), self.params.domains)
        for index, name in enumerate(self.params.domains):
            self.parts.domain(name, ("domains", index))
        self.parts.check_options()
        self.graph.check_names()
        order = self.graph.order()
        models = [made for made in map(self._model, order) if made]
        for name in order:
            check_vocabularies(self.graph, name, self._bases)
            check_architectures(self.graph, name, self._methods.get(name), self._bases)
        rows = self.graph.reported(order)
        check_twice(self.graph, ("report",), self.params.report)
        data = [self._data(name, domain) for name, domain in self.parts.domains.items() if domain.value]
        evaluations = [made for made in map(self._evaluate, order) if made]
        analyses = [self._analyze(name, node) for name, node in self.params.analyses.items()]
        problems = [*self.parts.problems, *self.graph.problems]
        if problems:
            raise ConfigError(problems)
        looked = [made for made in analyses if made]
        claims = [self._claims(order, looked)] if looked else []
        return [*data, *models, *evaluations, *looked, *claims, self._report(rows, bool(claims))]

    def data(self, name: str, at: Path_) -> Resolved:
        """The data of a single domain, whatever the models are; `at` asks for it. Raises: ConfigError."""
        self.parts.domain(name, at)
        problems = [*self.parts.problems, *self.graph.problems]
        if problems:
            raise ConfigError(problems)
        return self._data(name, self.parts.domains[name])

    # -- stages ------------------------------------------------------------------------------------------------------

    def _seed(self, node: Node) -> int:
        return self.params.seed if node.seed is None else node.seed

    def _check_window(
        self,
        user: str,
        domain: Domain,
        model: str,
        origin: Callable[[Path_], str] | None = None,
        method: object = None,
    ) -> None:
        """`origin`: where the window's values come from, if not from the domain itself."""
        base = self._bases.get(self.graph.root(model))
        if base:
            place = origin or self.parts.domains[domain.name].layers.origin
            self.parts.problems.extend(window_problems(user, domain, place, base, self.longest_question, method))

    def _model(self, name: str) -> Resolved | None:
        node = self.graph.nodes[name]
        if isinstance(node, BaseNode):
            return self._base(name, node)
        return self._specialist(name, node) if isinstance(node, SpecialistNode) else self._student(name, node)

    def _base(self, name: str, node: BaseNode) -> Resolved | None:
        found = self.parts.of_model(BaseParts, name, "trainer")
        if not found:
            return None
        parts, layers = found
        self._bases[name] = parts.base
        stage = BaseStage(name=name, seed=self._seed(node), base=parts.base, trainer=parts.trainer)
        return Resolved(stage, layers.note(origins.of_model(self.graph, name)))

    def _specialist(self, name: str, node: SpecialistNode) -> Resolved | None:
        user = self.parts.user(name)
        whole = self.parts.domain(node.domain, self.graph.at(name, "domain"), user)
        found = whole and self.parts.of_model(SpecialistParts, name, "sampler", "trainer")
        if not whole or not found:
            return None
        parts, layers = found
        self._methods[name] = parts.method
        if not whole.splits.trainable:
            wrong = "all its items are test items: there is nothing to train on"
            self.graph.problem(self.graph.at(name, "domain"), node.domain, wrong)
            return None
        if parts.domain.data_part() != whole.data_part():
            at = self.graph.at(name, "set", "domain")
            self.graph.problem(at, None, "a specialist can't change its domain's data: declare a domain in conf/domain")
            return None
        if node.effort is not None and node.effort not in parts.domain.efforts:
            wrong = f"the domain {node.domain} has no such effort"
            self.graph.problem(self.graph.at(name, "effort"), node.effort, wrong, parts.domain.efforts)
            return None
        domain = parts.domain.at_effort(node.effort)
        self.parts.problems.extend(cache_problems(user, domain, parts.method, layers))
        self.parts.problems.extend(device_problems(user, parts.sampler, parts.trainer, layers))
        check_start(self.graph, name, node.base, parts.method, self._methods.get(node.base))
        inside = ("efforts", node.effort) if node.effort else ()
        place = lambda path: layers.origin(("domain", *inside, *path))  # noqa: E731
        self._check_window(user, domain, name, place, parts.method)
        stage = SpecialistStage(
            name=name,
            seed=(self._seed(node) + SEQUENCE_STRIDE * self._steps_before(name)) % SEEDS,
            base=node.base,
            domain=domain.trained_part(),
            method=parts.method,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        layers.note(origins.of_model(self.graph, name))
        return Resolved(stage, layers, models=(node.base, *self._weights_of(node.base)), domains=(node.domain,))

    def _student(self, name: str, node: StudentNode) -> Resolved | None:
        user = self.parts.user(name)
        found = self.parts.of_model(StudentParts, name, "sampler", "trainer")
        teachers = self._teachers(node)
        asked = {domain: self.graph.at(name, "domains", index) for index, domain in enumerate(node.domains)}
        taught = {t.domain: self.graph.at(name, "teachers", i, "domain") for i, t in enumerate(teachers) if t.domain}
        asked = asked or taught
        domains = [self.parts.domain(domain, at, user) for domain, at in asked.items()]
        if not found or None in domains:
            return None
        parts, layers = found
        self._methods[name] = parts.method
        check_whole(self.graph, name, self._methods)
        check_samples(self.graph, name, node, self._methods)
        check_student(self.graph, name, node, parts.method, teachers, list(asked))
        writers = [node.base, *(teacher.name for teacher in teachers if teacher.weight > 0 and answers(parts.method))]
        bases = [self._bases.get(self.graph.root(writer)) for writer in writers]
        self.parts.problems.extend(sampler_problems(user, parts.sampler, layers, None, bases))
        self.parts.problems.extend(device_problems(user, parts.sampler, parts.trainer, layers))
        chooses = isinstance(parts.method, WeightSpace) and parts.method.scored(len(teachers)) > 0
        idle = isinstance(parts.method, WeightSpace | Ensemble) and not chooses
        used = [domain for domain in domains if domain and not idle]
        for domain in used:
            self._check_window(user, domain, name)
            self.parts.problems.extend(cache_problems(user, domain, parts.method, layers))
            if not domain.splits.trainable:
                wrong = "all its items are test items: there is nothing to train on"
                self.graph.problem(asked[domain.name], domain.name, wrong)
        stage = StudentStage(
            name=name,
            seed=self._seed(node),
            base=node.base,
            teachers=teachers,
            domains=[domain.trained_part() for domain in used],
            budget_of=node.budget_of,
            method=parts.method,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        needed = [node.base, *(teacher.name for teacher in teachers), *([node.budget_of] if node.budget_of else [])]
        needed += [under for teacher in teachers for under in self._under(teacher.name)]
        names = tuple(domain.name for domain in used)
        layers.note(origins.of_model(self.graph, name) | self._domain_origins(names))
        return Resolved(stage, layers, models=tuple(dict.fromkeys(needed)), domains=names)

    def _steps_before(self, name: str) -> int:
        """How many specialists a specialist goes back to, one after the other."""
        base = self.graph.start_of(name)
        return 1 + self._steps_before(base) if self.graph.kind(base) == "specialist" else 0

    def _weights_of(self, name: str) -> tuple[str, ...]:
        """The models whose weights answer for one that has none of its own."""
        node, method = self.graph.nodes[name], self._methods.get(name)
        if isinstance(node, StudentNode) and isinstance(method, Ensemble):
            return tuple(teacher.model for teacher in node.teachers)
        return (node.base,) if isinstance(method, WEIGHTLESS) and not isinstance(node, BaseNode) else ()

    def _under(self, name: str) -> tuple[str, ...]:
        """The model whose weights a teacher is read with: an ensemble's, or those that adapters go over."""
        node = self.graph.nodes[name]
        if not isinstance(node, BaseNode) and getattr(self._methods.get(name), "lora", None) is not None:
            return (node.base,)
        return self._weights_of(name)

    def _teachers(self, node: StudentNode) -> list[Teacher]:
        """The teachers, each with the domain that it judges: the declared one, or the one that made it a specialist."""
        teachers = []
        for entry in node.teachers:
            model = self.graph.nodes[entry.model]
            own = model.domain if isinstance(model, SpecialistNode) else None
            teachers.append(Teacher(name=entry.model, domain=entry.domain or own, weight=entry.weight))
        return teachers

    def _data(self, name: str, domain: KnownDomain) -> Resolved:
        assert domain.value is not None
        stage = DataStage(name=name, seed=self.params.seed, domain=domain.value.data_part())
        name_origin = {("name",): domain.layers.origin(("name",))}
        layers = Layered().graft(domain.layers, ("domain",)).note(name_origin | origins.of_seed(self.graph))
        return Resolved(stage, layers)

    def _evaluate(self, name: str) -> Resolved | None:
        user = f"evaluate {name}"
        found = self.parts.of_project(EvaluateParts, user, "sampler", "trainer", "evaluation")
        node = self.graph.nodes[name]
        effort = node.effort if isinstance(node, SpecialistNode) else None
        asked = [known.value for known in map(self.parts.domains.get, self.params.domains) if known and known.value]
        domains = [domain.at_effort(effort) for domain in asked]
        for domain in domains:
            self._check_window(user, domain, name)
        if not found or not domains:
            return None
        parts, layers = found
        self.parts.problems.extend(sampler_problems(user, parts.sampler, layers, self._methods.get(name)))
        self.parts.problems.extend(device_problems(user, parts.sampler, parts.trainer, layers))
        stage = EvaluateStage(
            name=name,
            seed=self.params.seed,
            domains=[domain.scored_part() for domain in domains],
            evaluation=parts.evaluation,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        name_origin = {("name",): self.graph.layers.origin(self.graph.at(name))}
        layers.note(name_origin | origins.of_seed(self.graph) | self._domain_origins(domain.name for domain in domains))
        return Resolved(stage, layers, models=(name, *self._weights_of(name)), domains=tuple(self.params.domains))

    def _analyze(self, name: str, node: AnalysisNode) -> Resolved | None:
        user = f"analyze {name}"
        found = self.parts.of_analysis(name, node)
        asked = {domain: ("analyses", name, "domains", i) for i, domain in enumerate(node.domains)}
        asked = asked or {domain: ("domains", i) for i, domain in enumerate(self.params.domains)}
        domains = [self.parts.domain(domain, at, user) for domain, at in asked.items()]
        if found:
            check_analysis(self.graph, name, node, found[0].analysis, self._methods)
        if not found or None in domains or any(model not in self.graph.nodes for model in node.models):
            return None
        for domain in domains:
            for model in node.models:
                self._check_window(user, domain, model)  # type: ignore[arg-type]
        parts, layers = found
        stage = AnalyzeStage(
            name=name,
            seed=self.params.seed if node.seed is None else node.seed,
            analysis=parts.analysis,
            models=[AnalysedModel(name=model) for model in node.models],
            domains=[domain.scored_part() for domain in domains if domain],
            evaluation=parts.evaluation,
            sampler=parts.sampler,
            trainer=parts.trainer,
        )
        layers.note(origins.of_analysis(self.graph, name, node) | self._domain_origins(asked))
        return Resolved(stage, layers, models=tuple(node.models), domains=tuple(asked))

    def _claims(self, order: list[str], analyses: list[Resolved]) -> Resolved:
        stages: list[Any] = [made.stage for made in analyses]
        stage = ClaimsStage(
            name="claims",
            seed=self.params.seed,
            experiment=self.params.experiment,
            domains=self.params.domains,
            models=[self._row(name) for name in order],
            analyses=[
                ReportedAnalysis(
                    name=made.name, type=made.analysis.type, models=[one.name for one in made.models], seed=made.seed
                )
                for made in stages
            ],
        )
        names = [made.name for made in stages]
        return Resolved(stage, Layered().note(origins.of_claims(self.graph, order, names)), models=tuple(order))

    def _domain_origins(self, names: Iterable[str]) -> dict[Path_, str]:
        return origins.of_domains(self.parts.domains[name].layers for name in names)

    def _report(self, order: list[str], claims: bool) -> Resolved:
        models = [self._row(name) for name in order]
        stage = ReportStage(
            name="report",
            seed=self.params.seed,
            experiment=self.params.experiment,
            domains=self.params.domains,
            models=models,
            methods={model.method: self._about(model) for model in models if model.kind != "base"},
            claims=claims,
        )
        return Resolved(stage, Layered().note(origins.of_report(self.graph, order)), models=tuple(order))

    def _about(self, model: ReportedModel) -> str:
        """What the option says that made a model, or else its type."""
        of_type = inspect.cleandoc(type(self._methods[model.name]).__doc__ or "").split("\n\n")[0]
        return self.parts.composer.library.about("method", model.method) or " ".join(of_type.split())

    def _row(self, name: str) -> ReportedModel:
        node = self.graph.nodes[name]
        if isinstance(node, BaseNode):
            source = self._bases[name].type
            row = ReportedModel(name=name, kind="base", method=source, type=source, seed=self._seed(node))
            return row.model_copy(update=_recipe(self._bases[name]))
        made_by = {"method": node.method, "type": self._methods[name].type, "base": node.base, "seed": self._seed(node)}
        if isinstance(node, SpecialistNode):
            return ReportedModel(name=name, kind="specialist", domain=node.domain, effort=node.effort, **made_by)
        taught = [teacher.model for teacher in node.teachers]
        return ReportedModel(name=name, kind="student", teachers=taught, **made_by)


def _recipe(base: Base) -> dict[str, Any]:
    """What tells bases of one size from one another: how long they were pretrained, and on what."""
    if not isinstance(base, PretrainedBase):
        return {}
    return {"steps": base.steps, "corpus": hashlib.sha256(base.corpus.model_dump_json().encode()).hexdigest()[:16]}
