"""A stage from the command line: the project's declarations, with overrides laid over them."""

from collections.abc import Callable, Iterable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

from thicket.config.graph import written_out
from thicket.config.layers import Path_, at_path, expanded
from thicket.config.overrides import COMMAND_LINE, Override
from thicket.config.params import Params
from thicket.config.places import PARAMS
from thicket.config.problems import ConfigError, Problem, dotted, nearest, shown
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.roles import makers
from thicket.plan.folders import SOME_MODELS, declared_name, evaluation_of, is_folder, model_folder, run_named
from thicket.plan.pipeline import resolve, resolve_data

Pairs = list[tuple[Override, Any]]
GROUPS = {"base": "bases", "specialist": "specialists", "student": "students"}
"""The stages that make models, and where params.yaml declares these."""
CHOICES = {"base": ("base",), "specialist": ("domain", "method"), "student": ("method",)}
"""What tells a model of one kind from the others: its options. Their values are the model's own."""
KEYS = {
    "base": ("base", "seed"),
    "specialist": ("base", "domain", "method", "effort", "seed"),
    "student": ("base", "method", "teachers", "domains", "budget_of", "seed"),
}
"""What a model's declaration holds."""
OWN = ("base", "effort", "seed", "budget_of")
"""Keys of a declaration that a run of the model takes and nothing on the command line tells of."""
SHARED = {
    "base": ("trainer",),
    "specialist": ("sampler", "trainer"),
    "student": ("sampler", "trainer"),
    "evaluate": ("sampler", "trainer", "evaluation"),
}
"""Groups whose option is one for the whole project, and the stages that use them."""
OTHERS = {"data": ("domain", "seed"), "evaluate": ("model", "domains", "seed"), "report": ()}
SUBJECTS = {"data": "domain", "evaluate": "model"}
"""What a stage that makes no model is about."""


def stage_from(root: Path, kind: str, pairs: Pairs) -> Resolved:
    """The stage that a command line asks for. Raises: ConfigError."""
    project = Project(root)
    if project.params_problems:
        raise ConfigError(project.params_problems)
    request = _Request(project, kind, pairs)
    name = request.declare_model() if kind in GROUPS else request.declare_other()
    changed = project.with_params(request.layers)
    if kind == "data":
        return resolve_data(changed, name, ("domains", 0))
    wanted = kind if kind == "report" else f"{kind}-{name}"
    stages = {made.id: made for made in resolve(changed)}
    if kind == "evaluate" and is_folder(name):
        folder = model_folder(root, name, SOME_MODELS)
        name = declared_name(root, folder)
        if f"evaluate-{name}" not in stages:
            return evaluation_of(root, folder, list(stages.values()))
        wanted = f"evaluate-{name}"
    if wanted not in stages:
        known = [other.removeprefix(f"{kind}-") for other in stages if other.startswith(f"{kind}-")]
        where, path = request.place(SUBJECTS[kind])
        wrong = "there is none of this name"
        here = f"./{name}" if (root / name / "config.json").is_file() else ""
        close = run_named(root, name) or here or nearest(name, known)
        raise ConfigError([Problem(where, path, shown(name), wrong, ", ".join(known), close)])
    return stages[wanted]


def inherited(project: Project, pairs: Pairs, made: Resolved) -> str:
    """What a command line's stage takes from the declaration of the model that it is, for people; else nothing.

    Of a new one whose name may be meant for a declared one's, that it takes nothing.
    """
    if made.kind not in GROUPS:
        return ""
    request = _Request(project, made.kind, pairs)
    name, layers = request.meant(), request.layers
    if near := request.mistaken(name):
        return f"{name} is not declared: it takes no model's values from {PARAMS}; did you mean: {near}"
    at = (GROUPS[made.kind], name)
    node = at_path(layers.value, at) or {}
    declared = expanded(node.get("set") or {}, (*at, "set"), layers.origin)
    taken: dict[str, list[str]] = {}
    asked = {override.key for override, _ in pairs}
    one_base = list(layers.value.get("bases", {})) == [node.get("base")]
    for key in OWN:
        if node.get(key) is not None and key not in asked and not (key == "base" and one_base):
            taken.setdefault(layers.origin((*at, key)), []).append(f"{key}={shown(node[key])}")
    for path, origin in declared.origins.items():
        value = at_path(declared.value, path)
        if not isinstance(value, dict) and made.layers.origin(path) == origin:
            taken.setdefault(origin, []).append(f"{dotted(path)}={shown(value)}")
    if not taken:
        return ""
    chosen = {key: node[key] for key in CHOICES[made.kind]}
    chosen |= {override.key: value for override, value in pairs if override.key in chosen}
    values = ", ".join(f"{', '.join(texts)} from {origin}" for origin, texts in taken.items())
    return f"{' on '.join(map(str, reversed(chosen.values())))} takes {values} ({', '.join(request.alike) or name})"


def _plain(options: Iterable[Any]) -> str:
    """A model's name, made of its options."""
    return "-".join(str(option).replace("/", "-") for option in options)


class _Request:
    """The declarations of params.yaml with a command line's laid over them."""

    def __init__(self, project: Project, kind: str, pairs: Pairs):
        self.kind, self.library, self.layers = kind, project.library, deepcopy(project.params_layers)
        self.shared = SHARED.get(kind, ())
        self.own: dict[str, tuple[Any, str]] = {}
        self.values: list[tuple[str, Any, str]] = []
        self.alike: list[str] = []
        """The declared models whose common values are meant, with another seed."""
        problems = [problem for override, value in pairs if (problem := self._sort(override, value))]
        if problems:
            raise ConfigError(problems)
        self._write_products_out()

    def place(self, key: str) -> tuple[str, str]:
        """Where a key was given, and the key, for a message."""
        return self.own[key][1] if key in self.own else COMMAND_LINE, key

    def _sort(self, override: Override, value: Any) -> Problem | None:
        """Puts an override with the declaration's keys or with the values of a group."""
        group, _, rest = override.key.partition(".")
        own = (*KEYS[self.kind], "name") if self.kind in KEYS else OTHERS[self.kind]
        known = (*own, *self.shared)
        groups = (*CHOICES.get(self.kind, ("domain",) if self.kind == "data" else ()), *self.shared)
        if not rest and override.key in known:
            self.own[override.key] = (value, override.origin)
        elif rest and group in groups:
            self.values.append((override.key, value, override.origin))
        else:
            allowed = [*known, *(f"{name}.…" for name in groups)]
            wrong = f"unknown key of the stage {self.kind}"
            close = nearest(override.key, known) or nearest(group, groups)
            return Problem(COMMAND_LINE, override.text, "", wrong, ", ".join(allowed), close)
        return None

    def _write_products_out(self) -> None:
        """Single declarations in place of products, so that one of them can be changed."""
        for index, product in enumerate(self.layers.value.pop("products", [])):
            origin = self.layers.origin(("products", index))
            for name, node, _ in written_out(product):
                if name not in self.layers.value.get("specialists", {}):
                    self._set(("specialists", name), node, origin)

    # -- models --------------------------------------------------------------------------------------------------------

    def declare_model(self) -> str:
        """Lays the overrides over the declared model that they mean, or declares a new one. Raises: ConfigError."""
        name = self.meant()
        at = (GROUPS[self.kind], name)
        if at_path(self.layers.value, at) is None:
            self._set(at, {}, COMMAND_LINE)
            if self.kind != "base" and "base" not in self.own:
                self.own["base"] = (self._only_base(), COMMAND_LINE)
        for key in KEYS[self.kind]:
            if key in self.own:
                self._set((*at, key), *self.own[key])
        self._choose_shared()
        for key, value, origin in self.values:  # The model's own go over the project's, those of groups it shares too.
            self._lay((*at, "set"), key, value, origin)
        return name

    def _among(self, group: str) -> Callable[[], list[str]] | None:
        """The options of a group that make such a model."""
        return partial(makers, self.library, self.kind) if group == "method" else None

    def meant(self) -> str:
        """The name that is given; else of the one model that is declared with these options, and this seed where
        several are; else made of the options. Raises: ConfigError."""
        options = self._options
        unknown = [
            problem
            for group, option in options.items()
            for problem in self.library.unknown(group, str(option), *self.place(group), among=self._among(group))
        ]
        if unknown:
            raise ConfigError(unknown)
        if "name" in self.own:
            return self._named(str(self.own["name"][0]))
        fitting = self._fitting
        if len(fitting) == 1:
            return fitting[0]
        plain = _plain(options.values())
        if len(options) == len(CHOICES[self.kind]) and (not fitting or plain in fitting):
            return plain
        if name := self._of_seed(fitting):
            return name
        asked = " ".join([self.kind, *(f"{key}={option}" for key, option in options.items())])
        needed = ", ".join(f"{key}=…" for key in self._deciding(fitting))
        wrong = (
            f"{'several are' if fitting else 'none is'} declared: say {f'{needed}, or ' if needed else ''}name=MODEL"
        )
        raise ConfigError([Problem(COMMAND_LINE, asked, "", wrong, ", ".join(fitting or self._declared))])

    @property
    def _options(self) -> dict[str, Any]:
        return {key: self.own[key][0] for key in CHOICES[self.kind] if key in self.own}

    @property
    def _declared(self) -> dict[str, dict[str, Any]]:
        return self.layers.value.get(GROUPS[self.kind]) or {}

    @property
    def _fitting(self) -> list[str]:
        """The declared models with the options that are given."""
        wanted = self._options.items()
        return [str(name) for name, node in self._declared.items() if all(node.get(k) == v for k, v in wanted)]

    def _named(self, name: str) -> str:
        """Raises: ConfigError where a model of this name is neither declared nor can be made of what is given."""
        missing = ", ".join(f"{key}=…" for key in CHOICES[self.kind] if key not in self._options)
        if missing and name not in self._declared:
            wrong, known = f"not declared, and a new one needs {missing}", list(self._declared)
            where, path = self.place("name")
            raise ConfigError([Problem(where, path, shown(name), wrong, ", ".join(known), nearest(name, known))])
        return name

    def mistaken(self, name: str) -> str:
        """The declared model with the given options that the name of a new one is most like; empty: none."""
        return nearest(name, self._fitting) if "name" in self.own and name not in self._declared else ""

    def _of_seed(self, fitting: list[str]) -> str:
        """Of several models the one with the given seed; where they differ in the seed alone, what they have in common,
        declared by itself. Empty: the seed doesn't tell them apart."""
        if not fitting or "seed" not in self.own:
            return ""
        group, (first, *others) = GROUPS[self.kind], fitting
        if any(self._but_for_seed(name) != self._but_for_seed(first) for name in others):
            of_seed = [name for name in fitting if self._value(name, "seed") == self.own["seed"][0]]
            return of_seed[0] if len(of_seed) == 1 else ""
        common = {key: value for key, value in self._declared[first].items() if key != "seed"}
        name = _plain(common[key] for key in CHOICES[self.kind])
        if name in self._declared:
            return name if name in fitting else first
        self.alike = fitting
        # What is at the new place was written at that of the first.
        self.layers.merge({name: common}, lambda path: self.layers.origin((group, first, *path[2:])), (group,))
        return name

    def _but_for_seed(self, name: str) -> dict[str, Any]:
        """A declaration without its seed, however its values are spelt."""
        at = (GROUPS[self.kind], name, "set")
        node = {key: value for key, value in self._declared[name].items() if key != "seed" and value is not None}
        return node | {"set": expanded(node.get("set") or {}, at, self.layers.origin).value}

    def _value(self, name: str, key: str) -> Any:
        """What a model's declaration has for a key; for the seed, the experiment's where it has none."""
        value = self._declared[name].get(key)
        if value is None and key == "seed":
            return self.layers.value.get(key, Params.model_fields[key].default)
        return value

    def _deciding(self, fitting: list[str]) -> list[str]:
        """The keys that are not given and tell models apart."""
        if not fitting:
            return [key for key in CHOICES[self.kind] if key not in self.own]
        keys = [key for key in (*CHOICES[self.kind], "seed") if key not in self.own]
        return [key for key in keys if len({self._value(name, key) for name in fitting}) > 1]

    def _only_base(self) -> str:
        bases = list(self.layers.value["bases"])
        if len(bases) == 1:
            return bases[0]
        raise ConfigError(
            [Problem(COMMAND_LINE, self.kind, "", "start from which model? say base=…", ", ".join(bases))]
        )

    # -- other stages --------------------------------------------------------------------------------------------------

    def declare_other(self) -> str:
        """Lays the overrides over what all models share. Raises: ConfigError where the stage's subject is missing."""
        subject = SUBJECTS.get(self.kind)
        if subject and subject not in self.own:
            raise ConfigError([Problem(COMMAND_LINE, self.kind, "", f"which one? say {subject}=NAME")])
        name = str(self.own[subject][0]) if subject else self.kind
        for key in ("seed", "domains"):
            if key in self.own:
                self._set((key,), *self.own[key])
        if self.kind == "data":
            self._set(("domains",), [name], self.own["domain"][1])
            for key, value, origin in self.values:
                group, _, rest = key.partition(".")
                if group == "domain":
                    self._lay(("values", group, name), rest, value, origin)
        self._choose_shared()
        for key, value, origin in self.values:
            group, _, rest = key.partition(".")
            if group in self.shared:
                option = self.layers.value.get(group, Params.model_fields[group].default)
                self._lay(("values", group, option), rest, value, origin)
        return name

    def _choose_shared(self) -> None:
        """The project's sampler, trainer and evaluation."""
        for group in self.shared:
            if group in self.own:
                self._set((group,), *self.own[group])

    def _lay(self, at: Path_, key: str, value: Any, origin: str) -> None:
        """Lays a value with a dotted key over the values that stand at a place, however they are spelt."""
        known = at_path(self.layers.value, at) or {}
        over = expanded({key: value}, at, lambda _: origin)
        self.layers.graft(expanded(known, at, self.layers.origin).merge(over.value, over.origin), at)

    def _set(self, path: Path_, value: Any, origin: str) -> None:
        self.layers.merge({path[-1]: value}, lambda _: origin, path[:-1])
