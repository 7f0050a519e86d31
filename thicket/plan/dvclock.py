"""dvc.lock where thicket writes it: the order of its stages, those that are declared no more, and what a kill cut off
(as it does DVC's note of the files that it is at).

Entries are moved, kept and left out as the lines that they are: DVC writes YAML in a way of its own.
"""

import json
import re
import time
from collections.abc import Collection
from pathlib import Path

from thicket.config.problems import ConfigError
from thicket.config.yamlfile import read_yaml
from thicket.disk import set_aside, write_whole

_STAGE = re.compile(r"^  (?=[^ \n])", re.MULTILINE)
"""Where an entry of the mapping `stages` begins."""
_HEAD = "stages:\n"
RWLOCK = Path(".dvc/tmp/rwlock")
BEING_WRITTEN = 0.2
"""Seconds after which a file that is still not whole is not being written."""


def locked_stages(root: Path) -> list[str]:
    """The stages that dvc.lock has, in its order."""
    path = root / "dvc.lock"
    return list(_entries(path.read_text(encoding="utf-8"))[1]) if path.is_file() else []


def put_in_order(root: Path, before: list[str], declared: list[str]) -> None:
    """Stages that dvc.lock had before stay where they were; new ones follow in the order of dvc.yaml.

    DVC adds stages as they end, which side by side is another order each time.
    """
    path = root / "dvc.lock"
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    head, entries = _entries(text)
    wanted = dict.fromkeys([*before, *declared, *entries])
    ordered = head + "".join(entries[name] for name in wanted if name in entries)
    if ordered != text:
        write_whole(path, ordered)


def forget_removed(root: Path, declared: Collection[str]) -> None:
    """Takes stages out of dvc.lock that are declared no more; DVC would keep them there for good."""
    path = root / "dvc.lock"
    if not path.is_file():
        return
    head, entries = _entries(path.read_text(encoding="utf-8"))
    kept = [lines for name, lines in entries.items() if name in declared]
    if not kept:
        path.unlink()
    elif len(kept) < len(entries):
        write_whole(path, head + "".join(kept))


def mend_lock(root: Path) -> None:
    """Where DVC was killed while it wrote dvc.lock: the whole entries at its beginning stay.

    DVC writes it in place, stage after stage, which takes a second where there are a hundred of them. What the lost
    entries recorded is in its run cache, so that `dvc repro` takes it from there and runs nothing again.
    """
    path = root / "dvc.lock"
    if not path.is_file() or is_whole(path):
        return
    text = path.read_text(encoding="utf-8", errors="replace")
    if "<<<<<<<" in text:  # Of a merge, which only people can decide.
        return
    set_aside(path, "plan", "DVC was stopped while it wrote it")
    entries = [found.start() for found in re.finditer(r"^  \S.*:$", text, re.MULTILINE)]
    if not entries[1:]:
        return
    write_whole(path, text[: entries[-1]])
    if not is_whole(path):
        path.unlink()


def mend_rwlock(root: Path) -> None:
    """Where DVC was stopped while it noted in .dvc/tmp/rwlock which files it is at: it goes, as DVC refuses to run.

    DVC writes it in place. Whoever was noted in it, a run that goes on notes itself anew.
    """
    path = root / RWLOCK
    if is_json(path):
        return
    time.sleep(BEING_WRITTEN)
    if not is_json(path):
        path.unlink(missing_ok=True)


def is_json(path: Path) -> bool:
    """Whether it is whole, or not there."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def is_whole(path: Path) -> bool:
    """Whether it ends with a line, and its last stage is whole, as YAML that breaks off often is not."""
    try:
        lock = read_yaml(path, path.name).value
    except ConfigError:
        return False
    if not isinstance(lock.get("stages"), dict) or not path.read_bytes().endswith(b"\n"):
        return False
    last = list(lock["stages"].values())[-1:]
    return all(isinstance(one, dict) and isinstance(one.get("outs"), list) for one in last)


def _entries(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the stages, and each one's lines."""
    head, found, rest = text.partition(_HEAD)
    blocks = _STAGE.split(rest)[1:]
    return head + found, {block.partition(":")[0]: f"  {block}" for block in blocks}
