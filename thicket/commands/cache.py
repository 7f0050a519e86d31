"""DVC's cache: which of its files a commit or the working tree needs."""

import configparser
import json
import re
import subprocess
import sys
from pathlib import Path

from thicket.plan.recorded import CACHE

MD5 = re.compile(r"md5: ([0-9a-f]{32}(?:\.dir)?)")
KEPT = ("--workspace", "--all-commits", "--all-experiments")
"""What `dvc gc` keeps the files of, to which `git checkout` and `dvc checkout` can go back."""
KEPT_OF_NAMED = ("--workspace", "--all-branches", "--all-tags", "--all-experiments")
"""The same where only versions with a name are kept. HEAD is kept besides."""
REFS = ("refs/heads", "refs/tags", "refs/exps")
"""These, as git has them."""


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
    """Has DVC remove them. Raises: ValueError where it fails."""
    head = ("--rev", "HEAD") if git(root, "rev-parse", "--verify", "-q", "HEAD") else ()
    command = [sys.executable, "-m", "dvc", "gc", *(KEPT_OF_NAMED if named else KEPT), *head, "--force", "--quiet"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"dvc gc ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")


def _needed(root: Path, named: bool) -> set[str]:
    """Hashes in the dvc.lock of the working tree and of every commit, or every version that has a name, with those of
    the files in folders."""
    path = root / "dvc.lock"
    texts = [path.read_text(encoding="utf-8")] if path.is_file() else []
    with_name = ("for-each-ref", "--format=%(objectname)", *REFS)
    commits = git(root, *(with_name if named else ("log", "--all", "--format=%H", "--", "dvc.lock"))).split()
    for commit in dict.fromkeys(["HEAD", *commits]):
        texts.append(git(root, "show", f"{commit}:./dvc.lock"))
    found = {hash for text in texts for hash in MD5.findall(text)}
    for hash in [hash for hash in found if hash.endswith(".dir")]:
        listed = root / CACHE / hash[:2] / hash[2:]
        if listed.is_file():
            found |= {entry["md5"] for entry in json.loads(listed.read_text(encoding="utf-8"))}
    return found


def git(root: Path, *arguments: str) -> str:
    """What git prints; nothing where it fails: no repository, no such commit, no such file in it."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout if done.returncode == 0 else ""
