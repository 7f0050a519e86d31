"""Overrides in Hydra's grammar: `method=grpo`, `method.optimizer.lr=1e-3`, `teachers=[a,b]`, sweeps with commas."""

import itertools
from dataclasses import dataclass
from typing import Any

from thicket.config.problems import ConfigError, Problem


@dataclass(frozen=True)
class Override:
    """One override: what it sets, to what, and how it was written."""

    key: str
    values: tuple[Any, ...]
    """One value, or those of a choice sweep."""
    text: str


def parse(texts: list[str]) -> list[Override]:
    """Parses overrides; those of Hydra itself (`hydra.…`, `hydra/…`) are left out.

    Raises: ConfigError with every text that is not an override.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Override as Parsed
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    overrides, problems = [], []
    for text in texts:
        try:
            parsed: Parsed = parser.parse_override(text)
        except HydraException as error:
            reason = str(error).splitlines()[0]
            problems.append(Problem("command line", text, "", f"not an override ({reason})", allowed="KEY=VALUE"))
            continue
        key = parsed.key_or_group
        if key == "hydra" or key.startswith(("hydra.", "hydra/")):
            continue
        if parsed.is_delete():
            problems.append(Problem("command line", text, "", "a value can't be deleted", allowed="KEY=VALUE"))
            continue
        overrides.append(Override(key, _values(parsed), text))
    if problems:
        raise ConfigError(problems)
    return overrides


def _values(parsed: Any) -> tuple[Any, ...]:
    """The value; of a sweep over choices, all; of an interval (an optimiser's sweep), both ends."""
    if not parsed.is_sweep_override():
        return (_plain(parsed.value()),)
    if parsed.is_interval_sweep():
        interval = parsed.value()
        return (interval.start, interval.end)
    return tuple(_plain(value) for value in parsed.sweep_iterator())


def _plain(value: Any) -> Any:
    """Hydra's quoted strings as plain ones."""
    if isinstance(value, dict):
        return {str(_plain(k)): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value.text if hasattr(value, "text") else value


def combinations(overrides: list[Override]) -> list[list[tuple[Override, Any]]]:
    """Every combination of a sweep's values, in Hydra's order; one combination where nothing is swept."""
    return [list(zip(overrides, chosen, strict=True)) for chosen in itertools.product(*(o.values for o in overrides))]
