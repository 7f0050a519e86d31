"""Which of its teachers a greedy soup kept: the rows of its learning curve say which candidates were taken."""

from collections.abc import Sequence

from thicket.reporting.inputs import Curve


def kept(teachers: Sequence[str], curve: Curve) -> list[str]:
    """Those that went in, in the order of the config; `teachers`: all that were given. Nothing where no curve is."""
    places = {int(row["teacher"]) - 1 for row in curve if row.get("taken")}
    return [name for place, name in enumerate(teachers) if place in places]
