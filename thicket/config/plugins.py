"""Options that other packages bring along: an entry point names the pydantic model of each.

    [project.entry-points."thicket.verifiers"]
    rhyme = "my_package.rhyme:Rhyme"

The model's `type` is the entry point's name. Its code is the module that the model stands in, or the one that its class
variable CODE names: a method's, which loads torch, has to stand in a module of its own, since configs are checked
without. Packages are looked through once, when the schema is loaded, and only models of plug-ins are imported.
"""

import inspect
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from traceback import walk_tb
from typing import Annotated, Any, Union, get_args

from pydantic import BaseModel, Field

from thicket.config.fields import Strict
from thicket.config.problems import ConfigError, Problem
from thicket.config.schema import members, tags

PACKAGE = "thicket"
SOURCES, VERIFIERS, METHODS = GROUPS = ("thicket.sources", "thicket.verifiers", "thicket.methods")
"""Groups of entry points."""
CODE = "CODE"
"""The class variable that names the module of an option's code."""


_names: dict[frozenset[str], str] = {}
"""The names of a union's options → the entry-point group of its plug-ins."""


@cache
def _declared() -> tuple[EntryPoint, ...]:
    found = entry_points()
    return tuple(point for group in GROUPS for point in found.select(group=group))


def with_plugins(group: str, own: Any, families: tuple[type[Strict], ...] = (Strict,)) -> Any:
    """A union of options, discriminated by `type`, with those of an entry-point group.

    Raises: ConfigError for a plug-in that can't be loaded or is no option of one of the families.
    """
    known, found = members(own), list[type[BaseModel]]()
    for point in _declared():
        if point.group == group:
            found.append(_option(point, {tag for model in [*known, *found] for tag in tags(model)}, families))
    union: Any = Union[(*known, *found)]
    _names[frozenset(tags(union))] = group
    return Annotated[union, Field(discriminator="type")]


def none_of(options: Iterable[str]) -> str:
    """Of a name that is none of a union's options: what is to be said of plug-ins; empty where it takes none."""
    group = _names.get(frozenset(options))
    if group is None:
        return ""
    found = [f"{point.name}{_of(point)}" for point in _declared() if point.group == group]
    return f", nor a plug-in installed in this environment ({group}: {', '.join(found) or 'none'})"


def _option(point: EntryPoint, taken: set[str], families: tuple[type[Strict], ...]) -> type[BaseModel]:
    try:
        option = point.load()
    except Exception as error:
        raise _at_fault(point, f"can't be loaded: {_words(error)}{_at(error)}") from None
    if not (isinstance(option, type) and issubclass(option, families)):
        named = " or ".join(f"{family.__module__}.{family.__name__}" for family in families)
        raise _at_fault(point, f"has to be a class that derives from {named}")
    field = option.model_fields.get("type")
    if field is None or get_args(field.annotation) != (point.name,):
        raise _at_fault(point, f'its field `type` has to be Literal["{point.name}"], the entry point\'s name')
    if point.group == METHODS and "steps" not in option.model_fields:
        raise _at_fault(point, "it needs a field `steps`: how many a training has")
    if point.name in taken:
        raise _at_fault(point, f"there is a `type` {point.name} already")
    if not is_there(code := getattr(option, CODE, option.__module__)):
        raise _at_fault(point, f"its {CODE} names the module {code}, which is not there")
    return option


def is_there(module: str) -> bool:
    """Whether a module could be imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # Nor the package that it would be in.
        return False


def _at_fault(point: EntryPoint, wrong: str) -> ConfigError:
    return ConfigError([Problem(f"entry point{_of(point)}", f"{point.group}: {point.name} = {point.value}", "", wrong)])


def _of(point: EntryPoint) -> str:
    return f" of the package {point.dist.name}" if point.dist else ""


def told(error: BaseException) -> str | None:
    """An error that a plug-in's code has raised, in a line that ends with the code's file and line; None for others.

    Of an error that was raised over it, which says more, that one's text.
    """
    place = _at(error)
    if not place:
        return None
    explained = isinstance(error, ValueError | OSError)
    return (str(error) if explained else _words(error)) + place


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error.msg if isinstance(error, SyntaxError) else error}"


def _at(error: BaseException) -> str:
    """` (FILE:LINE)` of the last line of a plug-in's that an error, or what it was raised over, has come through."""
    packages = {point.module.partition(".")[0] for point in _declared()} - {PACKAGE}
    raised: BaseException | None = error
    while raised is not None:
        if lines := _lines(raised, packages):
            file, number = lines[-1]
            inside = Path(file).is_relative_to(Path.cwd())
            return f" ({os.path.relpath(file) if inside else file}:{number})"
        raised = raised.__cause__
    return ""


def _lines(raised: BaseException, packages: set[str]) -> list[tuple[str, int]]:
    """The lines of these packages that an error has come through; else of the class whose object lacks an attribute."""
    lines = [
        (frame.f_code.co_filename, number)
        for frame, number in walk_tb(raised.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] in packages
    ]
    if isinstance(raised, SyntaxError) and raised.filename:  # Its file was read and not run.
        lines.append((raised.filename, raised.lineno or 1))
    lacking = type(raised.obj) if isinstance(raised, AttributeError) else object
    if not lines and lacking.__module__.partition(".")[0] in packages:
        with suppress(OSError, TypeError):  # a class without source
            lines.append((inspect.getfile(lacking), inspect.getsourcelines(lacking)[1]))
    return lines


def is_plugin(option: object) -> bool:
    """Whether an option was brought along by another package."""
    return type(option).__module__.partition(".")[0] != PACKAGE


def module_of(package: str, option: Any) -> str:
    """The module of an option's code. thicket's own: `thicket.methods`, `dr_grpo` → `thicket.methods.dr_grpo`."""
    if is_plugin(option):
        return getattr(type(option), CODE, type(option).__module__)
    return f"{package}.{option.type.replace('-', '_')}"


def code_of(package: str, option: Any) -> Any:
    """The code of an option: one type, one module."""
    return import_module(module_of(package, option))


def class_name(option: Any) -> str:
    """What the class that is an option's code is called: `dr_grpo` → `DrGrpo`."""
    return "".join(part.title() for part in option.type.replace("-", "_").split("_"))


def class_of(package: str, option: Any) -> Any:
    """The class that is an option's code, where it is one. Raises: ValueError where it is not there."""
    name = class_name(option)
    return getattr(with_part(code_of(package, option), option, name), name)


def with_part(module: Any, option: Any, name: str) -> Any:
    """An option's module. Raises: ValueError where it lacks what its kind of option needs.

    `thicket check` finds that already (`thicket.plan.plugin_code`), but where a module makes its names as it is run.
    """
    if not hasattr(module, name):
        raise ValueError(f"{module.__name__}: `{option.type}` needs `{name}` here")
    return module
