"""A stage from the command line: the project's declarations, with overrides laid over them."""

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from thicket.config.overrides import Override
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.plan.pipeline import resolve

Pairs = list[tuple[Override, Any]]

NODE_KEYS = {
    "base": ("base", "seed", "name"),
    "specialist": ("base", "domain", "method", "seed", "name"),
    "student": ("base", "method", "teachers", "domains", "budget_of", "seed", "name"),
}
"""What a model's declaration holds, for the stages that make models."""
NODE_GROUPS = {"base": ("base",), "specialist": ("domain", "method"), "student": ("method",)}
"""Groups whose values belong to the one model."""
SHARED_GROUPS = ("sampler", "trainer", "evaluation")
OTHER_KEYS = {"data": ("domain", "seed"), "evaluate": ("model", "domains", "seed"), "report": ()}
SWEEP_KEYS = ("objective",)
"""Keys of a sweep, not of a stage: `objective=selection_pass@1`."""


def stage_from(root: Path, kind: str, pairs: Pairs) -> Resolved:
    """The stage that a command line asks for. Raises: ConfigError."""
    return _Request(root, kind, pairs).resolved()


class _Request:
    def __init__(self, root: Path, kind: str, pairs: Pairs):
        self.project, self.kind = Project(root), kind
        self.layers = deepcopy(self.project.params_layers)
        self.own: dict[str, tuple[Any, str]] = {}
        self.values: list[tuple[str, Any, str]] = []
        problems = [problem for problem in (self._sort(override, value) for override, value in pairs) if problem]
        if problems:
            raise ConfigError(problems)

    def _sort(self, override: Override, value: Any) -> Problem | None:
        """Puts an override with the declaration's keys or with the values."""
        key, origin = override.key.replace("/", "."), f"override {override.text!r}"
        group, _, rest = key.partition(".")
        known = (*NODE_KEYS.get(self.kind, OTHER_KEYS.get(self.kind, ())), *SHARED_GROUPS)
        groups = (*NODE_GROUPS.get(self.kind, ("domain",) if self.kind == "data" else ()), *SHARED_GROUPS)
        if key in SWEEP_KEYS:
            return None
        if not rest and key in known:
            self.own[key] = (value, origin)
        elif rest and group in groups:
            self.values.append((key, value, origin))
        else:
            allowed = [*known, *(f"{name}.…" for name in groups)]
            wrong = f"unknown key of the stage {self.kind}"
            return Problem("command line", override.text, "", wrong, ", ".join(allowed), nearest(key, known))
        return None

    def resolved(self) -> Resolved:
        name = self._declare_model() if self.kind in NODE_KEYS else self._declare_other()
        wanted = "report" if self.kind == "report" else f"{self.kind}-{name}"
        stages = {made.id: made for made in resolve(self.project.with_params(self.layers))}
        if wanted not in stages:
            among = [other.removeprefix(f"{self.kind}-") for other in stages if other.startswith(f"{self.kind}-")]
            raise ConfigError(
                [Problem("command line", wanted, "", "no such stage", ", ".join(among), nearest(name, among))]
            )
        found = stages[wanted]
        return replace(found, stage=found.stage)

    # -- laying overrides over params.yaml ---------------------------------------------------------------------------

    def _declare_model(self) -> str:
        """Puts the model's declaration in its group: the declared one of that name, changed, or a new one."""
        group, name = f"{self.kind}s", self._name()
        declared = self.layers.value.get(group, {}).get(name)
        if declared is None:
            bases = list(self.layers.value.get("bases", {}))
            given = {"base": bases[0]} if bases and self.kind != "base" else {}
            if self.kind == "base":
                given = {"base": name}
            elif self.kind == "specialist":
                given["method"] = "grpo"
            self._set((group, name), given, "command line")
            self._drop_product(name)
        for key in NODE_KEYS[self.kind]:
            if key in self.own and key != "name":
                self._set((group, name, key), *self.own[key])
        for key, value, origin in self.values:
            owner = (group, name, "set", key) if key.partition(".")[0] in NODE_GROUPS[self.kind] else None
            self._set(owner or self._shared(key), value, origin)
        self._set_shared_options()
        return name

    def _declare_other(self) -> str:
        key = {"data": "domain", "evaluate": "model"}.get(self.kind)
        if key and key not in self.own:
            raise ConfigError([Problem("command line", key, "", f"the stage {self.kind} needs it: {key}=NAME")])
        name = str(self.own[key][0]) if key else self.kind
        for other in ("seed", "domains"):
            if other in self.own:
                self._set((other,), *self.own[other])
        if self.kind == "data":
            self._set(("domains",), [name], self.own["domain"][1])
            for group in ("specialists", "students", "products"):
                self.layers.value.pop(group, None)
        for dotted_key, value, origin in self.values:
            group, _, rest = dotted_key.partition(".")
            place = ("values", "domain", name, rest) if group == "domain" else self._shared(dotted_key)
            self._set(place, value, origin)
        self._set_shared_options()
        return name

    def _name(self) -> str:
        """The model's name: given, or made of what it is."""
        if "name" in self.own:
            return str(self.own["name"][0])
        if self.kind == "specialist" and "domain" in self.own:
            return f"{self.own['domain'][0]}-{self.own.get('method', ('grpo',))[0]}".replace("/", "-")
        key = "base" if self.kind == "base" else "method"
        if self.kind != "specialist" and key in self.own:
            return str(self.own[key][0]).replace("/", "-")
        needed = "domain=NAME (or name=MODEL)" if self.kind == "specialist" else f"{key}=NAME (or name=MODEL)"
        raise ConfigError([Problem("command line", self.kind, "", f"say which one: {needed}")])

    def _drop_product(self, name: str) -> None:
        """A product would declare the same name again."""
        for product in self.layers.value.get("products", []):
            pairs = [(d, m) for d in product.get("domains", []) for m in product.get("methods", [])]
            if name in {f"{domain}-{method}" for domain, method in pairs}:
                self._expand(product, pairs, skip=name)

    def _expand(self, product: dict[str, Any], pairs: list[tuple[str, str]], skip: str) -> None:
        """Writes a product out as single declarations, without one of them."""
        self.layers.value["products"].remove(product)
        for domain, method in pairs:
            name = f"{domain}-{method}"
            if name != skip:
                self._set(
                    ("specialists", name), {"base": product["base"], "domain": domain, "method": method}, "params.yaml"
                )

    def _shared(self, key: str) -> tuple[str, ...]:
        """The place in `values` of a value of the sampler, the trainer or the evaluation."""
        group, _, rest = key.partition(".")
        default = "torch" if group == "sampler" else "default"
        option = self.own.get(group, (self.layers.value.get(group, default),))[0]
        return ("values", group, option, rest)

    def _set_shared_options(self) -> None:
        for group in SHARED_GROUPS:
            if group in self.own:
                self._set((group,), *self.own[group])

    def _set(self, path: tuple[str, ...], value: Any, origin: str) -> None:
        self.layers.merge({path[-1]: value}, lambda _: origin, path[:-1])
