"""A student that is its teachers together: it says who answers, and has no weights."""

from thicket.config.stages import StudentStage
from thicket.methods.ensemble import answering_of
from thicket.models.answering import write_answering
from thicket.models.folder import check_same_vocabulary, weights_hash
from thicket.stages.outcome import Outcome, Places


def pool(config: StudentStage, places: Places) -> Outcome:
    """Makes the ensemble's folder."""
    names = list(dict.fromkeys(teacher.name for teacher in config.teachers))
    for name in names:
        check_same_vocabulary(places.models / config.base, places.models / name)
    hashes = {name: weights_hash(places.models / name) for name in names}
    write_answering(places.out, answering_of(config.teachers, hashes))
    return Outcome(parents=(config.base, *names), domains=[])
