"""The examples of docs/migrating.md: each is a sound project, and a merge gives mergekit's weights."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from commands import Command
from safetensors.torch import load_file

ROOT = Path(__file__).parents[1]
MODELS = ("start", "teacher", "base", "sorter", "reverser")


@dataclass(frozen=True)
class Example:
    """A project that the page shows: the text of its files, by their names, and the other blocks of its part."""

    name: str
    files: dict[str, str]
    others: tuple[str, ...]


def examples() -> list[Example]:
    """One for every params.yaml of the page, with the files that its part shows before."""
    found = []
    for part in re.split(r"^##+ ", (ROOT / "docs/migrating.md").read_text(encoding="utf-8"), flags=re.M)[1:]:
        files, others = dict[str, str](), list[str]()
        for text in re.findall(r"^```yaml\n(.*?)^```", part, flags=re.M | re.S):
            named = re.match(r"# (\S+\.yaml)\n", text)
            if named is None:
                others.append(text)
            else:
                files[named[1]] = text
                if named[1] == "params.yaml":
                    name = f"{part.splitlines()[0]}, {yaml.safe_load(text)['experiment']}"
                    found.append(Example(name, dict(files), tuple(others)))
    return found


EXAMPLES = {example.name: example for example in examples()}


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page takes as given: models in folders, near one another, and a file of data."""
    from thicket.config.base import Architecture
    from thicket.models.characters import character_tokenizer
    from thicket.models.folder import save_model
    from thicket.models.scratch import fresh_model

    root, tokenizer = tmp_path_factory.mktemp("given"), character_tokenizer()
    size = Architecture(layers=1, width=16, heads=2, mlp_width=24, context=2048)
    for number, name in enumerate(MODELS):
        model, generator = fresh_model(size, tokenizer, seed=0), torch.Generator().manual_seed(number)
        for weight in model.parameters():
            weight.data.add_(0.01 * torch.randn(weight.shape, generator=generator))
        save_model(model, tokenizer, root / "models" / name)
    (root / "data").mkdir()
    rows = [(f"{number:04}", f"{number:04}"[::-1]) for number in range(100)]
    lines = [json.dumps({"prompt": f"reverse {asked}=", "answer": right, "completion": right}) for asked, right in rows]
    (root / "data/train.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return root


def project(example: Example, given: Path, root: Path) -> Path:
    """A project with the library of choices that ships, and an example's files over it."""
    shutil.copytree(ROOT / "conf", root / "conf")
    shutil.copytree(given, root, dirs_exist_ok=True)
    for name, text in example.files.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_every_tool_has_an_example() -> None:
    tools = {name.split(",")[0].split(":")[0] for name in EXAMPLES}
    assert tools == {
        "From TRL",
        "From prime-rl",
        "From mergekit",
        "From RandOpt's repository",
        "From lightning-hydra-template",
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_sound(
    name: str, given: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project(EXAMPLES[name], given, tmp_path / "project"))
    assert command("plan").status == 0
    said = command("check")
    assert (said.status, said.err) == (0, "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # mergekit's own, of numpy.core
def test_the_merges_give_mergekits_weights(given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mergekit.config import MergeConfiguration
    from mergekit.merge import run_merge
    from mergekit.options import MergeOptions
    from toys import run

    example = EXAMPLES["From mergekit, merges"]
    root = project(example, given, tmp_path / "project")
    monkeypatch.chdir(root)
    ties: dict[str, Any] = yaml.safe_load(example.others[0])
    plain = [{**one, "parameters": {"weight": one["parameters"]["weight"]}} for one in ties["models"]]
    theirs = {
        "ties": ties,
        "task-arithmetic": {**ties, "merge_method": "task_arithmetic", "models": plain},
        "linear": {**ties, "merge_method": "linear", "models": plain, "base_model": None, "parameters": None},
    }
    run(root, "base-base", "base-sorter", "base-reverser", *(f"student-{name}" for name in theirs))
    for name, config in theirs.items():
        run_merge(MergeConfiguration.model_validate(config), f"merged/{name}", MergeOptions(write_model_card=False))
        wanted = load_file(root / "merged" / name / "model.safetensors")
        found = load_file(root / "build/models" / name / "model.safetensors")
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], wanted[key]) for key in wanted), name
        start = load_file(given / "models/base/model.safetensors")
        assert not any(torch.equal(found[key], start[key]) for key in wanted), name
