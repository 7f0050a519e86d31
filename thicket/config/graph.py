"""The model graph of params.yaml: names, references, the order of building."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from thicket.config.fields import NAME_PATTERN
from thicket.config.layers import Layered, Path_
from thicket.config.params import BaseNode, Params, SpecialistNode, StudentNode
from thicket.config.problems import Problem, dotted, nearest, shown

Node = BaseNode | SpecialistNode | StudentNode
Kind = Literal["base", "specialist", "student"]
SOME_PRODUCT = "products[]"
"""Stands among broken models for those of a broken product, whose names can't be told."""


def written_out(product: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Path_]]]:
    """The specialists of a product: name, declaration, and where in the product each of its choices stands.

    Each step of a sequence of methods is a specialist that starts from the one before; steps that two sequences share
    are one specialist.
    """
    prefix, methods = product.get("prefix"), product["methods"]
    for d, domain in enumerate(product["domains"]):
        made: dict[tuple[str, ...], bool] = {}  # whether as the end of a sequence
        for m, entry in enumerate(methods):
            sequence = (entry,) if isinstance(entry, str) else tuple(entry)
            for step, method in enumerate(sequence):
                done, so_far, last = sequence[:step], sequence[: step + 1], step + 1 == len(sequence)
                shared = so_far in made and not (last and made[so_far])
                made[so_far] = last or made.get(so_far, False)
                if shared:
                    continue
                start = _product_name(prefix, domain, done) if done else product["base"]
                place: Path_ = ("methods", m) if isinstance(entry, str) else ("methods", m, step)
                places: dict[str, Path_] = {"base": ("base",), "domain": ("domains", d), "method": place}
                declared = {"base": start, "domain": domain, "method": method}
                declared |= {key: product.get(key) for key in ("effort", "seed")}
                name = _product_name(prefix, domain, so_far)
                if own := (product.get("set") or {}).get(name):
                    declared["set"], places["set"] = own, ("set", name)
                yield name, declared, places


def _product_name(prefix: str | None, domain: str, methods: Iterable[str]) -> str:
    return "-".join([*([prefix] if prefix else []), domain, *methods]).replace("/", "-")


class Graph:
    """The declared models, with the problems found among their names and references.

    A declaration with a problem of its own is left out, and so is what needs it: one fault, one message.
    """

    def __init__(self, params: Params, layers: Layered, broken: frozenset[str] = frozenset()):
        """`broken`: models whose declaration has a problem that is reported already."""
        self.params, self.layers = params, layers
        self.broken = set(broken)
        self.problems: list[Problem] = []
        self.nodes: dict[str, Node] = {}
        self._places: dict[str, Path_] = {}
        self._choices: dict[str, dict[str, Path_]] = {}
        for group in ("bases", "specialists"):
            for name, node in getattr(params, group).items():
                self._declare(name, node, (group, name))
        self._declare_products()
        for name, node in params.students.items():
            self._declare(name, node, ("students", name))

    def kind(self, name: str) -> Kind:
        node = self.nodes[name]
        if isinstance(node, BaseNode):
            return "base"
        return "specialist" if isinstance(node, SpecialistNode) else "student"

    def at(self, name: str, *path: str | int) -> Path_:
        """Where a part of a model's declaration stands in params.yaml."""
        chosen = self._choices.get(name, {}).get(str(path[0])) if path else None
        return chosen or (*self._places[name], *path)

    def problem(self, at: Path_, given: Any, wrong: str, among: Iterable[str] = ()) -> None:
        """Notes a problem at a place in params.yaml; `among` are the words that are allowed there."""
        known = sorted(among)
        self.problems.append(
            Problem(
                where=self.layers.origin(at),
                path=dotted(at),
                given="" if given is None else shown(given),
                wrong=wrong,
                allowed=", ".join(known),
                nearest=nearest(given, known) if known else "",
            )
        )

    def _declare(self, name: str, node: Node, at: Path_, choices: dict[str, Path_] | None = None) -> None:
        if name in self.nodes:
            taken = self._places[name]
            given = name if choices else None
            self.problem(at, given, f"the name is taken: {dotted(taken)} ({self.layers.origin(taken)})")
            return
        self.nodes[name], self._places[name], self._choices[name] = node, at, choices or {}

    def _declare_products(self) -> None:
        for index, product in enumerate(self.params.products):
            at, names = ("products", index), list[str]()
            for name, declared, places in written_out(product.model_dump()):
                choices = {key: (*at, *place) for key, place in places.items()}
                self._declare(name, SpecialistNode(**declared), at, choices)
                names.append(name)
            for name in product.set.keys() - set(names):
                self.problem((*at, "set", name), name, "this product has no specialist of this name", names)

    def check_names(self) -> None:
        """A product's names are made of its options' names, which need not be fit for a model."""
        for name in self.nodes:
            if name not in self.broken and not re.match(NAME_PATTERN, name):
                wrong = "not a name for a model (lower-case letters, digits, hyphens): declare it under `specialists`"
                self.problem(self.at(name), name, wrong)
                self.broken.add(name)

    def references(self, name: str) -> list[tuple[Path_, str]]:
        """The models that a node needs, each with its place in params.yaml."""
        node = self.nodes[name]
        if isinstance(node, BaseNode):
            return []
        references: list[tuple[Path_, str]] = [(self.at(name, "base"), node.base)]
        if isinstance(node, StudentNode):
            for index, teacher in enumerate(node.teachers):
                references.append((self.at(name, "teachers", index), teacher.model))
            if node.budget_of is not None:
                references.append((self.at(name, "budget_of"), node.budget_of))
        return references

    def order(self) -> list[str]:
        """Models in an order in which each comes after those that it needs.

        Left out, with a problem noted: models that need themselves or a model that is not declared.
        """
        order: list[str] = []
        complete: dict[str, bool] = {}
        visiting: list[str] = []

        def visit(name: str) -> bool:
            if name not in complete:
                visiting.append(name)
                found = [arrive(at, other) for at, other in self.references(name)]
                complete[name] = name not in self.broken and all(found)
                visiting.pop()
                if complete[name]:
                    order.append(name)
            return complete[name]

        def arrive(at: Path_, other: str) -> bool:
            if other in visiting:
                circle = [*visiting[visiting.index(other) :], other]
                self.problem(at, other, f"the graph goes in a circle: {' → '.join(circle)}")
                return False
            return visit(other) if other in self.nodes else self.unknown(at, other)

        for name in self.nodes:
            visit(name)
        return order

    def reported(self, order: list[str]) -> list[str]:
        """The report's rows out of the models in their order: those asked for and those that they are made of, or all.

        A name that is no model's is noted as a problem.
        """
        found, left = set[str](), [name for name in self.params.report if name in self.nodes]
        for index, name in enumerate(self.params.report):
            if name not in self.nodes:
                self.unknown(("report", index), name)
        while left:
            name = left.pop()
            if name not in found:
                found.add(name)
                left += [other for _, other in self.references(name) if other in self.nodes]
        return [name for name in order if name in found] if self.params.report else order

    def unknown(self, at: Path_, other: str) -> Literal[False]:
        """Notes a reference to no model, unless it means one whose declaration is at fault."""
        known = {*self.nodes, *self.broken} - {SOME_PRODUCT}
        close = nearest(other, sorted(known))
        misnamed = close in self.broken and bool(self._choices.get(close))
        if other not in self.broken and not misnamed and SOME_PRODUCT not in self.broken:
            self.problem(at, other, "no model of this name is declared", known)
        return False

    def start_of(self, name: str) -> str:
        """The model that a model started from; a base is its own."""
        node = self.nodes[name]
        return name if isinstance(node, BaseNode) else node.base

    def root(self, name: str) -> str:
        """The base that a model goes back to, by way of what it started from; what is declared wrongly on the
        way ends it."""
        node = self.nodes.get(name)
        return name if node is None or isinstance(node, BaseNode) else self.root(node.base)
