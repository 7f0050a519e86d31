"""What dvc.lock says, where it can be read."""

from pathlib import Path

import pytest

from thicket.plan.recorded import read_lock


@pytest.mark.parametrize("text", ["stages:\n  base-tiny: {outs: [{path: build", "- stages\n"])
def test_a_lock_that_was_cut_off_is_a_line_with_what_mends_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(ValueError, match=r"dvc\.lock can't be read .*`thicket plan` keeps what is whole of it"):
        read_lock(tmp_path)


def test_none_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text("")
    assert read_lock(tmp_path) == {}
