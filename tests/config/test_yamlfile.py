"""What is written is read as the same value: by thicket, and by the reader that DVC uses."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

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
