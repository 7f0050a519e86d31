"""Programs in responses, and the unit tests of the code benchmarks, in the form in which they are run."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from thicket.config.sandbox import Sandbox
from thicket.config.verifier import CODE_TESTS
from thicket.domains.item import Item
from thicket.domains.sandbox.run import run_program

_FENCE = re.compile(r"^([ \t]*)```[ \t]*(\w*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE)
_DOES = re.compile(r"^\s*(?:async\s+def|def|class)\s|\binput\s*\(|\bstdin\b|^\s*\w+\s*=\s*lambda\b", re.MULTILINE)
"""What a program has that is tested: a definition, or a look at its input."""
_PYTHON = ("python", "python3", "py")
_FUNCTIONAL = """
import json

def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value

for _given, _expected in json.loads({cases!r}):
    assert _plain({function}(*_given)) == _plain(_expected)
"""
"""LiveCodeBench's comparison of what a method returns: a tuple is as good as a list."""

Cases = list[dict[str, str]]


@dataclass(frozen=True)
class Job:
    """A program and what it is tested by, as JSON can hold it."""

    program: str
    tests: str | None = None
    """Source of the tests; null: the program is run as a whole, on each of the cases."""
    cases: Cases = field(default_factory=list)
    """`input` and `output` of whole runs."""

    @property
    def runs(self) -> int:
        """How often the program is started."""
        return max(1, len(self.cases))


def program_in(response: str) -> str:
    """The last block of Python in the response, else the last block without a language, else all of it.

    A block that defines something or reads the input goes before one that merely shows how to use it. One that the
    response's end cuts off counts too. A block within a list is indented, and so are its lines: by as much they move.
    """
    blocks = [(match[2].lower(), _moved(match[3], match[1])) for match in _FENCE.finditer(response)]
    for languages in (_PYTHON, ("",)):
        fitting = [text for language, text in blocks if language in languages]
        if fitting:
            return next((text for text in reversed(fitting) if _DOES.search(text)), fitting[-1])
    return response


def _moved(block: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in block.splitlines(keepends=True))


def job(program: str, prelude: str, item: Item) -> Job:
    """A program with an item's tests. Raises: ValueError where the item has none, or not in a form known here.

    Forms of `item.reference`: MBPP's `tests` (lines, or text) with `setup`; HumanEval's `check`, `entry_point` and
    `prompt`; LiveCodeBench's `functional` with `function`, or `stdin`.
    """
    reference = item.reference
    kinds = [kind for kind in CODE_TESTS if reference.get(kind)]
    if len(kinds) != 1:
        wrong = f"its reference has the tests {', '.join(kinds) or 'none'}"
        raise ValueError(f"item {item.id}: {wrong}; the verifier `code` needs just one of: {', '.join(CODE_TESTS)}")
    (kind,) = kinds
    try:
        if kind == "stdin":
            return Job(
                prelude + program, None, [{key: case[key] for key in ("input", "output")} for case in reference[kind]]
            )
        if kind == "tests":
            return Job(prelude + program, f"{_text(reference.get('setup', ''))}\n{_text(reference['tests'])}")
        if kind == "check":
            name = reference["entry_point"]
            return Job(prelude + _completed(reference["prompt"], program, name), f"{reference['check']}\ncheck({name})")
        return Job(prelude + program, _functional(reference["functional"], reference["function"], program))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"item {item.id}: its `{kind}` can't be read: {type(error).__name__}: {error}") from None


def _text(lines: str | Iterable[str]) -> str:
    return lines if isinstance(lines, str) else "\n".join(lines)


def _completed(prompt: str, program: str, name: str) -> str:
    """The whole function again after the prompt, whose imports and helpers it may need, or a prompt's continuation."""
    whole = re.search(rf"^def {re.escape(name)}\b", program, re.MULTILINE)
    return f"{prompt}\n{program}" if whole else prompt + program


def _functional(cases: Cases, function: str, program: str) -> str:
    """Each line of an input is an argument, and the output is a value, as JSON."""
    values = [
        [[json.loads(line) for line in case["input"].split("\n") if line.strip()], json.loads(case["output"])]
        for case in cases
    ]
    method = re.search(r"^class Solution\b", program, re.MULTILINE)
    called = f"Solution().{function}" if method else function
    return _FUNCTIONAL.format(cases=json.dumps(values), function=called)


def run_job(job: dict[str, Any], sandbox: dict[str, Any], tolerance: float) -> dict[str, Any]:
    """Runs a `Job`, as a worker does it: `correct`, and the `reason` why not. The first case that fails is the last.

    job, sandbox: the fields of `Job` and of `thicket.config.sandbox.Sandbox`.
    """
    work, box = Job(**job), Sandbox.model_validate(sandbox)
    if work.tests is not None:
        ending = run_program(work.program, box, work.tests)
        return {"correct": ending.passed, "reason": ending.reason}
    for case in work.cases:
        ending = run_program(work.program, box, given=case["input"])
        if not ending.passed:
            return {"correct": False, "reason": ending.reason}
        if not same_output(ending.output, case["output"], tolerance):
            return {"correct": False, "reason": "wrong answer"}
    return {"correct": True, "reason": ""}


def same_output(output: str, expected: str, tolerance: float) -> bool:
    """The same lines, white space around each and empty lines at the ends aside; with a tolerance, the same words.

    Words are the same where their texts are, or where both are numbers that differ by at most the tolerance.
    """
    found, wanted = ([line.strip() for line in text.strip().splitlines()] for text in (output, expected))
    if found == wanted or tolerance == 0.0:
        return found == wanted
    pairs = [(line.split(), other.split()) for line, other in zip(found, wanted, strict=False)]
    return len(found) == len(wanted) and all(
        len(words) == len(others) and all(_same(*pair, tolerance) for pair in zip(words, others, strict=True))
        for words, others in pairs
    )


def _same(word: str, other: str, tolerance: float) -> bool:
    try:
        return word == other or abs(float(word) - float(other)) <= tolerance
    except ValueError:
        return False
