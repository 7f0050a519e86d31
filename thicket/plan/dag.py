"""dvc.yaml as a graph: what each stage needs, and which stages can begin."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from thicket.config.yamlfile import read_yaml

RUNS = "thicket run "
"""What comes before a resolved config in a stage's command."""


@dataclass(frozen=True)
class Node:
    """A stage of dvc.yaml: its resolved config, the stages whose outputs it reads, and its own outputs."""

    config: str
    needs: frozenset[str]
    outs: tuple[str, ...] = ()


def read_dag(root: Path) -> dict[str, Node]:
    """The stages that run a resolved config, by name, as dvc.yaml has them. Raises: ConfigError."""
    declared = read_yaml(root / "dvc.yaml", "dvc.yaml").value["stages"]
    declared = {name: one for name, one in declared.items() if RUNS in one["cmd"]}
    made = {path: name for name, one in declared.items() for path in _paths(one.get("outs", []))}
    return {
        name: Node(
            config=one["cmd"].rpartition(RUNS)[2].strip(),
            needs=frozenset(_makers(one, made) - {name}),
            outs=tuple(_paths(one.get("outs", []))),
        )
        for name, one in declared.items()
    }


def _makers(stage: dict[str, Any], made: dict[str, str]) -> set[str]:
    """The stages that make what a stage reads: a path, or a folder that holds it."""
    within = {str(place) for path in _paths(stage.get("deps", [])) for place in (Path(path), *Path(path).parents)}
    return {made[place] for place in within if place in made}


def _paths(entries: list[Any]) -> list[str]:
    return [(entry if isinstance(entry, str) else next(iter(entry))).rstrip("/") for entry in entries]


def behind(dag: dict[str, Node], names: list[str]) -> list[str]:
    """Some stages and all that they rest on, in the order of the graph."""
    found, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += dag[name].needs
    return [name for name in dag if name in found]


@dataclass
class Schedule:
    """How far the stages of a graph are. One that failed stops what needs it, and nothing else."""

    dag: dict[str, Node]
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    running: set[str] = field(default_factory=set)

    def ready(self) -> list[str]:
        """Stages that can begin, those with the longest way to the graph's end first."""
        waiting = self.dag.keys() - self.done - self.failed - self.running
        found = [name for name in self.dag if name in waiting and self._needs(name) <= self.done]
        return sorted(found, key=lambda name: -self._ways[name])

    def skipped(self) -> list[str]:
        """Stages that can't begin any more, since something that they need failed."""
        return [name for name in self.after(self.failed) if name not in self.failed]

    def after(self, names: set[str]) -> list[str]:
        """Some stages and all that rest on one of them, in the order of the graph."""
        found = set(names)
        for name in self._order:
            if self._needs(name) & found:
                found.add(name)
        return [name for name in self.dag if name in found]

    def _needs(self, name: str) -> set[str]:
        return {need for need in self.dag[name].needs if need in self.dag}

    @cached_property
    def _order(self) -> list[str]:
        """The stages, each after what it needs."""
        order, placed = list[str](), set[str]()
        while len(order) < len(self.dag):
            layer = [name for name in self.dag if name not in placed and self._needs(name) <= placed]
            if not layer:
                raise ValueError("dvc.yaml: stages need one another in a circle")
            order += layer
            placed.update(layer)
        return order

    @cached_property
    def _ways(self) -> dict[str, int]:
        """Stage → stages on the longest way from it to the graph's end."""
        ways = dict.fromkeys(self.dag, 1)
        for name in reversed(self._order):
            for need in self._needs(name):
                ways[need] = max(ways[need], ways[name] + 1)
        return ways
