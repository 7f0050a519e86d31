"""How a card says that a model is asked."""

from pathlib import Path
from typing import Any

from commands import Command
from toys import stages

from thicket.commands.prompt_forms import UNSAID, prompt_forms
from thicket.config.domain import Prompt
from thicket.config.source import DatasetSource


def test_of_a_soup(made: Path, command: Command, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(made)
    assert command("export", "soup", "--out", str(tmp_path / "out")).status == 0
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8").partition("## Prompts\n\n")[2]
    first, second, *_ = card.splitlines()
    said = 'plain text, which the model goes on with: `"{question}="`; the answer ends at `"\\n"`'
    assert {first, second} == {f"- `sort`: {said}", f"- `reverse`: {said}"}


def test_chats_examples_and_prefixes(made: Path) -> None:
    known: dict[str, Any] = stages(made)
    data, specialist = known["data-sort"], known["specialist-sort-grpo"]

    def line(prefix: str, **values: Any) -> str:
        prompt = Prompt(**values)
        asked = data.model_copy(update={"domain": data.domain.model_copy(update={"prompt": prompt})})
        domain = specialist.domain.model_copy(update={"prefix": prefix, "stop": None})
        return prompt_forms([specialist.model_copy(update={"domain": domain})], {"sort": asked}, ["sort"])[0]

    assert line("Think. ", template="{question}`=", shots=2) == (
        '- `sort`: plain text, which the model goes on with: ``"Think. {question}`="``, after 2 solved examples, '
        '`"{prompt}{answer}\\n\\n"` each'
    )
    assert line("Think.", style="chat", system="Be kind.", shots=1) == (
        '- `sort`: a user\'s turn of the chat template: `"{question}"`, '
        'after the system turn `"Think.\\n\\nBe kind."`, after 1 solved example as turns'
    )
    assert prompt_forms([specialist], {}, []) == [UNSAID]
    rows: dict[str, Any] = {"type": "dataset", "data_files": ["a.csv"], "answer": "{a}"}

    def of_rows(question: str) -> str:
        source = DatasetSource.model_validate({**rows, "question": question})
        asked = data.model_copy(update={"domain": data.domain.model_copy(update={"source": source})})
        return prompt_forms([specialist], {"sort": asked}, ["sort"])[0]

    assert '; the question is made of a row by `"odd {digits}"`; the answer ends at ' in of_rows("odd {digits}")
    assert "of a row" not in of_rows("{digits}")
