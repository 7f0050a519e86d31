"""Who set the values of a stage's config that come from the model graph, beside those of its options."""

from collections.abc import Iterable

from thicket.config.graph import Graph
from thicket.config.layers import Layered, Path_
from thicket.config.params import AnalysisNode, BaseNode, StudentNode
from thicket.config.stages import ReportedAnalysis, ReportedModel


def of_model(graph: Graph, name: str) -> dict[Path_, str]:
    """Origins of a model's name, seed, start and teachers."""
    node, origin = graph.nodes[name], graph.layers.origin
    found = {("name",): origin(graph.at(name)), **of_seed(graph, name)}
    if isinstance(node, BaseNode):
        return found
    found["base",] = origin(graph.at(name, "base"))
    if isinstance(node, StudentNode):
        if node.budget_of is not None:
            found["budget_of",] = origin(graph.at(name, "budget_of"))
        for index in range(len(node.teachers)):
            weight = graph.at(name, "teachers", index, "weight")
            found["teachers", index, "name"] = origin(graph.at(name, "teachers", index, "model"))
            found["teachers", index, "domain"] = origin(graph.at(name, "teachers", index, "domain"))
            if weight in graph.layers.origins:
                found["teachers", index, "weight"] = origin(weight)
    return found


def of_seed(graph: Graph, name: str | None = None) -> dict[Path_, str]:
    """Origin of a seed: the model's own, else the experiment's, else nobody's."""
    own = graph.at(name, "seed") if name and graph.nodes[name].seed is not None else ("seed",)
    return {("seed",): graph.layers.origins[own]} if own in graph.layers.origins else {}


def of_domains(domains: Iterable[Layered]) -> dict[Path_, str]:
    """Origins of the values of a list of domains."""
    return {
        ("domains", index, *path): where
        for index, layers in enumerate(domains)
        for path, where in layers.origins.items()
    }


def of_analysis(graph: Graph, name: str, node: AnalysisNode) -> dict[Path_, str]:
    """Origins of an analysis's name, seed and models."""
    at, origin = ("analyses", name), graph.layers.origin
    seed: dict[Path_, str] = of_seed(graph) if node.seed is None else {("seed",): origin((*at, "seed"))}
    found: dict[Path_, str] = {("name",): origin(at), **seed}
    for index in range(len(node.models)):
        found["models", index, "name"] = origin((*at, "models", index))
    return found


def of_claims(graph: Graph, models: list[str], analyses: Iterable[str]) -> dict[Path_, str]:
    """Origins of what the claims are judged by."""
    found = of_report(graph, models)
    for index, name in enumerate(analyses):
        where = graph.layers.origin(("analyses", name))
        found |= {("analyses", index, key): where for key in ReportedAnalysis.model_fields}
    return found


def of_report(graph: Graph, models: list[str]) -> dict[Path_, str]:
    """Origins of the report's rows and columns."""
    columns: list[Path_] = [("experiment",), ("domains",)]
    found = {path: graph.layers.origin(path) for path in columns}
    for index, name in enumerate(models):
        where = graph.layers.origin(graph.at(name))
        found |= {("models", index, key): where for key in ReportedModel.model_fields}
    return found
