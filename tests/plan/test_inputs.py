"""Files and folders that a config names: what `check`, `plan`, `compose` and a repro refuse or note of them."""

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest
import yaml
from commands import Command

from thicket.config.source import DatasetSource
from thicket.config.yamlfile import to_yaml
from thicket.domains.sources.dataset import raw_items
from thicket.plan.by_hand import BY_DVC
from thicket.warm import OWNER

FILES = "source: {type: dataset, data_files: [data/a.jsonl, data/b.csv], question: '{q}', answer: '{a}'}"


def test_files_that_are_not_there(sample: Path, command: Command) -> None:
    domain = sample / "conf/domain/sort.yaml"
    lines = domain.read_text(encoding="utf-8").splitlines()
    domain.write_text("\n".join(FILES if line.startswith("source") else line for line in lines), encoding="utf-8")
    (sample / "data").mkdir()
    (sample / "data/b.csv").touch()
    note = "Note: data/a.jsonl is not there, which data-sort reads (conf/domain/sort.yaml:2).\n"
    for name in ("check", "plan"):
        said = command(name)
        assert said.status == 0
        assert note in said.out
        assert said.out.count("Note") == 1
    (sample / "data/a.jsonl").touch()
    assert "Note" not in command("check").out


@pytest.mark.parametrize("field", ["answer", "demonstration"])
def test_a_template_that_says_the_same_of_every_row_is_noted(sample: Path, command: Command, field: str) -> None:
    domain = sample / "conf/domain/sort.yaml"
    lines = domain.read_text(encoding="utf-8").splitlines()
    source = "source: {type: dataset, data_files: a.csv, question: '{q}', answer: '{a}', demonstration: '{a}'}"
    (sample / "a.csv").write_text("q,a\nx,y\n", encoding="utf-8")

    def declared(text: str) -> str:
        domain.write_text("\n".join(text if line.startswith("source") else line for line in lines), encoding="utf-8")
        said = command("check")
        assert said.status == 0
        return said.out

    assert "Note" not in declared(source)
    noted = (
        f"Note: domain sort: all rows have the same {field}, 'no', which names no column in braces "
        "(conf/domain/sort.yaml:2).\n"
    )
    assert declared(source.replace(f"{field}: '{{a}}'", f"{field}: 'no'")).count(noted) == 1


def test_models_that_are_declared_twice(sample: Path, command: Command) -> None:
    """Those of an equal model too, and none with another value or seed."""
    params = sample / "params.yaml"
    declared = yaml.safe_load(params.read_text(encoding="utf-8"))
    product = declared["products"][0]
    declared["products"] += [{**product, "prefix": "s0", "seed": 0}, {**product, "prefix": "s1", "seed": 1}]
    declared["students"]["again"] = {**declared["students"]["soup"], "teachers": ["s0-sort-grpo", "reverse-grpo"]}
    declared["students"]["other"] = {**declared["students"]["soup"], "teachers": ["s1-sort-grpo", "reverse-grpo"]}
    params.write_text(to_yaml(declared), encoding="utf-8")
    for name in ("check", "plan"):
        notes = [line.partition(" under ")[0] for line in command(name).out.splitlines() if line.startswith("Note: ")]
        assert notes == [
            "Note: s0-sort-grpo is sort-grpo",
            "Note: s0-reverse-grpo is reverse-grpo",
            "Note: again is soup",
        ]


ROW = '{"q": "x", "a": "y", "worked": "z"}'


@pytest.mark.parametrize(
    ("file", "row", "more", "wrong"),
    [
        ("rows.txt", ROW, "answer: '{a}'", "data_files = 'rows.txt': unknown type of file; allowed: .json, .jsonl, "),
        ("rows.csv", "q;a\nx;y\n", "answer: '{a}'", "data_files = 'rows.csv': one column, 'q;a': the separator seems"),
        ("rows.jsonl", ROW, "answer: a", "answer = 'a': a column's name without braces, which stands for itself in"),
        ("rows.jsonl", ROW, "answer: '{a}', demonstration: worked", "demonstration = 'worked': a column's name"),
        ("rows.jsonl", ROW, "answer: 'yes'", ""),
        ("rows.csv", "q\nx\n", "answer: '{q}'", ""),
    ],
)
def test_what_a_files_name_and_its_first_row_tell(
    sample: Path, command: Command, file: str, row: str, more: str, wrong: str
) -> None:
    """Here, and where the data is made."""
    domain = sample / "conf/domain/sort.yaml"
    source = f"source: {{type: dataset, data_files: {file}, question: '{{q}}', {more}}}"
    lines = domain.read_text(encoding="utf-8").splitlines()
    domain.write_text("\n".join(source if line.startswith("source") else line for line in lines), encoding="utf-8")
    (sample / file).write_text(row, encoding="utf-8")
    said = command("check")
    assert said.status == (2 if wrong else 0)
    assert not wrong or f"conf/domain/sort.yaml:2: domain.source.{wrong}" in said.err
    read = DatasetSource.model_validate(yaml.safe_load(source)["source"])
    with pytest.raises(ValueError, match=wrong[:5]) if wrong else nullcontext():
        list(raw_items(read, 0))


CHOICES = """\
source:
  type: dataset
  data_files: [a.jsonl, b.csv]
  question: '{quastion.stem} {choices}'
  answer: '{key}'
  demonstration: '{wrok}'
  choices: {text: [one, tow], label: labels}
  reference: {tests: tset}
  level: level
"""


def test_sft_wants_something_to_imitate(sample: Path, command: Command) -> None:
    domain, params = sample / "conf/domain/sort.yaml", sample / "params.yaml"
    declared = yaml.safe_load(params.read_text(encoding="utf-8"))
    shutil.copy(Path(__file__).parents[2] / "conf/method/sft.yaml", sample / "conf/method")
    declared["products"][0]["methods"] = ["sft"]
    declared["students"] = declared["analyses"] = {}
    params.write_text(to_yaml(declared), encoding="utf-8")
    lines = domain.read_text(encoding="utf-8").splitlines()

    def said(more: str) -> tuple[int, str]:
        rows = "type: dataset, data_files: a.csv, question: '{q}', reference: {numbers: n, target: t}"
        source = f"source: {{{rows}{more}}}"
        judged = {"source": source, "verifier": "verifier: {type: countdown}"}
        domain.write_text("\n".join(judged.get(line.partition(":")[0], line) for line in lines), encoding="utf-8")
        checked = command("check")
        return checked.status, checked.err

    status, wrong = said("")
    assert status == 2
    assert "conf/method/sft.yaml:2: method = 'sft': the rows of sort have neither domain.source.demo" in wrong
    assert said(", answer: '{a}'") == (0, "")


def test_columns_that_the_files_lack(sample: Path, command: Command) -> None:
    domain = sample / "conf/domain/sort.yaml"
    lines = domain.read_text(encoding="utf-8").splitlines()
    kept = "\n".join(line for line in lines if not line.startswith("source"))
    domain.write_text(f"{kept}\n{CHOICES}", encoding="utf-8")
    columns = ["question", "key", "work", "one", "two", "labels", "test", "level"]
    (sample / "a.jsonl").write_text(json.dumps(dict.fromkeys(columns, "1")) + "\n{broken", encoding="utf-8")
    (sample / "b.csv").write_text(",".join([*columns, "wrok"]) + "\n" + "1," * len(columns) + "1\n", encoding="utf-8")
    said = command("check")
    assert said.status == 2
    lines = said.err.splitlines()
    assert [line.partition(": ")[2] for line in lines if "has no column" in line] == [
        "domain.source.question = '{quastion.stem} {choices}': a.jsonl has no column 'quastion.stem'",
        "domain.source.question = '{quastion.stem} {choices}': b.csv has no column 'quastion.stem'",
        "domain.source.demonstration = '{wrok}': a.jsonl has no column 'wrok'",
        "domain.source.choices.text[1] = 'tow': a.jsonl has no column 'tow'",
        "domain.source.choices.text[1] = 'tow': b.csv has no column 'tow'",
        "domain.source.reference.tests = 'tset': a.jsonl has no column 'tset'",
        "domain.source.reference.tests = 'tset': b.csv has no column 'tset'",
    ]
    assert "    allowed: question, key, work, one, two, labels, test, level" in lines
    assert [line for line in lines if "did you mean: two" in line]


def test_files_without_a_row_that_can_be_read_are_the_data_stages(sample: Path, command: Command) -> None:
    domain = sample / "conf/domain/sort.yaml"
    lines = domain.read_text(encoding="utf-8").splitlines()
    domain.write_text("\n".join(FILES if line.startswith("source") else line for line in lines), encoding="utf-8")
    (sample / "data").mkdir()
    for text in ("", "[1, 2]\n", "no JSON", "\xff\x00"):
        (sample / "data/a.jsonl").write_bytes(text.encode("latin-1"))
        (sample / "data/b.csv").write_bytes(b"q,a\n")
        assert command("check").status == 0


def folder_base(root: Path, *files: str) -> Path:
    """Declares a base in a folder with such files: named, with nothing in them but a config's braces."""
    folder = root / "models/mine"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("{}", encoding="utf-8")
    (root / "conf/base/folder.yaml").write_text("type: folder\npath: ???\ncontext: ???\n", encoding="utf-8")
    path = root / "params.yaml"
    mine = {"base": "folder", "set": {"base.path": "models/mine", "base.context": 64}}
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    declared["bases"]["mine"] = mine
    path.write_text(to_yaml(declared), encoding="utf-8")
    return folder


WHOLE = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.mark.parametrize(
    ("files", "faults"),
    [
        (("config.json", "pytorch_model.bin", "tokenizer.json"), ["pytorch_model.bin is a pickle"]),
        ((*WHOLE[:2], "tokenizer_config.json"), ["no tokenizer here (no tokenizer.json"]),
        (WHOLE[1:], ["no config here (no config.json file)"]),
        ((*WHOLE, "adapter_config.json"), ["adapters (adapter_config.json)"]),
        ((), ["no model here", "no config here", "no tokenizer here"]),
    ],
    ids=["pickle", "no tokenizer", "no config", "adapters", "empty"],
)
@pytest.mark.parametrize("name", ["check", "plan", "compose"])
def test_model_folders_are_looked_into(
    sample: Path, command: Command, name: str, files: tuple[str, ...], faults: list[str]
) -> None:
    folder_base(sample, *files)
    before = (sample / "dvc.yaml").is_file()
    said = command(name)
    assert said.status == 2
    assert len([line for line in said.err.splitlines() if "base.path = 'models/mine': " in line]) == len(faults)
    assert all(fault in said.err for fault in faults)
    assert "used by: base mine" in said.err
    assert (sample / "dvc.yaml").is_file() == before


def test_a_context_that_a_folders_model_is_too_short_for(sample: Path, command: Command) -> None:
    config = folder_base(sample, *WHOLE) / "config.json"
    for fits in ({"max_position_embeddings": 64}, {"n_positions": 8}, {"text_config": {"max_position_embeddings": 64}}):
        config.write_text(json.dumps(fits), encoding="utf-8")
        assert command("check").status == 0
    config.write_text(json.dumps({"max_position_embeddings": 63}), encoding="utf-8")
    said = command("check")
    assert said.status == 2
    assert "base.context = 64: the model was made for 63 tokens\n    allowed: at most 63\n" in said.err


def test_specialists_that_are_not_scored_on_their_domain(sample: Path, command: Command) -> None:
    params = sample / "params.yaml"
    declared = yaml.safe_load(params.read_text(encoding="utf-8"))
    assert "not scored on its domain" not in command("check").out
    params.write_text(to_yaml({**declared, "domains": ["sort"]}), encoding="utf-8")
    said = command("check").out
    note = "Note: reverse-grpo is not scored on its domain reverse, which `domains` does not list.\n"
    assert said.count("not scored on its domain") == said.count(note) == 1


def test_whole_and_missing_model_folders(sample: Path, command: Command) -> None:
    """A plan may be for another machine."""
    folder = folder_base(sample, *WHOLE)
    assert command("check").status == 0
    folder.rename(sample / "elsewhere")
    said = command("check")
    assert (said.status, said.out) == (2, "")
    assert "base.path = 'models/mine': there is no such folder\n    used by: base mine\n" in said.err
    assert "Note: models/mine is not there, which base-mine reads" in command("plan").out
    folder.write_text("a file", encoding="utf-8")
    assert "a file, not the folder of a model" in command("check").err
    params = sample / "params.yaml"
    made_here = params.read_text(encoding="utf-8").replace("models/mine", "build/models/tiny")
    params.write_text(made_here, encoding="utf-8")
    assert command("check").status == 0


def test_dvc_composes_where_the_bases_are(sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `check` refuses; a person may compose for another machine, and take the folder along."""
    folder_base(sample, *WHOLE).rename(sample / "elsewhere")
    assert command("plan").status == 0
    said = command("compose")
    assert (said.status, said.err) == (0, "")
    assert said.out.endswith("Note: models/mine is not there, which base-mine reads (params.yaml:12).\n")
    composed = {path: path.read_bytes() for path in (sample / "build/config").rglob("*.yaml")}
    monkeypatch.setenv(BY_DVC, str(sample))
    said = command("compose")
    assert (said.status, said.out, said.err) == (2, "", command("check").err)
    assert {path: path.read_bytes() for path in (sample / "build/config").rglob("*.yaml")} == composed


def test_a_repro_plans_nothing_that_check_refuses(
    sample: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OWNER, "0")  # which a repro sets for its process, and which goes again so
    assert command("plan").status == 0
    planned = (sample / "dvc.yaml").read_bytes()
    folder_base(sample, *WHOLE).rename(sample / "elsewhere")
    said = command("repro")
    assert (said.status, said.err) == (2, command("check").err)
    assert (sample / "dvc.yaml").read_bytes() == planned


def test_a_judges_folder_is_looked_into(sample: Path, command: Command) -> None:
    domain = sample / "conf/domain/sort.yaml"
    text = domain.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.startswith(("verifier", "source"))]
    lines += ["source: {type: dataset, data_files: a.jsonl, question: '{q}'}"]
    lines += ["verifier: {type: writing, judge: {folder: judge, template: '{question} {response}'}}"]
    domain.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (sample / "judge").mkdir()
    (sample / "judge/model.bin").touch()
    said = command("check")
    assert said.status == 2
    assert "verifier.judge.folder = 'judge': no model here (no *.safetensors file); model.bin is a pickle" in said.err
