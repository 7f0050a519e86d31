"""What a stage's function takes beside its config, and what it reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thicket import ranks
from thicket.config.fields import Strict
from thicket.config.loggers import Loggers, read_loggers
from thicket.config.never_right import Counts
from thicket.config.shown import Shown
from thicket.training.curves import Row
from thicket.training.ledger import Ledger

if TYPE_CHECKING:
    from thicket.engine import Progress


@dataclass(frozen=True)
class Places:
    """The folders of a run."""

    root: Path
    """The project."""
    models: Path
    """Models that are there already, by name."""
    data: Path
    """The domains' data, by name."""
    out: Path
    """An empty folder that the stage fills; it becomes the artifact when the stage has succeeded."""
    resume: Path
    """Checkpoints of this very config, start and data; kept when a run breaks off, else removed."""

    def progress(self, title: str, values: Strict) -> "Progress":
        """What shows how far a training is, whose config has these values, and tells the project's loggers.

        Raises: ValueError where a logger's package is missing.
        """
        from thicket.engine import Progress
        from thicket.loggers import make_loggers

        chosen = read_loggers(self.root) if ranks.first() else Loggers()
        return Progress(title, make_loggers(chosen, self.root, self.resume.name, values.model_dump(mode="json")))


@dataclass(frozen=True)
class Outcome:
    """What a stage that makes a model reports."""

    parents: Sequence[str] = ()
    """The models that this one was made from."""
    domains: Sequence[str] = ()
    """The domains whose data it was trained on."""
    ledger: Ledger = field(default_factory=Ledger)
    seconds: float = 0.0
    """Time of the work itself, over all runs that a broken-off stage took."""
    phases: Mapping[str, float] = field(default_factory=dict)
    """Of that time, what each phase took (`rollouts`, `updates`, …)."""
    steps: int = 0
    selection: float | None = None
    """Pass@1 of what is published on the selection items of its domains: sampled, or as a search's find answers."""
    never_right: Counts = field(default_factory=dict)
    """Of the train items."""
    rows: Sequence[Row] = ()
    """The learning curve."""
    shown: Sequence[Shown] = ()
    """Samples of the training, for people to read."""
