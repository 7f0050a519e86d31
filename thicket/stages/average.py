"""A student that is a mean of its teachers' weights."""

from thicket.config.stages import StudentStage
from thicket.methods.soup import soup
from thicket.models.folder import check_same_vocabulary
from thicket.stages.outcome import Outcome, Places


def average(config: StudentStage, places: Places) -> Outcome:
    """Makes a soup's folder."""
    for teacher in config.teachers:
        check_same_vocabulary(places.models / config.base, places.models / teacher.name)
    names = [teacher.name for teacher in config.teachers]
    soup(config.teachers, {name: places.models / name for name in names}, places.out)
    print(f"student {config.name}: the mean of {', '.join(names)}", flush=True)
    return Outcome(parents=names)
