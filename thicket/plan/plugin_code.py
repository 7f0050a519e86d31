"""What the module of a plug-in's option has to have, looked for in its source: a check loads no method's code."""

from typing import Any

from thicket.config.plugins import METHODS, SOURCES, class_name, is_plugin, module_of
from thicket.config.policy_gradient import PolicyGradient
from thicket.config.problems import ConfigError, Problem, nearest
from thicket.plan.source import defined, shown_at


def check_plugin(group: str, option: Any) -> None:
    """Raises: ConfigError where the module of a plug-in's option lacks what thicket calls of it.

    `group` is that of its entry point. thicket's own modules have what they need.
    """
    if not is_plugin(option):
        return
    module = module_of(group, option)
    there, needed = defined(module), _needed(group, option)
    if there is not None and not there.keys() & needed.keys():
        close = next(filter(None, (nearest(name, list(there)) for name in needed)), "")
        kind, wanted = group.removeprefix("thicket.").removesuffix("s"), " or ".join(needed.values())
        wrong = f"the {kind} `{option.type}` needs {wanted} here" + (f", not {close}" if close else "")
        raise ConfigError([Problem(shown_at(module, there.get(close, 1)), module, "", wrong)])


def _needed(group: str, option: Any) -> dict[str, str]:
    """Names of which a module needs one → what that is."""
    if group == SOURCES:
        return {"raw_items": "`raw_items(source, seed)`"}
    if group == METHODS and isinstance(option, PolicyGradient):
        name = class_name(option)
        return {name: f"the class `{name}`"}
    if group == METHODS:
        return {"kept": "`kept(config, samples)`"}
    return {"verify": "`verify(config, response, item)`", "judge": "`judge(config, answered)`"}
