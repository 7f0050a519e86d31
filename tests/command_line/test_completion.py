"""`thicket completion`: what a shell is given, and what it then gets."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command

# As argcomplete's function for bash calls the program: words come through file descriptor 8.
ASK = "import sys; from thicket.cli import main; sys.argv[0] = 'thicket'; main()"


def completed(line: str) -> set[str]:
    read, write = os.pipe()
    asked = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    command = ["bash", "-c", f'exec 8>&{write} 9>/dev/null; exec "$0" -c "$1"', sys.executable, ASK]
    environment = {**os.environ, **asked, "COMP_TYPE": "9", "_ARGCOMPLETE_IFS": "\n", "IFS": "\n"}
    subprocess.run(command, env=environment, pass_fds=[write], check=True, capture_output=True)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as answer:
        return {word.strip() for word in answer.read().replace("\013", "\n").split("\n") if word.strip()}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("thicket sho", {"show"}),
        ("thicket show ", {"tiny", "sort-grpo", "reverse-grpo", "opd", "soup", "mixed"}),
        ("thicket compare tiny so", {"sort-grpo", "soup"}),
        ("thicket config show data-", {"data-sort", "data-reverse"}),
        ("thicket experiment use ", {"small", "toy"}),
        ("thicket check ", {"small", "toy"}),
        ("thicket status o", {"opd"}),
        ("thicket repro so", {"sort-grpo", "soup"}),
        ("thicket model materialize o", {"opd"}),
        ("thicket config diff to", {"toy"}),
        ("thicket config diff o", {"opd"}),
        ("thicket config schema a", {"analysis"}),
        ("thicket status opd data-", {"data-sort", "data-reverse"}),
        ("thicket chat opd --domain ", {"sort", "reverse"}),
    ],
)
def test_words(line: str, words: set[str], sample: Path, command: Command) -> None:
    command("plan")
    assert completed(line) == words


def test_analyses(sample: Path) -> None:
    """Those of conf/, and those that are declared."""
    (sample / "dvc.yaml").write_text("stages:\n  data-sort:\n    cmd: x\n  analyze-capability-small:\n    cmd: x\n")
    assert completed("thicket analyze c") == {"capability", "capability-small"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts(shell: str, command: Command) -> None:
    said = command("completion", shell)
    assert (said.status, said.err) == (0, "")
    assert "thicket" in said.out
    assert "_ARGCOMPLETE" in said.out


def test_the_script_is_sound(command: Command, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(command("completion", "bash").out, encoding="utf-8")
    subprocess.run(["bash", "-n", tmp_path / "script"], check=True)
