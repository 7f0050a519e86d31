"""The library composes what Hydra composes, and reads what OmegaConf reads."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from thicket.config.library import EXPERIMENTS, GROUPS, Library
from thicket.config.yamlfile import read_yaml

CONF = Path(__file__).parents[2] / "conf"
SHIPPED = [(group, name) for group in (*GROUPS, EXPERIMENTS) for name in Library(CONF).options(group)]


def by_hydra(root: Path, group: str, name: str) -> object:
    with initialize_config_dir(str(root), version_base="1.3"):
        return OmegaConf.to_container(compose(overrides=[f"+{group}={name}"])[group])


@pytest.mark.parametrize(("group", "name"), SHIPPED)
def test_every_option_that_ships(group: str, name: str) -> None:
    assert Library(CONF).option(group, name).value == by_hydra(CONF, group, name)


OPTIONS = {
    "plain": "a: 1\ninner: {b: 2, c: [1, 2]}\n",
    "over": "defaults: [plain, _self_]\na: 3\ninner: {c: [9]}\n",
    "under": "defaults: [_self_, plain]\na: 3\nd: 4\n",
    "unsaid": "defaults: [plain]\na: 3\n",
    "two": "defaults: [over, under, _self_]\ninner: {b: 7}\n",
    "empty": "defaults: [plain, _self_]\ninner: {}\n",
    "nothing": "defaults: [plain, _self_]\ninner: null\n",
    "folder/deep": "defaults: [plain]\ne: 5\n",
}


@pytest.fixture
def library(tmp_path: Path) -> Library:
    for name, text in OPTIONS.items():
        path = tmp_path / "method" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Library(tmp_path)


@pytest.mark.parametrize("name", OPTIONS)
def test_defaults_lists(name: str, library: Library) -> None:
    assert library.option("method", name).value == by_hydra(library.root, "method", name)


@pytest.mark.parametrize("conf", ["conf", "thicket/conf"])
def test_conf_is_that_of_the_code_that_runs(conf: str, tmp_path: Path) -> None:
    """Of a clone that PYTHONPATH names, and of an installed package; not of what is installed beside it."""
    shutil.copytree(CONF.parent / "thicket", tmp_path / "thicket", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(CONF, tmp_path / conf)
    asked = "from thicket.config.project import packaged_conf; print(packaged_conf())"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", asked], env=environment, cwd="/", capture_output=True, text=True)
    assert said.stdout == f"{tmp_path / conf}\n"


def test_what_an_option_is(library: Library) -> None:
    path = library.root / "method/plain.yaml"
    path.write_text("# A way,\n# and why.\na: 1\n# Not of it all.\n", encoding="utf-8")
    assert library.about("method", "plain") == "A way, and why."
    assert library.about("method", "over") == ""


@pytest.mark.parametrize("name", Library(CONF).options("method"))
def test_every_method_that_ships_says_what_it_is(name: str) -> None:
    """The report shows it beside the names of the models."""
    assert Library(CONF).about("method", name).endswith(".")


def test_the_line_that_won(library: Library) -> None:
    two = library.option("method", "two")
    assert two.origin(("a",)) == "conf/method/plain.yaml:1"
    assert two.origin(("inner", "b")) == "conf/method/two.yaml:2"
    assert two.origin(("inner", "c", 1)) == "conf/method/plain.yaml:2"
    assert two.origin(("d",)) == "conf/method/under.yaml:3"
    assert two.origin(("nowhere",)) == "conf/method/two.yaml"


def test_an_option_is_a_copy(library: Library) -> None:
    library.option("method", "plain").value["inner"]["c"].append(3)
    assert library.option("method", "plain").value["inner"]["c"] == [1, 2]


SCALARS = """\
1 -1 1_000 0x1F 010 1.5 .5 1. 1e3 1e-4 1E+4 -2.5e-3 1.5e3 +.inf -.INF 1e 1-4 1:30 e5
yes no on Off true TRUE null ~ Null 2026-01-01 2026-01-01T10:00:00Z 0.1.2 1,000 text "1e-4" '1' a:b
"""


@pytest.mark.parametrize("scalar", SCALARS.split())
def test_scalars_are_read_as_by_omegaconf(scalar: str, tmp_path: Path) -> None:
    path = tmp_path / "scalar.yaml"
    path.write_text(f"value: {scalar}\n", encoding="utf-8")
    ours, theirs = read_yaml(path, path.name).value, OmegaConf.to_container(OmegaConf.load(path))
    assert repr(ours) == repr(theirs)


def test_lines(tmp_path: Path) -> None:
    path = tmp_path / "lines.yaml"
    path.write_text(
        dedent(
            """\
            # a comment
            one: &one {a: 1}
            many:
              - x
              - deep:
                  deeper: 2
            merged:
              <<: *one
              b: 3
            7: seven
            """
        ),
        encoding="utf-8",
    )
    file = read_yaml(path, "lines.yaml")
    assert file.value["merged"] == {"a": 1, "b": 3}
    places = {
        ("one",): 2,
        ("one", "a"): 2,
        ("many", 0): 4,
        ("many", 1, "deep", "deeper"): 6,
        ("merged", "b"): 9,
        ("merged", "a"): 7,  # no line of its own: the mapping's
        (7,): 10,
    }
    assert {place: file.origin(place) for place in places} == {p: f"lines.yaml:{line}" for p, line in places.items()}
    assert file.origin(("nowhere",)) == "lines.yaml"
