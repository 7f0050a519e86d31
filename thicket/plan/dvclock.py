"""The order of stages in dvc.lock: as they end, DVC adds them, and side by side that is another order each time."""

import re
from pathlib import Path

from thicket.disk import write_whole

_STAGE = re.compile(r"^  (?=[^ \n])", re.MULTILINE)
"""Where an entry of the mapping `stages` begins."""
_HEAD = "stages:\n"


def locked_stages(root: Path) -> list[str]:
    """The stages that dvc.lock has, in its order."""
    path = root / "dvc.lock"
    return list(_entries(path.read_text(encoding="utf-8"))[1]) if path.is_file() else []


def put_in_order(root: Path, before: list[str], declared: list[str]) -> None:
    """Stages that dvc.lock had before stay where they were; new ones follow in the order of dvc.yaml."""
    path = root / "dvc.lock"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    head, entries = _entries(text)
    wanted = dict.fromkeys([*before, *declared, *entries])
    ordered = head + "".join(entries[name] for name in wanted if name in entries)
    if ordered != text:
        write_whole(path, ordered)


def _entries(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the stages, and each one's lines."""
    head, found, rest = text.partition(_HEAD)
    blocks = _STAGE.split(rest)[1:]
    return head + found, {block.partition(":")[0]: f"  {block}" for block in blocks}
