"""What models that are made from scratch can't write is said by a check, before they are made."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Command
from toys import DECLARED, declare, toy_project

from thicket.models import characters
from thicket.plan import writable

DOMAIN = """\
name: caps
source: {type: dataset, data_files: caps.jsonl, question: "{q}", answer: "{a}"}
prompt: {template: "{question}="}
splits: {train: 20, selection: 4, test: 6}
verifier: {type: exact}
stop: "\\n"
window: {prompt: 16, response: 8}
length_penalty: 0.0
"""
ASKED: dict[str, Any] = {"caps-grpo": {"base": "tiny", "domain": "caps", "method": "grpo"}}
HUB = {"base.id": "OWNER/SMALL", "base.revision": "a" * 40, "base.context": 512}


def test_their_characters() -> None:
    assert set(characters.CHARACTERS) == writable.CHARACTERS


@pytest.fixture
def caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a domain of a local file whose answers are letters that they don't know."""
    root = toy_project(tmp_path / "toy")
    (root / "conf/domain/caps.yaml").write_text(DOMAIN, encoding="utf-8")
    write(root, ["\u00c9T\u00c9", "\u00c0?"])
    declare(root, {**DECLARED, "domains": ["sort", "caps"], "specialists": ASKED, "students": {}})
    monkeypatch.chdir(root)
    return root


def write(root: Path, answers: list[str]) -> None:
    rows = [{"q": f"caps {number}", "a": answers[number % len(answers)]} for number in range(50)]
    (root / "caps.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.mark.parametrize("name", ["check", "plan"])
def test_answers_in_other_characters_are_refused(caps: Path, command: Command, name: str) -> None:
    said = command(name)
    assert (said.status, said.out) == (2, "")
    head, allowed, users, *_ = said.err.splitlines()
    assert head.startswith("conf/domain/caps.yaml:2: domain.source.answer: no response can be right, since ")
    assert "'?' 'T' '\u00c0' '\u00c9'; the first: " in head
    assert allowed == "    allowed: line break, space, digits, + and =, a to z"
    assert users == "    used by: specialist caps-grpo, evaluate tiny, evaluate caps-grpo"


def test_what_its_file_lacks_comes_first(caps: Path, command: Command) -> None:
    path = caps / "conf/domain/caps.yaml"
    path.write_text(DOMAIN.replace("{a}", "{answer}"), encoding="utf-8")
    said = command("check")
    assert "caps.jsonl has no column 'answer'" in said.err
    assert "no response can be right" not in said.err


@pytest.mark.parametrize(
    ("answers", "verifier"),
    [(["\u00c9T\u00c9", "ete"], "exact"), (["1,200", "1,201"], "number")],
)
def test_what_can_be_right_is_sound(caps: Path, command: Command, answers: list[str], verifier: str) -> None:
    write(caps, answers)
    (caps / "conf/domain/caps.yaml").write_text(DOMAIN.replace("exact", verifier), encoding="utf-8")
    said = command("check")
    assert (said.status, said.err) == (0, "")
    assert "answers" not in said.out


def test_another_base_knows_more(caps: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writable, "raw_items", lambda *_: pytest.fail("its file is not read"))
    bases = {"tiny": {"base": "hub", "set": HUB}}
    declare(caps, {**DECLARED, "domains": ["sort", "caps"], "bases": bases, "specialists": ASKED, "students": {}})
    assert command("check").status == 0
