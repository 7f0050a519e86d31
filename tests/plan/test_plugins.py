"""Plug-ins: options of other packages, found by entry points, checked as thicket's own; their code is a dependency."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from commands import SAMPLE, Said

OPTION = '''
from typing import ClassVar, Literal

from thicket.config.fields import Positive, Strict


class Vowels(Strict):
    """At least so many vowels."""

    type: Literal["vowels"]
    CODE: ClassVar[str] = "toy_plugin.vowels"
    least: Positive = 2
    """Vowels."""
'''
METHOD = '''
from typing import ClassVar, Literal

from thicket.config.fields import Positive
from thicket.config.imitation import Sampled
from thicket.config.policy_gradient import GroupGradient


class Longest(Sampled):
    """Imitation of the longest correct sample."""

    type: Literal["longest"]
    CODE: ClassVar[str] = "toy_plugin.longest"


class Halves(GroupGradient):
    """A policy gradient."""

    type: Literal["halves"]
    CODE: ClassVar[str] = "toy_plugin.halves"
    steps: Positive
'''
CODE = """
from .letters import VOWELS


def verify(config, response, item):
    return sum(letter in VOWELS for letter in response) >= config.least
"""
FILES = {
    "__init__.py": "",
    "options.py": OPTION + METHOD.replace("from typing import ClassVar, Literal\n", ""),
    "vowels.py": CODE,
    "letters.py": 'VOWELS = "aeiou"\n',
    "halves.py": "import torch\n\n\nclass Halves:\n    pass\n",
    "longest.py": "import torch\n\n\ndef kept(config, samples):\n    return samples[:1]\n",
}
POINTS = """[thicket.verifiers]
vowels = toy_plugin.options:Vowels
[thicket.methods]
longest = toy_plugin.options:Longest
halves = toy_plugin.options:Halves
"""


class Toys:
    """The sample project, with a folder of plug-ins on Python's path."""

    def __init__(self, folder: Path):
        self.root, self.site = folder / "project", folder / "site"
        shutil.copytree(SAMPLE, self.root)
        self.package = self.site / "toy_plugin"
        self.package.mkdir(parents=True)
        for name, text in FILES.items():
            (self.package / name).write_text(text, encoding="utf-8")
        information = self.site / "toy_plugin-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-plugin\nVersion: 1\n", encoding="utf-8")
        self.points = information / "entry_points.txt"
        self.points.write_text(POINTS, encoding="utf-8")

    def use(self, verifier: str = "{type: vowels}", method: str = "") -> None:
        domain = self.root / "conf/domain/sort.yaml"
        lines = domain.read_text(encoding="utf-8").splitlines()
        kept = [line for line in lines if not line.startswith("verifier:")]
        domain.write_text("\n".join([*kept, f"verifier: {verifier}", ""]), encoding="utf-8")
        if method:
            (self.root / "conf/method/grpo.yaml").write_text(method, encoding="utf-8")

    def call(self, code: str) -> Said:
        path = os.pathsep.join([str(self.site), *filter(None, [os.environ.get("PYTHONPATH")])])
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def thicket(self, *arguments: str) -> Said:
        return self.call(f"import sys; from thicket.cli import main; sys.exit(main({list(arguments)}))")

    def composed(self) -> dict[str, dict[str, str]]:
        """Stage's file → its modules and their hashes."""
        said = self.call("from thicket.cli import main; assert main(['plan']) == main(['compose']) == 0")
        assert said.status == 0, said.err
        found = (self.root / "build/config").rglob("*.yaml")
        return {
            f"{path.parent.name}/{path.stem}": yaml.safe_load(path.read_text(encoding="utf-8"))["code"]
            for path in found
        }


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    return Toys(tmp_path)


def test_a_check_knows_the_option_and_loads_nothing_heavy(toys: Toys) -> None:
    toys.use("{type: vowels, least: 3}")
    said = toys.call("import sys; from thicket.cli import main; main(['check']); print('torch' in sys.modules)")
    assert said.out.endswith("run `thicket plan`.\nFalse\n"), said.err
    schema = json.loads(toys.thicket("config", "schema", "method").out)
    assert "Imitation of the longest correct sample." in json.dumps(schema)


@pytest.mark.parametrize(
    ("verifier", "words"),
    [
        ("{type: vowel}", ["domain.verifier.type = 'vowel': not one of the options", "did you mean: vowels"]),
        (
            "{type: rhyme}",
            [
                "nor a plug-in installed in this environment (thicket.verifiers: vowels of the package toy-plugin)",
                "allowed: choice, code, ",
            ],
        ),
        ("{type: vowels, least: 0}", ["domain.verifier.least = 0: out of range", "allowed: at least 1"]),
        ("{type: vowels, lest: 1}", ["domain.verifier.lest = 1: unknown key", "did you mean: least"]),
    ],
)
def test_its_mistakes_are_found_as_those_of_others(toys: Toys, verifier: str, words: list[str]) -> None:
    toys.use(verifier)
    said = toys.thicket("check")
    assert said.status == 2
    assert all(word in said.err for word in words), said.err


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ("[thicket.verifiers]\nvowels = toy_plugin.nothing:Vowels\n", "can't be loaded: ModuleNotFoundError"),
        ("[thicket.verifiers]\nother = toy_plugin.options:Vowels\n", 'its field `type` has to be Literal["other"]'),
        ("[thicket.verifiers]\nvowels = toy_plugin.letters:VOWELS\n", "has to be a class that derives from thicket"),
        ("[thicket.methods]\nvowels = toy_plugin.options:Vowels\n", "thicket.config.policy_gradient.PolicyGradient or"),
        (
            "[thicket.verifiers]\nvowels = toy_plugin.options:Vowels\n[thicket.sources]\nvowels = a:b\n",
            "can't be loaded",
        ),
    ],
)
def test_a_plug_in_that_is_at_fault_is_named(toys: Toys, points: str, words: str) -> None:
    toys.points.write_text(points, encoding="utf-8")
    said = toys.thicket("check")
    assert said.status == 2
    assert "entry point of the package toy-plugin: thicket." in said.err
    assert words in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("class Vowels", "clas Vowels", "can't be loaded: SyntaxError: invalid syntax ({folder}/options.py:"),
        ("steps: Positive", "step: Positive", "it needs a field `steps`: how many a training has"),
        ("class Vowels", "{}['a']\nclass Vowels", "can't be loaded: KeyError: 'a' ({folder}/options.py:"),
        ("toy_plugin.vowels", "toy_plugin.vowel", "its CODE names the module toy_plugin.vowel, which is"),
        ("toy_plugin.vowels", "toys.vowels", "its CODE names the module toys.vowels, which is not there"),
    ],
)
def test_what_is_wrong_with_its_code_is_found_by_a_check(toys: Toys, before: str, after: str, words: str) -> None:
    path = toys.package / "options.py"
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    said = toys.thicket("check")
    assert said.status == 2
    assert words.format(folder=toys.package) in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize("file", ["vowels.py", "letters.py"])
def test_code_that_is_no_python_is_found_by_a_check(toys: Toys, file: str) -> None:
    """Also where the option's own module only imports it; neither is loaded."""
    toys.use()
    path = toys.package / file
    path.write_text("\ndef verify(:\n", encoding="utf-8")
    for command in ("check", "status"):
        said = toys.thicket(command)
        assert said.status == 2
        assert said.err == f"{path}:2: SyntaxError: invalid syntax\n\n1 problem in the configuration.\n"


TWO = (
    "vowels.py:5: toy_plugin.vowels: the verifier `vowels` needs `verify(config, response, item)` or "
    "`judge(config, answered)`"
)
LONGEST = "type: longest\nsteps: 2\nbatch: 4\noptimizer: {lr: 1e-3}\nmicro_batch: 8\n"
HALVES = "type: halves\nsteps: 2\nprompts: 2\ngroup: 4\noptimizer: {lr: 1e-3}\nmicro_batch: 8\nselect_every: 2\n"


@pytest.mark.parametrize(
    ("file", "before", "after", "words"),
    [
        (
            "vowels.py",
            "def verify",
            "def verfy",
            "vowels.py:5: toy_plugin.vowels: the verifier `vowels` needs `verify(config, response, item)` or ",
        ),
        ("vowels.py", "verify(config, response, item)", "judge(config, answered)", ""),
        ("vowels.py", "config, response", "response", f"{TWO} here, not `verify(response, item)`\n"),
        ("vowels.py", "response, item", "response, item, more=1, *, other=2", ""),
        ("vowels.py", "config, response, item", "*given", ""),
        ("vowels.py", "item)", "item, *, more)", f"{TWO} here, not `verify(config, response, item, *, more)`\n"),
        ("vowels.py", "def verify", "if True:\n  def verify", ""),
        ("vowels.py", "def verify", "def __getattr__(name): ...\ndef verfy", ""),  # Only running it tells.
        ("longest.py", "def kept", "def keep", "longest.py:4: toy_plugin.longest: the method `longest` needs `kept("),
        (
            "halves.py",
            "class Halves",
            "class Halvs",
            "halves.py:4: toy_plugin.halves: the method `halves` needs the class `Halves` here, not `Halvs`\n",
        ),
        (
            "vowels.py",
            ".letters",
            ".leters",
            "vowels.py:2: toy_plugin.leters: there is no such module\n    did you mean: toy_plugin.letters\n",
        ),
        ("vowels.py", ".letters", "thicket.domains.itm", "vowels.py:2: thicket.domains.itm: there is no such module\n"),
        ("vowels.py", ".letters", "numpyy.linalg", "vowels.py:2: numpyy: there is no such package here\n"),
        ("vowels.py", "import VOWELS", "import VOWEL", "vowels.py:2: toy_plugin.letters: there is no VOWEL in it\n"),
        ("vowels.py", "from .letters", "from . import leters\nfrom .letters", "vowels.py:2: toy_plugin: there is no "),
        ("vowels.py", "from .letters", "from . import letters\nfrom .letters", ""),
    ],
)
def test_what_a_module_lacks_is_found_by_a_check(toys: Toys, file: str, before: str, after: str, words: str) -> None:
    toys.use(method=HALVES if file == "halves.py" else LONGEST)
    path = toys.package / file
    path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
    said = toys.thicket("check")
    assert (said.status, words in said.err) == (2 if words else 0, True), said.err
    if words:
        assert said.err.startswith(f"{toys.package}/{words}")


JUDGED = """
from thicket.domains.item import Item
from thicket.domains.registry import judge_of
from thicket.stages.launch import guarded
from toy_plugin import vowels
from toy_plugin.options import Vowels

print(guarded(lambda: judge_of(Vowels(type="vowels"))([("a", Item("1", "", "", 1))])))
print(guarded(lambda: vowels.verify(None, 1, None)))
print(guarded(lambda: Vowels(type="vowels").most))
guarded(lambda: 1 / 0)
"""


def test_an_error_in_its_code_is_a_line_with_the_codes_place(toys: Toys) -> None:
    """One of thicket's own keeps its traceback."""
    (toys.package / "vowels.py").write_text("def verify(config, response, item):\n    return response + 1 + config\n")
    said = toys.call(JUDGED)
    line = FILES["options.py"].splitlines().index("class Vowels(Strict):") + 1
    lines, place = said.err.splitlines(), f"({toys.package}/vowels.py:2)"
    wrong = "verifier vowels, item 1, response 'a': TypeError: can only concatenate str"
    assert lines[0].startswith(f"Error: {wrong}")
    assert lines[0].endswith(place)
    assert lines[1] == f"Error: TypeError: unsupported operand type(s) for +: 'int' and 'NoneType' {place}"
    assert (
        lines[2] == f"Error: AttributeError: 'Vowels' object has no attribute 'most' ({toys.package}/options.py:{line})"
    )
    assert (said.out, lines[3]) == ("1\n1\n1\n", "Traceback (most recent call last):")
    assert lines[-1] == "ZeroDivisionError: division by zero"


TRIED = """
import sys
from pathlib import Path
from thicket.config.project import Project
from thicket.domains.item import Item, write_items
from thicket.plan.pipeline import pipeline
from thicket.stages.launch import guarded
from thicket.stages.tried import try_verifiers

root = Path.cwd()
stage = next(one.resolved.stage for one in pipeline(Project(root)) if one.resolved.id == "specialist-sort-grpo")
(root / "build/data/sort").mkdir(parents=True, exist_ok=True)
write_items(root / "build/data/sort/train.jsonl", [Item("1", "sort 21=", "12", 1)])
status = guarded(lambda: try_verifiers(root, stage))
print("torch" in sys.modules)
sys.exit(status)
"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("verify(config, response, item):\n    return 1 / len(response) > 0", "item 1, response '': ZeroDivisionError"),
        ("verify(config, response, item):\n    return response[0] < item['a']", "item 1, response '12': TypeError"),
        ("judge(config, answered):\n    return [True for _ in answered]", "gave True among the verdicts"),
        ("judge(config, answered):\n    return {}['a']", "item 1: KeyError: 'a'"),
    ],
)
def test_a_verifiers_mistake_is_found_before_its_stage_begins(toys: Toys, body: str, words: str) -> None:
    toys.use()
    (toys.package / "vowels.py").write_text(f"def {body}\n", encoding="utf-8")
    said = toys.call(TRIED)
    assert (said.status, said.out) == (1, "False\n")
    assert said.err.startswith("Error: verifier vowels")
    assert words in said.err
    assert "(tried on sort before anything is trained or scored; the item's prompt: 'sort 21=')" in said.err


def test_what_a_verifier_says_of_the_trial_counts_for_nothing(toys: Toys) -> None:
    toys.use()
    wrong = "def verify(config, response, item):\n    print(repr(response))\n    return False\n"
    (toys.package / "vowels.py").write_text(wrong, encoding="utf-8")
    said = toys.call(TRIED)
    assert (said.status, said.out, said.err) == (0, "'12'\n''\n'x?'\nFalse\n", "")


def test_there_is_no_trial_without_a_plug_in_or_an_item(toys: Toys) -> None:
    (toys.package / "vowels.py").write_text("def verify(config, response, item):\n    return {}['a']\n")
    assert toys.call(TRIED).status == 0
    toys.use()
    assert toys.call(TRIED).status == 1
    assert toys.call(TRIED.replace('[Item("1", "sort 21=", "12", 1)]', "[]")).status == 0


def test_an_error_of_its_option_is_too(toys: Toys) -> None:
    toys.use()
    path = toys.package / "options.py"
    code = "    def model_post_init(self, context):\n        return {}['a']\n"
    path.write_text(path.read_text(encoding="utf-8").replace("    least:", f"{code}    least:"), encoding="utf-8")
    said = toys.thicket("check")
    assert (said.status, said.err.count("\n")) == (1, 1)
    assert said.err.startswith(f"Error: KeyError: 'a' ({path}:")


def test_a_methods_class_stands_elsewhere_than_its_option(toys: Toys) -> None:
    """They have one name; a verifier, and a method that has `kept` alone, may stand beside theirs."""
    path = toys.package / "options.py"
    text = re.sub(r"    CODE: .*\n", "", path.read_text(encoding="utf-8"))
    beside = "\n\ndef verify(config, response, item): ...\n\n\ndef kept(config, samples): ...\n"
    path.write_text(text + beside, encoding="utf-8")
    toys.use(method=LONGEST)
    assert toys.thicket("check").status == 0
    toys.use(method=HALVES)
    said = toys.thicket("check").err
    line = text.splitlines().index("class Halves(GroupGradient):") + 1
    wrong = "the method `halves` needs CODE, the module of its class: this is its option"
    assert said.startswith(f"{path}:{line}: toy_plugin.options: {wrong}\n")


def test_an_edit_of_its_code_touches_what_uses_it(toys: Toys) -> None:
    toys.use()
    before = toys.composed()
    assert {"toy_plugin.vowels", "toy_plugin.letters"} <= before["models/sort-grpo"].keys()
    assert "toy_plugin.vowels" not in before["data/sort"]
    assert "toy_plugin.options" not in before["models/sort-grpo"], "the resolved config speaks for it"
    (toys.package / "letters.py").write_text('VOWELS = "aeiouy"\n', encoding="utf-8")
    after = toys.composed()
    touched = {name for name in before if before[name] != after[name]}
    assert {"models/sort-grpo", "models/opd", "evaluate/tiny"} <= touched
    assert not {"data/sort", "models/reverse-grpo", "models/soup", "config/report"} & touched
    stages = yaml.safe_load((toys.root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    assert stages["compose"]["always_changed"], "DVC can't see that a plug-in's code changes"


def test_a_plug_in_that_nothing_uses_changes_nothing(toys: Toys) -> None:
    assert not any("toy_plugin" in name for code in toys.composed().values() for name in code)


def test_its_file_is_named_where_its_code_has_changed(toys: Toys) -> None:
    said = toys.call(
        "from thicket.plan.reasons import file_of as f; print(f('toy_plugin.vowels'), f('thicket.ops.noise'))"
    )
    assert (said.status, said.out.split()) == (0, ["toy_plugin/vowels.py", "thicket/ops/noise.py"])
