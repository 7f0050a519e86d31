"""The part of a project that some of its stages rest on."""

from thicket.plan.dag import Node, behind
from thicket.plan.inspect import STAGE, by_name, pick
from thicket.plan.pipeline import Planned
from thicket.plan.state import outs_of


def needed(stages: list[Planned], names: list[str]) -> list[Planned]:
    """Some stages, a model's by its name, and all that they rest on, in their order; without names, all.

    Raises: ConfigError for a name that is none.
    """
    known = by_name([planned.resolved for planned in stages])
    chosen = [pick(name, known, STAGE).id for name in names]
    made_by = {out: planned.resolved.id for planned in stages for out in outs_of(planned)}
    dag = {planned.resolved.id: _node(planned, made_by) for planned in stages}
    kept = {*behind(dag, chosen)} if names else dag.keys()
    return [planned for planned in stages if planned.resolved.id in kept]


def _node(planned: Planned, made_by: dict[str, str]) -> Node:
    reads = [path.as_posix() for path in planned.reads]
    return Node(planned.config.as_posix(), frozenset(made_by[path] for path in reads if path in made_by))
