"""What the machine says of a run: commit, device and memory."""

import platform
import resource
import subprocess
from pathlib import Path

from thicket import ranks


def commit(root: Path) -> str | None:
    """The git commit of the project, with `+` where files differ from it; None outside a repository."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--untracked-files=no"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed.strip() else "")


def device() -> str:
    """The GPU's name, or the processor and the threads that torch uses; how many, where several share the work."""
    import torch

    many = f"{ranks.count()} × " if ranks.count() > 1 else ""
    if torch.cuda.is_available():
        return many + torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    processor = platform.processor() or platform.machine()
    return f"{many}CPU, {processor}, {threads} thread{'s' if threads > 1 else ''}"


def forget_peak_memory() -> None:
    """What a GPU's memory held before is another stage's, where a process runs several."""
    import torch

    if torch.cuda.is_initialized():  # A stage that needs no GPU takes none of its memory.
        torch.cuda.reset_peak_memory_stats()


def peak_memory_bytes() -> int:
    """The most memory that the process held: the GPU's where there is one, else resident memory (Linux counts KiB)."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
