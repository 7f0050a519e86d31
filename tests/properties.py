"""Properties that hold for any input: pytest asks a few examples of each, `python tests/fuzz.py` as many as it can.

Bad input is a message with a place, or it is sound: never a traceback, never a hang.
"""

import contextlib
import io
import json
import os
import re
import shutil
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from commands import SAMPLE
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from thicket.cli import main
from thicket.config.overrides import combinations, parse
from thicket.config.problems import UNSEEN, ConfigError, printable
from thicket.config.source import CountdownSource, DatasetSource, ProceduralSource
from thicket.config.verifier import Verifier
from thicket.domains.files import read_rows
from thicket.domains.item import Item, RawItem, read_items, write_items
from thicket.domains.registry import judge_of, raw_items
from thicket.plan.adhoc import stage_from

UNCHECKED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
"""What Hypothesis would say of examples that take long."""
SECONDS = 30
"""What an example may take, on a busy machine."""
ran: Counter[tuple[str, str]] = Counter()
"""Property, and what came of it → examples."""
Property = Callable[[settings], None]
"""Looks at as many examples as the settings say."""
PROPERTIES: dict[str, Property] = {}


def examined(check: Callable[..., str], *arguments: st.SearchStrategy[Any]) -> None:
    """Adds a property; `check` says what came of an example."""

    def one(values: tuple[Any, ...]) -> None:
        with in_time():
            ran[check.__name__, check(*values)] += 1

    # A function of its own for each time: Hypothesis gives settings to one just once.
    PROPERTIES[check.__name__] = lambda chosen: chosen(given(st.tuples(*arguments))(lambda values: one(values)))()


@contextlib.contextmanager
def in_time() -> Iterator[None]:
    """Raises: TimeoutError where the block hangs."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@cache
def folder() -> Path:
    """A folder that goes with this process."""
    kept = tempfile.TemporaryDirectory()
    folder.__dict__["kept"] = kept
    return Path(kept.name)


TEXTS = st.text(max_size=60) | st.text("0123456789.,-+/*=()$\\{}[]<>|&;:'\"`%^_# \n\t", max_size=60)
WORDS = st.sampled_from(
    ["tiny", "sort", "sort-grpo", "opd", "grpo", "???", "${oc.env:HOME}", "${seed}", "_target_", "os.system",
     "../x", "",
     "\u202e", "\x1b[31m", "null", "1e5", "yes", "type", "defaults", "_self_", "-", "a.b", "a: b", "[", "é\u0301",
     "\ufeff"]
)  # fmt: skip
NUMBERS = st.integers() | st.floats() | st.sampled_from([0, -1, 1, 2**31, 2**63, 2**64, 10**30, 1e308, 5e-324, 0.5])
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS | TEXTS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | TEXTS, inner, max_size=4), max_leaves=8
)


# -- configs -----------------------------------------------------------------------------------------------------------


@cache
def files() -> dict[str, str]:
    """The sample project's files, by their paths."""
    paths = [path for path in SAMPLE.rglob("*.yaml") if "experiment" not in path.parts]
    return {path.relative_to(SAMPLE).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where values stand in a tree."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from places(part, (*at, key))


def mutated_value(whole: Any, at: int, how: str, key: Any, value: Any) -> Any:
    """A tree with one value or key of it changed."""
    tree = {"": whole}
    *way, last = list(places(tree))[1:][at % (len(list(places(tree))) - 1)]
    parent: Any = tree
    for step in way:
        parent = parent[step]
    if how == "delete" and way:
        del parent[last]
    elif how == "rename" and isinstance(parent, dict) and way:
        parent[key] = parent.pop(last)
    elif how == "add" and isinstance(parent[last], dict):
        parent[last][key] = value
    elif how == "add" and isinstance(parent[last], list):
        parent[last].append(value)
    elif how == "twice" and isinstance(parent, list):
        parent.append(parent[last])
    else:
        parent[last] = value
    return tree[""]


def said(*arguments: str) -> tuple[int, str, str]:
    """What a command ended with and printed, in the folder's project."""
    out, err = io.StringIO(), io.StringIO()
    here = Path.cwd()
    os.chdir(folder() / "project")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(list(arguments))
    except SystemExit as left:
        status = int(left.code or 0)
    finally:
        os.chdir(here)
    return status, out.getvalue(), err.getvalue()


def check_project(name: str, content: bytes) -> str:
    """`thicket check`, and `thicket plan` where that finds nothing, with one file of another content."""
    root = folder() / "project"
    if not root.is_dir():
        shutil.copytree(SAMPLE, root)
    (root / name).write_bytes(content)
    try:
        status, _, err = said("check")
        if status == 0:
            status, _, err = said("plan")
            assert status in (0, 2), err
    finally:
        (root / name).write_text(files()[name], encoding="utf-8")
    assert status in (0, 2), (status, err)
    if status == 2:
        first = err.splitlines()[0]
        assert re.match(r"(conf/[\w/-]+\.yaml|params\.yaml|override|\(default\)).*: ", first), first
        assert re.search(r"\n\d+ problems? in the configuration\.\n$", err), err
        assert_seen(err)
    return "refused" if status else "sound"


def assert_seen(text: str) -> None:
    """No sign steers a terminal, or hides or turns others."""
    assert printable(text) == text


def a_changed_file_of_a_project(name: str, at: int, how: str, key: Any, value: Any) -> str:
    tree = mutated_value(yaml.safe_load(files()[name]), at, how, key, value)
    return check_project(name, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


ODDITIES = st.sampled_from(
    [b"\xef\xbb\xbf", b"\0", b"\r\n", b"\xff\xfe", b"\t", b"&a ", b"*a", b"<<: *a", b"!!python/object:os.x ",
     b"!!int x",
     b"!!set {a}", b"? ", b": ", b"- ", b"---\n", b"...\n", b"%TAG ! x\n", b"{", b"}", b"[", b"]", b"'", b'"',
     b"#", b"|\n",
     b">-\n", b"\xc2\x85", b"\xe2\x80\xa8", b"&a [*a, *a]", b"0x" + b"f" * 2000, b"9" * 5000, b"  ", b"\n", b"@",
     b"`"]
)  # fmt: skip


def a_file_of_a_project_with_odd_text(name: str, cuts: list[tuple[int, int, bytes]]) -> str:
    content = files()[name].encode()
    for at, length, put in cuts:
        start = at % (len(content) + 1)
        content = content[:start] + put + content[start + length :]
    return check_project(name, content)


FILES = st.deferred(lambda: st.sampled_from(list(files())))
examined(
    a_changed_file_of_a_project,
    FILES,
    st.integers(0, 500),
    st.sampled_from(["set", "set", "delete", "rename", "add", "twice"]),
    WORDS | TEXTS | st.integers(0, 9),
    VALUES,
)
examined(
    a_file_of_a_project_with_odd_text,
    FILES,
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 12), ODDITIES | st.binary(max_size=6)), max_size=3),
)

KEYS = st.sampled_from(
    ["domain", "method", "method.steps", "method.optimizer.lr", "teachers", "name", "seed", "base", "sampler",
     "trainer",
     "sampler.batch", "domain.window", "effort", "objective", "hydra.sweep.dir", "method.a.b", "evaluation",
     "budget_of"]
)  # fmt: skip
GRAMMAR = st.sampled_from(
    ["sort", "reverse", "grpo", "opd", "[sort-grpo]", "1", "1e-3", "1,2", "{a:1}", "{a:{b:[1,2]}}", "null", "''",
     "'${x}'",
     "${oc.env:HOME}", "range(1,4)", "range(1,1e9)", "choice(1,2)", "interval(0,1)", "tag(a,1)", "sort(2,1)",
     "shuffle(1,2)",
     "int('x')", "str(1)", "glob(*)", "9" * 5000, "[" * 50, "inf", "nan", "true", "a b", "\\,", '"', "é",
     "\x1b[1m", "\ud800"]
)  # fmt: skip


def overrides_of_a_stage(kind: str, prefix: str, pairs: list[tuple[str, str]]) -> str:
    root = folder() / "project"
    if not root.is_dir():
        shutil.copytree(SAMPLE, root)
    try:
        overrides, _ = parse([f"{prefix}{key}={value}" for key, value in pairs])
        for chosen in islice(combinations(overrides), 3):
            stage_from(root, kind, chosen)
    except ConfigError as error:
        assert_seen(str(error))
        assert error.problems
        return "refused"
    return "sound"


examined(
    overrides_of_a_stage,
    st.sampled_from(["base", "specialist", "student", "evaluate", "data"]),
    st.sampled_from(["", "", "", "+", "++", "~", " "]),
    st.lists(st.tuples(KEYS | TEXTS, GRAMMAR | TEXTS), min_size=1, max_size=4),
)


# -- verifiers ---------------------------------------------------------------------------------------------------------

QUESTION = "A farmer has 12 cows and buys 30 more. How many cows has she?"
RULES = [
    {"kind": "punctuation:no_comma", "arguments": {}},
    {"kind": "detectable_format:json_format", "arguments": {}},
    {"kind": "length_constraints:number_words", "arguments": {"relation": "at least", "num_words": 3}},
    {"kind": "detectable_format:number_bullet_lists", "arguments": {"num_bullets": 2}},
]
JUDGED: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "exact": ({"type": "exact"}, "42", {}),
    "number": ({"type": "number"}, "42", {}),
    "first number": ({"type": "number", "which": "first", "tolerance": 0.5}, "-1,234.5", {}),
    "choice": ({"type": "choice"}, "B", {}),
    "words": ({"type": "choice", "options": ["yes", "no"], "which": "last"}, "no", {}),
    "countdown": ({"type": "countdown"}, "", {"numbers": [3, 7, 25], "target": 46}),
    "writing": ({"type": "writing", "words": {"least": 3}, "alphabet": "LATIN", "distinct": 0.5}, "", {}),
    "instructions": ({"type": "instructions", "mode": "loose"}, "", {"instructions": RULES}),
}
PIECES = st.sampled_from(
    ["42", "B", "no", "\\boxed{", "}", "<answer>", "</answer>", "25 + 3 * 7", "answer is ", "####", "$",
     "\\frac{1}{2}",
     "1e999", "1/0", "٤٢", "４２", "²", "\u202e", "\0", "\ud800", "𝟒𝟐", "e\u0301", "\n\n", "* ", "- ", "{\"a\": 1}",
     "9" * 5000,
     "(" * 300, "-" * 300, "not ", "either ", ":", "\\text{", "^{", "_8", "[", "]", "<<", ">>", "P.S.", "******",
     "\u2028"]
)  # fmt: skip
RESPONSES = st.lists(PIECES | TEXTS, max_size=8).map("".join)


def any_response_has_a_verdict(name: str, response: str) -> str:
    config, answer, reference = JUDGED[name]
    item = Item("0" * 16, QUESTION, answer, 1, reference)
    judge = judge_of(verifier(json.dumps(config)))
    first, again = judge([(response, item)]), judge([(response, item)])
    assert first == again
    assert isinstance(first[0].correct, bool)
    return "right" if first[0].correct else "wrong"


@cache
def verifier(config: str) -> Verifier:
    return TypeAdapter(Verifier).validate_json(config)


examined(any_response_has_a_verdict, st.sampled_from(sorted(JUDGED)), RESPONSES)


def a_mathematical_response_has_a_verdict(responses: list[str]) -> str:
    item = Item("0" * 16, QUESTION, r"\boxed{42}", 1)
    judge = judge_of(verifier('{"type": "math", "seconds": 2}'))
    found = judge([(response, item) for response in responses])
    assert [one.correct for one in found] == [one.correct for one in judge([(text, item) for text in responses])]
    return "right" if any(one.correct for one in found) else "wrong"


examined(a_mathematical_response_has_a_verdict, st.lists(RESPONSES, min_size=1, max_size=6))


def a_task_knows_its_answer(task: str, seed: int, at: int, put: str) -> str:
    source = ProceduralSource.model_validate({"type": "procedural", "task": task, "levels": [2, 3, 5]})
    (raw,) = islice(raw_items(source, seed), 1)
    place = at % (len(raw.answer) + 1)
    other = raw.answer[:place] + put + raw.answer[place + 1 :]
    right, wrong = verdicts("exact", raw, raw.answer, other)
    assert right
    assert wrong is (other.strip() == raw.answer)
    return "right" if wrong else "wrong"


def verdicts(kind: str, raw: RawItem, *responses: str, **fields: Any) -> list[bool]:
    item = Item("0" * 16, raw.question, raw.answer, raw.level, raw.reference)
    judge = judge_of(verifier(json.dumps({"type": kind, **fields})))
    return [one.correct for one in judge([(response, item) for response in responses])]


TASKS = ["sort", "reverse", "add", "count", "odd", "shift", "swap", "double", "unique", "largest", "nines", "mirror"]
examined(a_task_knows_its_answer, st.sampled_from(TASKS), st.integers(0, 10**6), st.integers(0, 99), TEXTS)


def a_countdown_knows_its_target(seed: int, off: int) -> str:
    source = CountdownSource.model_validate({"type": "countdown", "levels": [2, 3, 4]})
    (raw,) = islice(raw_items(source, seed), 1)
    moved = RawItem(raw.question, "", 1, {**raw.reference, "target": raw.reference["target"] + off})
    shown = f"So:\n<answer>{raw.answer} = {raw.reference['target']}</answer>"
    assert verdicts("countdown", raw, raw.answer, shown, f"{raw.answer} + 1", f"{raw.answer} - 0") == [
        True, True, False, False,
    ]  # fmt: skip
    assert verdicts("countdown", moved, raw.answer) == [off == 0]
    return "right"


examined(a_countdown_knows_its_target, st.integers(0, 10**6), st.integers(-5, 5))


def a_number_is_itself_and_no_other(number: int, off: int) -> str:
    raw = RawItem("?", f"{number}", 1)
    ways = [f"{number}", f"{number:,}", f"It is ${number}.", f"#### {number}", f"7 and {number}.0", f"{number}/1"]
    assert verdicts("number", raw, *ways) == [True] * len(ways)
    assert not any(
        verdicts("number", raw, f"{number + off}", f"{number}.5", f"{number}^2", f"{number} then {number + off}")
    )
    return "right"


examined(a_number_is_itself_and_no_other, st.integers(-(10**40), 10**40), st.integers(1, 10**20))

LETTERS = "ABCD"
AROUND = st.sampled_from(["{}", "({})", "{}.", "The answer is {}.", "\\boxed{{{}}}", "answer: {}", "**{}**"])


def a_choice_is_itself_and_no_other(right: str, given_: str, around: str) -> str:
    found = verdicts("choice", RawItem("?", right, 1), around.format(given_), options=LETTERS)
    assert found == [right == given_]
    return "right" if right == given_ else "wrong"


examined(a_choice_is_itself_and_no_other, st.sampled_from(LETTERS), st.sampled_from(LETTERS), AROUND)


# -- rows of data ------------------------------------------------------------------------------------------------------


def rows_of_a_file(suffix: str, rows: list[Any], template: str) -> str:
    path = folder() / f"rows.{suffix}"
    path.write_text("\n".join(map(json.dumps, rows)) if suffix == "jsonl" else json.dumps(rows), encoding="utf-8")
    source = {"type": "dataset", "data_files": str(path), "question": template, "answer": "{a}"}
    return read(DatasetSource.model_validate(source))


def read(source: DatasetSource) -> str:
    """Items out of a source, by way of the file that the data stage writes; the message where it has none."""
    try:
        found = [Item("0" * 16, raw.question, raw.answer, raw.level) for raw in raw_items(source, 0)]
    except ValueError as error:
        assert "rows." in str(error), error
        return "refused"
    write_items(folder() / "items.jsonl", found)
    assert read_items(folder() / "items.jsonl") == found
    return "sound"


COLUMNS = st.dictionaries(
    st.sampled_from(["q", "a", "b.c", "", "é"]), VALUES | st.sampled_from(["\ud800", "\0"]), max_size=4
)
TEMPLATES = st.sampled_from(["{q}", "{q} {b}", "{q.0}", "{b.c}", "{q.type.0}", "{{q}}", "{q} {"])
examined(rows_of_a_file, st.sampled_from(["json", "jsonl"]), st.lists(COLUMNS | VALUES, max_size=4), TEMPLATES)


def bytes_as_a_file(suffix: str, content: bytes) -> str:
    path = folder() / f"rows.{suffix}"
    path.write_bytes(content)
    try:
        return "sound" if all(row.place for row in read_rows(str(path))) else "?"
    except ValueError as error:
        assert "rows." in str(error), error
        return "refused"


ROWS_BYTES = (
    st.binary(max_size=80)
    | st.lists(st.sampled_from([b'"', b",", b"\n", b"\r", b"\0", b"a", b"\xff", b'{"a": 1}', b"[", b"]",
    b"[" * 2000]), max_size=12).map(b"".join)
    | st.binary(max_size=80).map(lambda middle: b"PAR1" + middle + b"\x08\0\0\0PAR1")
)  # fmt: skip
examined(bytes_as_a_file, st.sampled_from(["json", "jsonl", "csv", "parquet"]), ROWS_BYTES)


# -- what people see ---------------------------------------------------------------------------------------------------


def text_for_a_terminal(text: str) -> str:
    shown = printable(text)
    assert not any(sign != "\n" and sign != "\t" for sign in shown if _category(sign) in UNSEEN)
    shown.encode()
    return "as it is" if shown == text else "with codes"


def _category(sign: str) -> str:
    import unicodedata

    return unicodedata.category(sign)


examined(text_for_a_terminal, RESPONSES)
