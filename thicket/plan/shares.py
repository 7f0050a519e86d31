"""What each of several stages side by side gets of the machine: threads and a GPU."""

import os
from pathlib import Path

THREADS = "OMP_NUM_THREADS"
VISIBLE = "CUDA_VISIBLE_DEVICES"


def environment(jobs: int, slot: int) -> dict[str, str]:
    """Environment variables of a stage in one of `jobs` slots.

    Its share of the cores as threads, unless the user set a number; GPUs go round the slots. One stage at a time has
    the whole machine, as under `dvc repro`.
    """
    own = dict[str, str]()
    if jobs > 1 and THREADS not in os.environ:
        own[THREADS] = str(max(1, cores() // jobs))
    devices = gpus()
    if jobs > 1 and len(devices) > 1:
        own[VISIBLE] = devices[slot % len(devices)]
    return own


def threads_note(jobs: int) -> str:
    """What side by side differs from one by one in: torch's sums on a CPU are rounded by the number of threads."""
    own = environment(jobs, 0).get(THREADS)
    if own is None or int(own) == cores():
        return ""
    return f"threads a stage: {own}, {cores()} alone; sums round by that. {THREADS}={own} holds `dvc repro` to the same"


def default_jobs() -> int:
    """A stage for each GPU; without one, for each two cores."""
    return max(1, len(gpus()) or cores() // 2)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA names them; found without CUDA, which takes seconds to load."""
    visible = os.environ.get(VISIBLE)
    if visible is not None:
        return [device for device in visible.split(",") if device]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
