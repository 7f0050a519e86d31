"""Scores that the pipeline would make anew: by other settings or code, or on other items, than those of now."""

from collections.abc import Collection, Iterable

from thicket.commands.differing import listed
from thicket.config.places import MODELS
from thicket.plan.state import SHOWN, Reason, State


def stale_scores(found: Iterable[State], names: Collection[str]) -> dict[str, list[str]]:
    """Model → why its scores are not those of now: other values, code, items or files.

    Nothing of those that DVC has not recorded. That the model is stale, or was made anew since, is said of it.
    """
    wanted = [state for state in found if state.id in map("evaluate-{}".format, names) and _is_recorded(state)]
    why = {state.planned.resolved.stage.name: [str(one) for one in state.why if _tells(one)] for state in wanted}
    return {name: reasons for name, reasons in why.items() if reasons}


def _is_recorded(state: State) -> bool:
    return bool(state.why) and state.why[0].kind != "record"


def _tells(reason: Reason) -> bool:
    if reason.kind == "parent":  # What is missing here may be as it was.
        return reason.what.startswith("data-") and reason.what.endswith(" stale")
    return reason.kind in ("config", "code") or (reason.kind == "input" and not reason.what.startswith(f"{MODELS}/"))


def stale_words(stale: dict[str, list[str]]) -> list[str]:
    """A sentence for all models whose scores are stale for the same reasons, with what makes them anew."""
    by_reasons: dict[str, list[str]] = {}
    for name, why in stale.items():
        more = f", and {len(why) - SHOWN} more" if len(why) > SHOWN else ""
        by_reasons.setdefault(f"{', '.join(why[:SHOWN])}{more}", []).append(name)
    return [
        f"The scores of {listed(names)} are not those of now ({why}): "
        f"`dvc repro {' '.join(map('evaluate-{}'.format, names))}` makes them anew."
        for why, names in by_reasons.items()
    ]
