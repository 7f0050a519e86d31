"""The validated parts of stages: composed from conf/ and params.yaml, with the problems found on the way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from thicket.config.analysis import Analysis
from thicket.config.base import Base
from thicket.config.compose import Choice, Composer
from thicket.config.domain import Domain
from thicket.config.fields import Strict
from thicket.config.graph import Graph, Node
from thicket.config.layers import Layered, Path_
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.params import AnalysisNode, BaseNode, Params, SpecialistNode, StudentNode
from thicket.config.problems import ConfigError, Problem, dotted, shown
from thicket.config.project import Project
from thicket.config.roles import makers, makes
from thicket.config.run import Evaluation, Sampler, Trainer
from thicket.config.validate import Model, validate


class BaseParts(Strict):
    """Of a stage that makes a base."""

    base: Base
    trainer: Trainer


class StudentParts(Strict):
    """Of a stage that makes a student."""

    method: StudentMethod
    sampler: Sampler
    trainer: Trainer


class SpecialistParts(Strict):
    """Of a stage that makes a specialist."""

    domain: Domain
    method: SpecialistMethod
    sampler: Sampler
    trainer: Trainer


class EvaluateParts(Strict):
    """Of a stage that scores a model."""

    evaluation: Evaluation
    sampler: Sampler
    trainer: Trainer


class AnalyzeParts(Strict):
    """Of a stage that looks at models."""

    analysis: Analysis
    evaluation: Evaluation
    sampler: Sampler
    trainer: Trainer


CHOICES = {BaseNode: ("base",), SpecialistNode: ("domain", "method"), StudentNode: ("method",)}
"""The keys of a declaration that name options of conf/; the key is the group."""


@dataclass
class KnownDomain:
    """A domain that was asked for; without a value, if something is wrong with it."""

    value: Domain | None = None
    layers: Layered = field(default_factory=Layered)


class Parts:
    """Composes and validates parts; what is wrong is kept in `problems`, and the part is None."""

    def __init__(self, project: Project, params: Params, graph: Graph):
        self.params, self.graph, self.composer = params, graph, Composer(project, params)
        self.problems = [*project.params_problems, *self.composer.unknown_values()]
        self.domains: dict[str, KnownDomain] = {}

    def user(self, name: str) -> str:
        """A model as messages name it: `specialist sort-grpo`."""
        return f"{self.graph.kind(name)} {name}"

    def check_options(self) -> None:
        """Models whose options don't exist or don't fit are at fault, and what needs them is left out."""
        for name, node in self.graph.nodes.items():
            try:
                for group, choice in self._choices(name, node).items():
                    among = partial(makers, self.composer.library, self.graph.kind(name)) if group == "method" else None
                    self.composer.option(group, choice, self.user(name), among)
                if not isinstance(node, BaseNode):
                    self._check_role(name, node)
            except ConfigError as error:
                self.problems += error.problems
                self.graph.broken.add(name)

    def of_model(self, model: type[Model], name: str, *shared: str) -> tuple[Model, Layered] | None:
        """The parts of a stage that makes a model, and where their values came from."""
        node, user, at = self.graph.nodes[name], self.user(name), self.graph.at(name, "set")
        choices = {**self._choices(name, node), **self.composer.shared(*shared)}
        return self._validated(model, user, lambda: self.composer.parts(choices, user, node.set, at))

    def of_analysis(self, name: str, node: AnalysisNode) -> tuple[AnalyzeParts, Layered] | None:
        """The parts of an analysis."""
        user, at = f"analyze {name}", ("analyses", name)
        choices = {"analysis": (node.analysis, (*at, "analysis"))}
        choices |= self.composer.shared("sampler", "trainer", "evaluation")
        compose = lambda: self.composer.parts(choices, user, node.set, (*at, "set"))  # noqa: E731
        return self._validated(AnalyzeParts, user, compose)

    def of_project(self, model: type[Model], user: str, *shared: str) -> tuple[Model, Layered] | None:
        """Parts that are the same for every model."""
        choices = self.composer.shared(*shared)
        return self._validated(model, user, lambda: self.composer.parts(choices, user, {}, ()))

    def domain(self, name: str, at: Path_, user: str = "") -> Domain | None:
        """A domain without any model's own values, which the place `at` asks for."""
        users, where = ((user,) if user else ()), self.graph.layers.origin(at)
        unknown = self.composer.library.unknown("domain", name, where, dotted(at), users)
        if unknown:
            self.problems += unknown
            return None
        if name not in self.domains:
            self.domains[name] = KnownDomain()
            try:
                self.domains[name] = self._read_domain(name, at)
            except ConfigError as error:
                self.problems += error.problems
        return self.domains[name].value

    def _read_domain(self, name: str, at: Path_) -> KnownDomain:
        layers = self.composer.option("domain", (name, at), f"domain {name}")
        domain = validate(Domain, layers, f"domain {name}", prefix=("domain",))
        if domain.name != name:
            wrong = f"differs from the file's name, conf/domain/{name}.yaml"
            raise ConfigError([Problem(layers.origin(("name",)), "domain.name", shown(domain.name), wrong)])
        return KnownDomain(domain, layers)

    def _choices(self, name: str, node: Node) -> dict[str, Choice]:
        return {group: (getattr(node, group), self.graph.at(name, group)) for group in CHOICES[type(node)]}

    def _check_role(self, name: str, node: SpecialistNode | StudentNode) -> None:
        """A specialist's method makes specialists, and a student's students. Raises: ConfigError."""
        library, kind, at = self.composer.library, self.graph.kind(name), self.graph.at(name, "method")
        other = "student" if kind == "specialist" else "specialist"
        if makes(library, node.method, other) and not makes(library, node.method, kind):
            where, known, users = self.graph.layers.origin(at), ", ".join(makers(library, kind)), (self.user(name),)
            wrong = f"a {other}'s method, which makes no {kind}"
            raise ConfigError([Problem(where, dotted(at), shown(node.method), wrong, known, users=users)])

    def _validated(self, model: type[Model], user: str, compose: Callable[[], Layered]) -> tuple[Model, Layered] | None:
        try:
            layers = compose()
            return validate(model, layers, user), layers
        except ConfigError as error:
            self.problems += error.problems
            return None
