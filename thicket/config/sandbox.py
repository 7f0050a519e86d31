"""What a program written by a model may use, and what holds it to that."""

from typing import Literal

from thicket.config.fields import Positive, PositiveFloat, Strict


class Limits(Strict):
    """What one program may use, beyond which it ends with a reason that names the limit."""

    cpu_seconds: Positive = 5
    """Processor time of each process."""
    wall_seconds: PositiveFloat = 10.0
    """Time from start to end, of the program with all that it started."""
    memory_bytes: Positive = 1 << 30
    """Address space of each process, and resident memory of all together (looked at a few times a second)."""
    processes: Positive = 32
    """Processes and threads at a time, of which the sandbox needs three."""
    disk_bytes: Positive = 1 << 24
    """Size of the private temporary folder, and of the largest file."""
    open_files: Positive = 64
    """Open files of each process."""
    output_bytes: Positive = 1 << 20
    """What the program may print, and what a function that it defines may return."""


class Sandbox(Strict):
    """Where text that a model wrote is run as code."""

    isolation: Literal["bubblewrap", "rlimits"] = "bubblewrap"
    """`bubblewrap`: no network, no files but Python's own (read-only) and an empty temporary folder, no other process
    in sight, a user without rights. `rlimits`: the limits alone; the code can read, write and send whatever you can,
    so name it only where something else around thicket, such as a container, holds the code back."""
    limits: Limits = Limits()
    workers: Positive | None = None
    """How many programs run at a time; null: one for each core that thicket may use."""

    def bare(self) -> "Sandbox":
        """The sandbox without the other fields of a verifier that has one."""
        return Sandbox(**{name: getattr(self, name) for name in Sandbox.model_fields})
