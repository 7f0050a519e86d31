"""What dvc.lock says, where it can be read."""

import threading
import time
from pathlib import Path

import pytest

from thicket.plan import recorded
from thicket.plan.recorded import read_lock


@pytest.fixture(autouse=True)
def waits_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "SETTLED_SECONDS", 0.1)
    monkeypatch.setattr(recorded, "LONGEST_SECONDS", 2.0)


@pytest.mark.parametrize("text", ["stages:\n  base-tiny: {outs: [{path: build", "- stages\n"])
def test_a_lock_that_was_cut_off_is_a_line_with_what_mends_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(ValueError, match=r"dvc\.lock can't be read .*`thicket plan` keeps what is whole of it"):
        read_lock(tmp_path)


def test_one_that_is_slowly_written_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "dvc.lock"

    def write() -> None:
        with path.open("w", encoding="utf-8") as file:
            for text in ("stages:\n  a: {outs: [{pa", "th: build/a}]}\n  b: {}\n"):
                time.sleep(0.4)  # longer than it takes to look settled
                file.write(text)
                file.flush()

    path.write_text("")
    writer = threading.Thread(target=write)
    writer.start()
    time.sleep(0.2)
    found = read_lock(tmp_path)
    writer.join()
    assert list(found) == ["a", "b"]


def test_none_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path) == {}
    (tmp_path / "dvc.lock").write_text("")
    assert read_lock(tmp_path) == {}
