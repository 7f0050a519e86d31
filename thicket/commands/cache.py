"""DVC's cache: which of its files a commit or the working tree needs, and freeing the others.

`dvc gc` keeps the same, and reads every commit's files with a parser of YAML: minutes for some hundred commits with a
hundred stages. Here git says which versions of them there are, and each is searched for hashes, once.
"""

import configparser
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile

from thicket.plan.recorded import CACHE, OWNED
from thicket.stages.publish import Busy, locked

MD5 = re.compile(rb"md5: ([0-9a-f]{32}(?:\.dir)?)")
LOCK, DVC_FILE = "dvc.lock", ".dvc"
"""What names files of the cache: DVC's record of stages, and the ending of its records of single files."""
EVERY = ("--all", "--full-history", "--", f":(glob)**/{LOCK}", f":(glob)**/*{DVC_FILE}")
"""Every commit, as git's rev-list takes it: `git checkout` and `dvc checkout` can go back there."""
NAMED = ("--no-walk", "--branches", "--tags", "--glob=refs/exps/*")
"""Those that a branch, a tag or an experiment of DVC's ends at. HEAD counts besides."""
NO_RECORDS = (".git", ".dvc", ".venv", "build")
"""Folders of the project in which no such files are looked for."""


def is_elsewhere(root: Path) -> bool:
    """Whether the project's cache lies in another place, which other projects may share."""
    return folder(root) != root / CACHE


def folder(root: Path) -> Path:
    """Where the files of the cache lie, by their hashes."""
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.read([root / ".dvc" / name for name in ("config", "config.local")], encoding="utf-8")
    own = read.get("cache", "dir", fallback=None)
    return root / ".dvc" / own / CACHE.relative_to(CACHE.parents[1]) if own else root / CACHE


def unused(root: Path, named: bool = False) -> list[Path]:
    """The files of the cache that no commit needs, or just no version that has a name."""
    needed = _needed(root, named)
    files = sorted((root / CACHE).glob("??/*"))
    return [path for path in files if f"{path.parent.name}{path.name}" not in needed]


def collect(root: Path, named: bool = False) -> None:
    """Removes them, while DVC can't be at work. Raises: ValueError where it is."""
    try:
        with locked(root / OWNED, "DVC's cache"):
            for path in unused(root, named):
                path.unlink(missing_ok=True)
    except Busy:
        raise ValueError("DVC is at work: free things when nothing runs") from None


def _needed(root: Path, named: bool) -> set[str]:
    """Hashes of what the working tree and every commit, or every version that has a name, needs, with those of the
    files in folders."""
    lines = (line for lines in (_in_working_tree(root), _in_versions(root, named)) for line in lines)
    found = {hash.decode() for line in lines for hash in MD5.findall(line)}
    for hash in [hash for hash in found if hash.endswith(".dir")]:
        listed = root / CACHE / hash[:2] / hash[2:]
        if listed.is_file():
            found |= {entry["md5"] for entry in json.loads(listed.read_text(encoding="utf-8"))}
    return found


def _in_working_tree(root: Path) -> Iterator[bytes]:
    for folder, inner, names in os.walk(root):
        if Path(folder) == root:
            inner[:] = [name for name in inner if name not in NO_RECORDS]
        for name in filter(_is_record, names):
            yield Path(folder, name).read_bytes()


def _in_versions(root: Path, named: bool) -> Iterator[bytes]:
    """The lines of all records that commits have, of equal ones once. Raises: ValueError where git can't read them."""
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return
    which = [*NAMED, *(["HEAD"] if git(root, "rev-parse", "--verify", "-q", "HEAD") else [])] if named else EVERY
    objects = [line.partition(" ") for line in _asked(root, "rev-list", "--objects", *which)]
    with TemporaryFile() as wanted:
        wanted.write("".join(f"{name}\n" for name, _, path in objects if _is_record(Path(path).name)).encode())
        wanted.seek(0)
        command = ["git", "cat-file", "--batch"]
        with subprocess.Popen(command, cwd=root, stdin=wanted, stdout=subprocess.PIPE) as read:
            assert read.stdout is not None
            yield from read.stdout
    if read.returncode:
        raise ValueError(f"git can't read what commits need: `{' '.join(command)}` ended with {read.returncode}")


def _is_record(name: str) -> bool:
    return name == LOCK or Path(name).suffix == DVC_FILE


def _asked(root: Path, *arguments: str) -> list[str]:
    """The lines that git prints. Raises: ValueError where it fails: what is not known must not count as not needed."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"git can't read what commits need: {done.stderr.strip()}")
    return done.stdout.splitlines()


def git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it fails: no repository, no such commit, no such file in it."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
