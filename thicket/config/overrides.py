"""Overrides in Hydra's grammar: `method=grpo`, `method.optimizer.lr=1e-3`, `teachers=[a,b]`, sweeps with commas."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

from thicket.config.problems import COMMAND_LINE, OVERRIDE, ConfigError, Problem

MOST_RUNS = 10_000
"""Of a sweep: a range may name more numbers than memory holds."""


@dataclass(frozen=True)
class Override:
    """One override: what it sets, to what, and how it was written."""

    key: str
    values: tuple[Any, ...]
    """One value, those of a choice sweep, or the ends of an interval."""
    text: str
    interval: bool = False
    """Any number between the two values: an optimiser's sweep."""

    @property
    def swept(self) -> bool:
        return self.interval or len(self.values) > 1

    @property
    def origin(self) -> str:
        """Who set the value, as messages name it."""
        return f"{OVERRIDE} {self.text!r}"


def parse(texts: list[str]) -> tuple[list[Override], list[str]]:
    """Parses overrides, and sets those of Hydra itself (`hydra.…`, `hydra/…`) apart as they are.

    Raises: ConfigError with every text that is not an override.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    overrides: list[Override] = []
    settings: list[str] = []
    problems: list[Problem] = []
    for text in texts:
        try:
            text.encode()
            parsed = parser.parse_override(text)
        except (HydraException, ValueError, RecursionError) as error:  # numbers of 5,000 digits, lists in lists in …
            reason = str(error).splitlines()[0]
            problems.append(Problem(COMMAND_LINE, text, "", f"not an override ({reason})", allowed="KEY=VALUE"))
            continue
        key = parsed.key_or_group.replace("/", ".")
        if key.partition(".")[0] == "hydra":
            settings.append(text)
        elif fault := _fault(parsed, key, overrides):
            problems.append(Problem(COMMAND_LINE, text, "", fault, allowed="KEY=VALUE"))
        else:
            overrides.append(Override(key, _values(parsed), text, parsed.is_interval_sweep()))
    if problems:
        raise ConfigError(problems)
    if math.prod(len(override.values) for override in overrides if not override.interval) > MOST_RUNS:
        swept = " ".join(override.text for override in overrides if override.swept)
        raise ConfigError([Problem(COMMAND_LINE, swept, "", f"a sweep of more than {MOST_RUNS} runs")])
    return overrides, settings


def _fault(parsed: Any, key: str, before: list[Override]) -> str:
    """What of Hydra's grammar means nothing here."""
    from hydra.core.override_parser.types import Glob

    if parsed.is_delete():
        return "a value can't be deleted"
    if parsed.package is not None:
        return "a package (`@`) means nothing here"
    if isinstance(parsed.value(), Glob):
        return "glob(…) is not supported: write the names out, a,b,c"
    return "the key is given twice" if key in [override.key for override in before] else ""


def _values(parsed: Any) -> tuple[Any, ...]:
    if not parsed.is_sweep_override():
        return (_plain(parsed.value()),)
    if parsed.is_interval_sweep():
        return (parsed.value().start, parsed.value().end)
    return tuple(_plain(value) for value in itertools.islice(parsed.sweep_iterator(), MOST_RUNS + 1))


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
