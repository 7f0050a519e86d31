"""Why a stage would run: what is not as it was when DVC last ran it."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal

from thicket.config.layers import Path_
from thicket.config.problems import dotted
from thicket.plan.pipeline import Planned
from thicket.plan.recorded import Locked
from thicket.plan.source import path_of


@dataclass(frozen=True)
class Reason:
    """Why a stage would run."""

    kind: Literal["run", "config", "code", "command", "input", "parent", "artifact", "record"]
    what: str
    before: Any = None
    after: Any = None
    restorable: bool = False
    """Whether `dvc checkout` mends it."""

    def __str__(self) -> str:
        if self.kind == "config":
            return f"config: {self.what} {_spelt(self.before)} → {_spelt(self.after)}"
        return f"{self.kind}: {self.what}" if self.kind in ("code", "input") else self.what


def changed_values(planned: Planned, made: Locked) -> Iterator[Reason]:
    """The values of the config, and the modules, that are not those of the last run.

    Modules that it runs for the first time, or no more, follow from another config, or from an edit of those that
    import them: they are told where there is neither.
    """
    now, before = planned.resolved.stage.model_dump(mode="json"), dict(made.params.get(planned.config.as_posix()) or {})
    code, code_before = now.pop("code", {}), before.pop("code", {})
    changed = [module for module in sorted(code.keys() & code_before.keys()) if code[module] != code_before[module]]
    found = [Reason("config", dotted(path), *pair) for path, pair in _differing(before, now)]
    found += [Reason("code", file_of(module), code_before[module], code[module]) for module in changed]
    yield from found
    for module in () if found else sorted(code.keys() ^ code_before.keys()):
        change = "is new" if module in code else "is gone"
        yield Reason("code", f"{file_of(module)} {change}", code_before.get(module), code.get(module))


def _differing(before: Any, now: Any, at: Path_ = ()) -> Iterator[tuple[Path_, tuple[Any, Any]]]:
    """Where two configs differ: path → value before, value now.

    A part that one of them lacks, or that is another by its name or type, is one difference.
    """
    both = before, now
    if before == now:
        return
    if all(isinstance(one, dict) for one in both) and (not at or _label(before) == _label(now)):
        for key in dict.fromkeys([*now, *before]):
            yield from _differing(before.get(key), now.get(key), (*at, key))
    elif all(isinstance(one, list) for one in both) and any(isinstance(one, dict) for one in (*before, *now)):
        for index, (one, other) in enumerate(zip_longest(*both)):
            yield from _differing(one, other, (*at, index))
    else:
        yield at, both


def _label(part: dict[str, Any]) -> str | None:
    return part.get("name", part.get("type"))


def file_of(module: str) -> str:
    """A module's file from its package's folder on: `thicket/ops/noise.py`; a plug-in's likewise."""
    path = path_of(module)
    parts = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    return "/".join([*parts, path.name])


def _spelt(value: Any) -> str:
    if isinstance(value, dict):
        return _label(value) or "{…}"
    return "—" if value is None else f"{value}"
