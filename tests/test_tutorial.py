"""docs/tutorial.md, block by block: files are written, commands are run, and what they print is what it shows."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from lab import Lab
from toys import ON_POLICY, ROOT, VALUES

from thicket.config.yamlfile import to_yaml

TOY = {**ON_POLICY, "group": 4, "steps": 2}
SMALLER = {
    **VALUES,
    "base": {"tiny": {**VALUES["base"]["tiny"], "steps": 120, "batch": 32}},  # Some of its samples are correct.
    "domain": {"lists": {"splits.train": 24, "splits.selection": 4, "splits.test": 6, "verifier.least": 1}},
    "method": {"grpo": TOY, "rloo": TOY, "terse": {"steps": 2, "batch": 4, "micro_batch": 8, "select_samples": 2}},
}
"""Over the tutorial's own values."""
PIP = f"""#!{sys.executable}
# In pip's place, which would need a network: the package's entry points, where Python finds them.
import pathlib, sys, tomllib
*_, folder = sys.argv
declared = tomllib.loads(pathlib.Path(folder, "pyproject.toml").read_text())["project"]
information = pathlib.Path(folder, declared["name"] + ".dist-info")
information.mkdir()
(information / "METADATA").write_text("Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n")
with (information / "entry_points.txt").open("w") as out:
    for group, points in declared["entry-points"].items():
        print(f"[{{group}}]", *(f"{{name}} = {{value}}" for name, value in points.items()), sep="\\n", file=out)
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what stands behind that, and its text."""

    language: str
    note: str
    text: str


def blocks() -> list[Block]:
    text = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    return [Block(*found) for found in re.findall(r"^```(\w+) ?(\S*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A clone, as far as the tutorial needs one."""
    lab = Lab(tmp_path / "thicket")
    lab.root.mkdir()
    for name in ("conf", "thicket", ".dvcignore", ".gitignore", "params.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, lab.root / name)
    lab.call("git", "init", "-q", "-b", "main")
    lab.call("git", "config", "user.name", "Tester")
    lab.call("git", "config", "user.email", "tester@example.org")
    lab.call("dvc", "init", "-q")
    lab.commit("clone")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pip").write_text(PIP, encoding="utf-8")
    (tmp_path / "bin/pip").chmod(0o755)
    return lab


@pytest.mark.slow
def test_every_block(lab: Lab) -> None:
    paths = [str(lab.root), str(lab.root / "mine")]
    own = {"PATH": f"{lab.root.parent / 'bin'}{os.pathsep}{lab.environment['PATH']}", "PYTHONPATH": ":".join(paths)}
    printed = ""
    for block in blocks():
        if block.note.startswith("file="):
            path = lab.root / block.note.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            small = path.name == "params.yaml"
            text = to_yaml({**yaml.safe_load(block.text), "values": SMALLER}) if small else block.text
            path.write_text(text, encoding="utf-8")
        elif block.language == "output":
            assert block.text in printed
        elif block.note != "install":
            assert block.language == "bash"
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=lab.root,
                env={**lab.environment, **own},
                capture_output=True,
                text=True,
                check=False,
            )
            printed = done.stdout + done.stderr
            assert done.returncode == 0, f"{block.text}\n{printed}"
    assert "domains.lists.pass@1" in printed, "the comparison at the end"
    changed = re.findall(r"lists-rloo.yaml +(\S+) +(\S+) +(\S+)\n", printed)
    assert changed == [("method.optimizer.lr", "0.0002", "0.0004")]
    locks = [yaml.safe_load(lab.call("git", "show", f"{commit}:dvc.lock"))["stages"] for commit in ("HEAD~1", "HEAD")]
    remade = {name for name, stage in locks[1].items() if stage != locks[0][name]}
    assert remade == {"compose", "specialist-lists-rloo", "evaluate-lists-rloo"}, "one thing is compared"
    made = yaml.safe_load((lab.root / "build/config/models/lists-rloo.yaml").read_text(encoding="utf-8"))
    assert {"mine.rloo", "mine.rising"} <= made["code"].keys()
    assert not [name for name in made["code"] if "terse" in name], "another method's option is no dependency"
    shown = (lab.root / "build/models/lists-terse/samples.jsonl").read_text(encoding="utf-8")
    assert shown, "what the imitating method has kept"
    table = (lab.root / "build/report/results.md").read_text(encoding="utf-8")
    assert "lists-rloo" in table


def test_the_method_is_as_short_as_it_says() -> None:
    written = {block.note: block.text for block in blocks() if "rloo" in block.text and block.language == "python"}
    assert sum(len(text.splitlines()) for text in written.values()) < 60
    assert "file=mine/mine/rloo.py" in written
