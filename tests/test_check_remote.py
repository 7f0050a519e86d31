"""What scripts/check_remote.py is asked, and what it says; what it shows is in tests/pipeline/test_reruns.py."""

import sys
from pathlib import Path
from typing import Any

import pytest
from script_modules import script_module


@pytest.fixture(scope="module")
def script() -> Any:
    return script_module("check_remote")


def test_secrets_are_not_shown(script: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.call(tmp_path, "echo", "password", secret="hush") == "password hush\n"
    assert capsys.readouterr().out == "+ echo password …\n"


def test_a_folder_is_one_place_to_all_clones(script: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert script.whole("../store") == str(tmp_path.parent / "store")
    assert script.whole("s3://bucket/store") == "s3://bucket/store"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (["--s3", "--remote", "../store"], "not allowed with argument --s3"),
        (["--set", "keyfile=user"], "--set is of a --remote"),
        (["--remote", "../store", "--set", "keyfile"], "'keyfile' is not NAME=VALUE"),
    ],
)
def test_what_makes_no_sense_is_refused(
    script: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    wrong: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["check_remote.py", *arguments])
    monkeypatch.setattr(script, "check", lambda *_: pytest.fail("nothing is to run"))
    with pytest.raises(SystemExit) as left:
        script.main()
    assert left.value.code == 2
    assert wrong in capsys.readouterr().err
