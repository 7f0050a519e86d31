"""What is written is read as the same value: by thicket, and by the reader that DVC uses."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from thicket.config.problems import ConfigError
from thicket.config.yamlfile import read_yaml, to_yaml

VALUES = [  # each is a number, a date or a constant to some reader
    "12345e678901",
    "1e5",
    "1_0e3",
    "123456789012",
    "0x1f",
    "yes",
    "null",
    "~",
    "2026-11-24",
    "1e-3",
    "a: b",
    "é\n",
    "",
]


@pytest.mark.parametrize("text", VALUES)
def test_text_stays_text(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(to_yaml({"value": text, "list": [text]}), encoding="utf-8")
    assert read_yaml(path, "file.yaml").value == {"value": text, "list": [text]}
    assert YAML(typ="safe").load(path)["value"] == text


@pytest.mark.parametrize("number", [1, 0.5, 1e-5, 2e-05, 1e22, -3e-7])
def test_numbers_stay_numbers(number: float, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(to_yaml({"value": number}), encoding="utf-8")
    found: Any = read_yaml(path, "file.yaml").value["value"]
    assert (found, type(found)) == (number, type(number))
    assert YAML(typ="safe").load(path)["value"] == number


def test_repeated_parts_are_written_out() -> None:
    part = {"lr": 1}
    assert "&" not in to_yaml({"a": part, "b": part})


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 30)
)
"""30 lines for 9^30 values."""
MERGED = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 30)
)
HOSTILE = {
    "laughs": (LAUGHS, r"file\.yaml: its aliases \(`\*name`\) make \d{20,} values of it"),
    "merged": (MERGED, r"file\.yaml: its aliases"),
    "within-itself": ("a: &a [*a]", r"file\.yaml: a value holds itself, by an alias"),
    "merged-into-itself": ("a: &a {<<: *a}", r"file\.yaml: a value holds itself, by an alias"),
    "deep-list": ("a: " + "[" * 20_000, r"file\.yaml:1: not YAML: exceeded maximum nesting depth"),
    "deep-map": ("\n".join(" " * level + "a:" for level in range(200)), r"file\.yaml:52: a\.a\.a"),
    "code": (
        "a: 1\nb: !!python/object/apply:os.system [touch made]",
        r"file\.yaml:2: not YAML: could not determine a con",
    ),
    "set": ("a: !!set {x}", r"file\.yaml:1: a: the tag !!set is not read here: a mapping or a list"),
    "bytes": ("a: !!binary YQ==", r"file\.yaml:1: a = 'YQ==': a bytes is no plain value"),
    "date": ("a: !!timestamp 2026-11-24", r"file\.yaml:1: a = '2026-11-24': a date is no plain value"),
    "no-number": (
        "a:\n  b: !!int x",
        r"file\.yaml:2: a\.b = 'x': not a value of the kind that it is written as \(int\)",
    ),
    "no-bits": ("a: 0b_", r"file\.yaml:1: a = '0b_': not a value of the kind"),
    "long-number": ("a: 0x" + "f" * 5000, r"file\.yaml:1: a = '0x.*: a whole number of more than 256 bits"),
    "longer-number": ("a: " + "9" * 5000, r"file\.yaml:1: a = '9.*: not a value of the kind"),
    "key": ("!!int x: 1", r"file\.yaml:1: x: not a value of the kind"),
    "zero": ("a: \0", r"file\.yaml: not YAML: unacceptable character #x0000"),
}


@pytest.mark.parametrize(("text", "message"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_at_once(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^{message}"):
        read_yaml(path, "file.yaml")


def test_aliases_that_repeat_little_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n", encoding="utf-8")
    file = read_yaml(path, "file.yaml")
    assert file.value == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}
    assert file.origin(("c", "x")) == "file.yaml:3"
