"""What may import what, and that looking at configs loads nothing heavy."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "lightning", "datasets", "numpy", "pandas", "matplotlib", "dvc", "hydra", "omegaconf")
LIGHT = ("config", "domains")
"""Packages that import none of these."""


def test_imports_point_down(capsys: pytest.CaptureFixture[str]) -> None:
    status = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert status == 0, capsys.readouterr().out


def test_every_part_has_its_layer() -> None:
    """import-linter lets a part through that no layer names."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (contract,) = declared["tool"]["importlinter"]["contracts"]
    layers = {name for layer in contract["layers"] for name in layer.replace("|", ":").replace(" ", "").split(":")}
    parts = {f"thicket.{path.stem}" for path in (ROOT / "thicket").iterdir() if not path.name.startswith("_")}
    assert parts == layers


def test_every_package_is_installed() -> None:
    """What setuptools is not told of is missing from a wheel, though an editable install has it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "thicket").rglob("__init__.py")}
    packages = {".".join(folder.parts) for folder in folders}
    assert set(declared["tool"]["setuptools"]["packages"]) == {*packages, "thicket.conf"}


def loaded(code: str, folder: Path = ROOT) -> set[str]:
    """The heavy packages that a piece of code loads in a process of its own."""
    tell = f"{code}\nimport sys; print('loaded', *sorted({set(HEAVY)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", tell], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("package", LIGHT)
def test_light_packages(package: str) -> None:
    paths = (ROOT / "thicket" / package).rglob("[!_]*.py")
    names = sorted(".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    assert names
    assert loaded("".join(f"import {name}\n" for name in names)) == set()


LOOKING = (
    "check",
    "check small",
    "plan",
    "compose",
    "experiment list",
    "config show",
    "config show student-opd",
    "config diff student-opd student-mixed",
    "config schema domain",
    "status",
    "status opd",
    "",
)


def test_looking_loads_nothing_heavy(sample: Path) -> None:
    code = f"""
import os, sys
from thicket.cli import main
main(["plan"])
for command in {LOOKING}:
    if not (child := os.fork()):
        assert main(command.split()) == 0, command
        heavy = {set(HEAVY)} & set(sys.modules)
        assert not heavy, f"{{command}} loads {{heavy}}"
        os._exit(7)  # no command's own
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7, command
"""
    assert loaded(code, sample) == set()
