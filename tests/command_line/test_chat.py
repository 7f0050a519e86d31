"""`thicket chat`: the model's own answers, token by token."""

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import Command, Said
from small_models import random_llama

from thicket.commands.talker import Talker
from thicket.config.run import Trainer
from thicket.methods.member import write_member
from thicket.models.answering import read_answering
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, decode, ends
from thicket.sampling.stream import stream

CHAT = "{% for turn in messages %}{{ turn['role'] }} {{ turn['content'] }}\n{% endfor %}assistant "


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("stops", [[], [3, 5, 8]])
def test_a_stream_is_what_decode_writes(temperature: float, stops: list[int]) -> None:
    model, prompt, decoding = random_llama(), [1, 4, 7], Decoding(temperature, most=40)
    for key in range(4):
        whole = decode(model, Rows([prompt], [0], 1), draws.keys_tensor([key]), decoding, ends([model], stops))
        assert list(stream(model, prompt, key, decoding, stops)) == whole.tokens_RT[0].tolist()


@pytest.fixture
def say(made: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lines from a pipe to a model of the toy project."""
    monkeypatch.chdir(made)

    def call(text: str, *arguments: str) -> Said:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        return command("chat", *arguments)

    return call


def test_equal_seeds_answer_alike(say: Any) -> None:
    said = say("sort 312=\n\nsort 312=\n/reset\nsort 312=\n", "soup", "--tokens", "12")
    assert (said.status, said.err) == (0, "")
    first, second, third = said.out.splitlines()
    assert first == third
    assert first != second
    assert say("sort 312=\n", "soup", "--tokens", "12", "--seed", "1").out != f"{first}\n"


def test_as_a_domain_asks(say: Any, made: Path) -> None:
    said = say("/temperature 0\nsort 312\n", "build/models/soup", "--domain", "sort")
    folder = made / "build/models/soup"
    model: Any = load_model(folder)
    tokenizer = load_tokenizer(folder)
    prompt = torch.tensor([tokenizer("sort 312=")["input_ids"]])
    model.generation_config.pad_token_id = 0
    written = model.generate(prompt, max_new_tokens=8, do_sample=False)[0, prompt.shape[1] :]
    assert said.out == tokenizer.decode(written, skip_special_tokens=True).split("\n")[0] + "\n"


@pytest.mark.parametrize("ending", ["", "/specialist"])
def test_a_run_by_its_folder(say: Any, made: Path, ending: str) -> None:
    run = made / "build/runs/specialist/own-12345678"
    shutil.copytree(made / "build/models/sort-grpo", run / "specialist")
    try:
        said = say("sort 312\n", f"build/runs/specialist/own-12345678{ending}", "--domain", "sort")
    finally:
        shutil.rmtree(run)
    assert (said.status, said.err) == (0, "")
    assert said.out == say("sort 312\n", "sort-grpo", "--domain", "sort").out


def test_a_folder_without_a_model(say: Any) -> None:
    said = say("", "build/models")
    assert (said.status, "model = 'build/models': there is no model in this folder" in said.err) == (2, True)


@pytest.mark.parametrize(("there", "name"), [("build/models", "build/models/soup"), ("build/runs", "own-12345678")])
def test_a_folder_of_models(say: Any, made: Path, there: str, name: str) -> None:
    run = made / "build/runs/specialist/own-12345678"
    shutil.copytree(made / "build/models/sort-grpo", run / "specialist")
    try:
        said = say("", there)
    finally:
        shutil.rmtree(run)
    assert (said.status, "did you mean" in said.err) == (2, False)
    assert "there is no model in this folder" in said.err
    assert name in said.err.partition("; in this one: ")[2]


def test_a_sweep_is_no_model(say: Any, made: Path) -> None:
    sweep = made / "build/runs/sweeps/2026-11-01_10-00-00-77"
    sweep.mkdir(parents=True)
    (sweep / "multirun.yaml").touch()
    said = say("", "build/runs/sweeps/2026-11-01_10-00-00-77")
    shutil.rmtree(sweep)
    assert f"a sweep: name one of its runs, which `thicket show {sweep.relative_to(made)}` lists" in said.err


def test_the_best_of_a_vote(say: Any, made: Path, tmp_path: Path) -> None:
    assert say("sort 312\n", "sort-randopt", "--domain", "sort").status == 0
    folder = made / "build/models/sort-randopt"
    way = read_answering(folder)
    assert way is not None
    write_member(made / "build/models/tiny", way, 1, tmp_path)
    talker = Talker(folder, made, way, None, Trainer(accelerator="cpu"))
    best = load_model(tmp_path).state_dict()
    assert all(torch.equal(tensor, best[name]) for name, tensor in talker.model.state_dict().items())
    assert talker.about.startswith("sort-randopt, the best of 2 members: ")


def test_a_chat_template_keeps_what_was_said(say: Any, made: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(made / "build/models/soup")
    tokenizer.chat_template = CHAT
    save_model(load_model(made / "build/models/soup"), tokenizer, tmp_path / "model")
    long = "longer than any context of a model for a few characters of a sort"
    said = say(f"a\nb\n/tokens 3\nc\n{long}\n", f"{tmp_path}/model", "--tokens", "9")
    assert len(said.out.splitlines()) == 4
    assert "leave no room in a context of 64: /reset forgets what was said" in said.err


def test_what_the_model_was_not_made_for_is_noted(say: Any) -> None:
    asked = f"sort 312\nSORT ü 312\nsort {'1' * 53}\nsort {'1' * 80}\nsort 312\n"
    said = say(asked, "soup", "--domain", "sort")
    lines = said.err.splitlines()
    assert lines[0] == "Note: the model's tokenizer doesn't know 'O' 'R' 'S' 'T' 'ü', which it can't tell apart"
    assert lines[1] == "Note: 60 tokens are more than the 16 that a prompt of sort has at most"
    assert lines[-1] == "Error: 87 tokens leave no room in a context of 64"
    assert len(said.out.splitlines()) == 5


def test_an_answer_that_the_context_cuts_off(say: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thicket.commands.talker.stream", lambda *given: iter([4] * given[3].most))
    said = say(f"sort {'1' * 52}\n/tokens 4\nsort 12\n", "soup")
    assert said.err == "Note: cut off, as the context of 64 tokens is full\n"


def test_commands_that_are_wrong(say: Any) -> None:
    said = say("/temprature 0\n/temperature hot\n/tokens 0\n/quit\nsort 1=\n", "soup")
    assert (said.status, said.out) == (0, "")
    lines = said.err.splitlines()
    assert lines[0] == "/temprature: unknown; did you mean /temperature? /help lists all."
    assert lines[1] == "/temperature: 'hot' is not a number from 0 on"
    assert lines[2] == "/tokens: '0' is not a whole number from 1 on"


def test_a_wrong_beginning(say: Any) -> None:
    said = say("", "soup", "--domain", "srot")
    assert (said.status, "did you mean: sort" in said.err) == (2, True)
    said = say("", "soup", "--domain", "odd")
    assert said.status == 2
    assert "conf/domain/odd.yaml is there, but not declared: add odd to `domains` in params.yaml" in said.err
    assert say("", "soup", "--temperature", "-1").status == 2
