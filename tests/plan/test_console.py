"""Tables on a terminal: whole words where they fit, else pieces; nothing is cut off."""

from typing import Any

import pytest

from thicket.plan import console


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the columns of a line."""
    return lambda columns: monkeypatch.setattr(console, "WIDTH", columns)


def made() -> Any:
    table = console.table("domain", "pass@1", "pass@4", "gain", "", "tokens", right=("tokens",))
    table.add_row("sort", "12.3 [10.0, 14.5]", "45.6 [40.0, 50.0]", "+1.0 [+0.5, +1.5]", "▲", "6.4")
    table.add_row("prime-factorization", "2.3 [1.0, 4.5]", "5.6 [4.0, 8.0]", "−1.0 [−3.5, +1.5]", "", "12.8")
    return table


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_a_table_that_fits_is_one(width: Any, capsys: pytest.CaptureFixture[str]) -> None:
    width(100)
    console.show(made())
    assert lines(capsys) == [
        "domain pass@1 pass@4 gain tokens",
        "sort 12.3 [10.0, 14.5] 45.6 [40.0, 50.0] +1.0 [+0.5, +1.5] ▲ 6.4",
        "prime-factorization 2.3 [1.0, 4.5] 5.6 [4.0, 8.0] −1.0 [−3.5, +1.5] 12.8",
    ]


def test_lines_break_between_words_where_that_is_enough(width: Any, capsys: pytest.CaptureFixture[str]) -> None:
    width(70)
    console.show(made())
    shown = capsys.readouterr().out
    assert shown.count("domain") == 1
    assert set(shown.split()) == {word for text in _texts() for word in text.split()}


def test_a_table_too_wide_for_its_words_comes_in_pieces(width: Any, capsys: pytest.CaptureFixture[str]) -> None:
    width(45)
    console.show(made())
    assert lines(capsys) == [
        "domain pass@1",
        "sort 12.3 [10.0, 14.5]",
        "prime-factorization 2.3 [1.0, 4.5]",
        "",
        "domain pass@4",
        "sort 45.6 [40.0, 50.0]",
        "prime-factorization 5.6 [4.0, 8.0]",
        "",
        "domain gain",
        "sort +1.0 [+0.5, +1.5] ▲",  # what has no head stays with the column before it
        "prime-factorization −1.0 [−3.5, +1.5]",
        "",
        "domain tokens",
        "sort 6.4",
        "prime-factorization 12.8",
    ]


@pytest.mark.parametrize("columns", range(16, 120, 8))
def test_nothing_is_cut_off_at_any_width(width: Any, capsys: pytest.CaptureFixture[str], columns: int) -> None:
    width(columns)
    console.show(made())
    shown = capsys.readouterr().out
    assert all(len(line) <= columns for line in shown.splitlines())
    assert "…" not in shown
    letters = "".join(shown.split())
    assert all(letters.count(sign) >= "".join(_texts()).count(sign) for sign in "0123456789@▲[]")


def test_a_path_is_broken_rather_than_the_table(width: Any, capsys: pytest.CaptureFixture[str]) -> None:
    width(60)
    table = console.table("value", "left", "right")
    table.add_row("source.folder", "a" * 60, "b" * 60)
    console.show(table)
    shown = capsys.readouterr().out
    assert shown.count("value") == 1
    assert (shown.count("a"), shown.count("b")) == (1 + 60, 60)


def _texts() -> list[str]:
    return [str(cell) for column in made().columns for cell in (column.header, *column.cells)]


def test_texts_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = console.table("", "overrides")
    table.add_row("1", "teachers=[sort-grpo,odd-grpo] domains=[sort] :cat: [/sort]")
    console.show(table)
    assert lines(capsys)[-1] == "1 teachers=[sort-grpo,odd-grpo] domains=[sort] :cat: [/sort]"
