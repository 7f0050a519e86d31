"""The model graph of params.yaml: names, references, the order of building."""

from collections.abc import Iterable
from typing import Any, Literal

from thicket.config.layers import Layered
from thicket.config.params import BaseNode, Params, SpecialistNode, StudentNode
from thicket.config.problems import Problem, dotted, nearest

Node = BaseNode | SpecialistNode | StudentNode
Place = tuple[str | int, ...]


class Graph:
    """The declared models, with the problems found among their names and references."""

    def __init__(self, params: Params, layers: Layered, broken: frozenset[str] = frozenset()):
        """`broken`: models whose declaration has a problem of its own, reported already."""
        self.params, self.layers, self.broken = params, layers, broken
        self.problems: list[Problem] = []
        self.specialists = dict(params.specialists)
        self._product_of: dict[str, int] = {}
        self._add_products()
        self._check_names()

    def nodes(self) -> dict[str, Node]:
        return {**self.params.bases, **self.specialists, **self.params.students}

    def kind(self, name: str) -> Literal["base", "specialist", "student"]:
        if name in self.params.bases:
            return "base"
        return "student" if name in self.params.students else "specialist"

    def place(self, name: str) -> Place:
        """Where a node stands in params.yaml."""
        if name in self._product_of:
            return "products", self._product_of[name]
        if name in self.params.bases:
            return "bases", name
        return ("students", name) if name in self.params.students else ("specialists", name)

    def problem(self, at: Place, given: Any, wrong: str, among: Iterable[str] = ()) -> None:
        """Notes a problem at a place in params.yaml; `among` are the words that are allowed there."""
        known = sorted(among)
        self.problems.append(
            Problem(
                where=self.layers.origin(at),
                path=dotted(at),
                given=repr(given) if given is not None else "",
                wrong=wrong,
                allowed=", ".join(known),
                nearest=nearest(given, known) if known else "",
            )
        )

    def _add_products(self) -> None:
        for index, product in enumerate(self.params.products):
            for domain in product.domains:
                for method in product.methods:
                    name = f"{domain}-{method}".replace("/", "-")
                    if name in self.specialists:
                        self.problem(("products", index), name, "a specialist of this name is declared already")
                    self._product_of[name] = index
                    self.specialists[name] = SpecialistNode(base=product.base, domain=domain, method=method)

    def _check_names(self) -> None:
        seen: set[str] = set()
        for group in ("bases", "specialists", "students"):
            names = self.specialists if group == "specialists" else getattr(self.params, group)
            for name in names:
                if name in seen:
                    self.problem((group, name), None, "another model has this name already")
                seen.add(name)

    def references(self, name: str) -> list[tuple[Place, str]]:
        """The models that a node needs, each with its place in params.yaml."""
        node, place = self.nodes()[name], self.place(name)
        if isinstance(node, BaseNode):
            return []
        references: list[tuple[Place, str]] = [((*place, "base"), node.base)]
        if isinstance(node, StudentNode):
            for index, teacher in enumerate(node.teachers):
                references.append(((*place, "teachers", index), teacher.model))
            if node.budget_of is not None:
                references.append(((*place, "budget_of"), node.budget_of))
        return references

    def order(self) -> list[str]:
        """Models in an order in which each comes after those that it needs.

        Left out, with a problem noted: models that need themselves or a model that is not declared.
        """
        nodes, order = self.nodes(), []
        complete: dict[str, bool] = {}
        visiting: list[str] = []

        def visit(name: str) -> bool:
            if name not in complete:
                visiting.append(name)
                complete[name] = all([arrive(at, other) for at, other in self.references(name)])
                visiting.pop()
                if complete[name]:
                    order.append(name)
            return complete[name]

        def arrive(at: Place, other: str) -> bool:
            if other in self.broken:
                return False
            if other not in nodes:
                self.problem(at, other, "no model of this name is declared", nodes)
                return False
            if other in visiting:
                self.problem(at, other, f"the graph goes in a circle: {' → '.join([*visiting, other])}")
                return False
            return visit(other)

        for name in nodes:
            visit(name)
        return order

    def root(self, name: str) -> str:
        """The base that a model goes back to, by way of what it started from."""
        node = self.nodes()[name]
        return name if isinstance(node, BaseNode) else self.root(node.base)
