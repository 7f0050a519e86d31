"""A toy project as a git and DVC repository with its own copy of the code, and what `dvc repro` does in it."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from thicket_loaded import run_by_forks
from toys import DECLARED, ROOT, toy_project

from thicket.config.yamlfile import to_yaml
from thicket.warm import can_fork

Edit = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Lab:
    """A project in which stages run as they do for a user: by DVC, in processes of their own."""

    root: Path
    loads_itself: bool = False
    """Its pipelines load the libraries, as a user's do. The others are forks of a process that has them."""

    @property
    def environment(self) -> dict[str, str]:
        own = {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(self.root),
            "OMP_NUM_THREADS": "1",
            "DVC_NO_ANALYTICS": "1",
            "PYTHONDONTWRITEBYTECODE": "",  # or each of dozens of processes compiles all of thicket
            "SHELL": "/bin/sh",  # what DVC takes where there is no SHELL; bash behaves as if every command had `exec`
        }
        environment = {**os.environ, **own}
        return environment if self.loads_itself or not can_fork() else run_by_forks("-m thicket.warm ", environment)

    def call(self, *command: str, status: int = 0) -> str:
        """Runs a command in the project and returns what it printed."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == status, f"{' '.join(command)} ended with {done.returncode}:\n{printed}"
        return printed

    def json(self, *command: str) -> Any:
        """Runs a command that prints JSON, and maybe warnings beside it."""
        done = subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    def repro(self, *targets: str) -> set[str]:
        """Runs `dvc repro` and returns the stages that it ran."""
        return set(re.findall(r"Running stage '([^']+)'", self.call("dvc", "repro", *targets)))

    def edit(self, edit: Edit) -> None:
        """Changes params.yaml and writes dvc.yaml anew."""
        path = self.root / "params.yaml"
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
        edit(declared)
        path.write_text(to_yaml(declared), encoding="utf-8")
        self.call("thicket", "plan")

    def commit(self, message: str) -> str:
        """Commits everything and returns the commit."""
        self.call("git", "add", "-A")
        self.call("git", "commit", "-q", "-m", message)
        return self.call("git", "rev-parse", "HEAD").strip()

    def copy(self, root: Path, loads_itself: bool = False) -> "Lab":
        sockets = shutil.ignore_patterns("*.socket")  # of a process that is just ending, and can't be copied
        copied = Path(shutil.copytree(self.root, root, symlinks=True, ignore=sockets))
        return Lab(copied, loads_itself or self.loads_itself)


def processes(lab: Lab, command: bytes = b"thicket") -> list[int]:
    """Processes in this project's folder whose command line holds `command`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                held, folder = (entry / "cmdline").read_bytes(), os.readlink(entry / "cwd")
            except OSError:
                continue
            if command in held and Path(folder) == lab.root:
                found.append(int(entry.name))
    return found


def new_lab(root: Path, loads_itself: bool = False) -> Lab:
    """Two domains, three specialists of which the student needs two, and a soup."""
    lab = Lab(toy_project(root), loads_itself)
    for name in ("thicket", ".dvcignore", ".gitignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / name)
    lab.call("git", "init", "-q", "-b", "main")
    lab.call("git", "config", "user.name", "Tester")
    lab.call("git", "config", "user.email", "tester@example.org")
    lab.call("dvc", "init", "-q")
    shutil.copy(ROOT / ".dvc" / "config", root / ".dvc" / "config")

    def third(declared: dict[str, Any]) -> None:
        declared["specialists"]["sort-long"] = {"base": "tiny", "domain": "sort", "method": "grpo", "seed": 1}
        declared["students"]["soup"] = {**DECLARED["students"]["opd"], "method": "soup"}

    lab.edit(third)
    lab.commit("start")
    return lab
