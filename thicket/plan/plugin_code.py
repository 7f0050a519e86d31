"""What the module of a plug-in's option has to have, looked for in its source: a check loads no method's code."""

import ast
from typing import Any

from thicket.config.plugins import CODE, METHODS, SOURCES, class_name, is_plugin, module_of
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.plan.source import Made, defined, shown_at

Parameters = tuple[str, ...] | None
"""What a function is called with, by position; None: it is a class."""


def check_plugin(group: str, option: Any) -> None:
    """Raises: ConfigError where the module of a plug-in's option lacks what thicket calls of it.

    `group` is that of its entry point. thicket's own modules have what they need.
    """
    module = module_of(group, option)
    there = defined(module) if is_plugin(option) else None
    if there is not None and (fault := _fault(there, _needed(group, option), type(option), module)):
        wrong, at = fault
        kind, line = group.removeprefix("thicket.").removesuffix("s"), there[at].lineno if at else 1
        wrong = f"the {kind} `{option.type}` needs {wrong}"
        raise ConfigError([Problem(shown_at(module, line), module, "", wrong)])


def _fault(there: dict[str, Made], needed: dict[str, Parameters], option: type, module: str) -> tuple[str, str] | None:
    """What a module needs that is not there, and the name in it that may have been meant, or none; None: no fault."""
    found = [name for name in needed if name in there]
    if module == option.__module__ and option.__name__ in found:
        return f"{CODE}, the module of its class: this is its option", option.__name__
    unfit = [name for name in found if not _can_be_called(there[name], needed[name])]
    if found and not unfit:
        return None
    close = next(filter(None, (*unfit, *(nearest(name, list(there)) for name in needed))), "")
    wanted = " or ".join(_wanted(name, parameters) for name, parameters in needed.items())
    return f"{wanted} here" + (f", not {_shown(there[close], close)}" if close else ""), close


def _needed(group: str, option: Any) -> dict[str, Parameters]:
    """Names of which a module needs one → how it is called."""
    if group == SOURCES:
        return {"raw_items": ("source", "seed")}
    if group == METHODS:
        gradient = isinstance(option, PolicyGradient)
        return {class_name(option): None} if gradient else {"kept": ("config", "samples")}
    return {"verify": ("config", "response", "item"), "judge": ("config", "answered")}


def _wanted(name: str, parameters: Parameters) -> str:
    return f"the class `{name}`" if parameters is None else f"`{name}({', '.join(parameters)})`"


def _can_be_called(made: Made, parameters: Parameters) -> bool:
    """Whether a function takes as many values by position, as far as its own `def` tells."""
    if not isinstance(made, ast.FunctionDef) or made.decorator_list or parameters is None:
        return True
    own, count = made.args, len(parameters)
    most = len(own.posonlyargs) + len(own.args)
    named = any(default is None for default in own.kw_defaults)
    return most - len(own.defaults) <= count and (count <= most or own.vararg is not None) and not named


def _shown(made: Made, name: str) -> str:
    return f"`{name}({ast.unparse(made.args)})`" if isinstance(made, ast.FunctionDef) else f"`{name}`"
