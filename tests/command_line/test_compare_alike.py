"""Scores of which some domains' can't be held against each other: `thicket compare` and `show` have the others'."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line_scores import ALWAYS, CORRECT, NEVER, SOMETIMES
from commands import Command
from reporting_run import SETTINGS, figures, write_items

from thicket.config.yamlfile import to_yaml, values_of

DOMAINS = ["sort", "reverse", "third"]
REMEDY = "to score them by the tests of now: `dvc repro evaluate-tiny evaluate-opd`"


@pytest.fixture
def three(scored: Path) -> Path:
    """The sample project with a third domain, which `reverse-grpo` is not scored on."""
    folder, params = scored / "conf/domain", scored / "params.yaml"
    text = (folder / "reverse.yaml").read_text(encoding="utf-8")
    (folder / "third.yaml").write_text(text.replace("name: reverse", "name: third"), encoding="utf-8")
    declared = values_of(params.read_text(encoding="utf-8")) | {"domains": DOMAINS}
    params.write_text(to_yaml(declared), encoding="utf-8")
    for name in set(CORRECT) - {"reverse-grpo"}:
        write_scores(scored, name, CORRECT[name] | {"third": ALWAYS})
    return scored


def write_scores(root: Path, name: str, correct: dict[str, list[int]], **settings: Any) -> None:
    folder = root / f"build/evaluation/{name}"
    scores = {domain: figures(counts) for domain, counts in correct.items()}
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    metrics |= {"settings": {**SETTINGS, **settings}, "domains": scores}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    write_items(folder / "items.csv", correct)


def note_tests(root: Path, name: str, **verifiers: str) -> None:
    """Which verifiers an evaluation notes; of the other domains `same`."""
    tests = {domain: {"verifier": verifiers.get(domain, "same")} for domain in DOMAINS}
    (root / f"build/evaluation/{name}/test.json").write_text(json.dumps(tests), encoding="utf-8")


def compared(command: Command, *sides: str) -> dict[str, Any]:
    said = command("compare", *sides, "--json")
    assert (said.status, said.err) == (0, "")
    return json.loads(said.out)


def rows(pairs: list[dict[str, Any]], figure: str = "pass@1") -> dict[str, list[str]]:
    """Each row's name → what it is over."""
    return {pair["domain"]: pair["over"] for pair in pairs if pair["figure"] == figure}


@pytest.fixture
def apart(three: Path) -> Path:
    """`tiny` and `opd` judged by other verifiers on `sort`."""
    for name in ("tiny", "opd"):
        note_tests(three, name, sort=name)
    return three


def test_a_domain_that_was_judged_otherwise_is_left_out(apart: Path, command: Command) -> None:
    found = compared(command, "tiny", "opd")
    assert rows(found["scores"]) == {"reverse": ["reverse"], "third": ["third"], "mean": ["reverse", "third"]}
    (mean,) = (one for one in found["scores"] if (one["domain"], one["figure"]) == ("mean", "pass@1"))
    assert mean["left"]["value"] == pytest.approx((sum(SOMETIMES) + sum(ALWAYS)) / 96)
    assert mean["difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    why = "opd is not scored as tiny is (another verifier)"
    assert found["left_out"] == found["comparisons"][0]["left_out"] == [{"domains": ["sort"], "why": why}]
    assert (found["scores_missing"], found["comparisons"][0]["remedy"]) == (None, REMEDY)
    said = command("compare", "tiny", "opd")
    assert said.status == 0
    assert f"\nNot compared: on sort, {why}; {REMEDY}.\n" in said.out
    assert [line.split("  ")[0] for line in said.out.splitlines()[1:4]] == ["reverse", "third", "mean without sort"]


def test_of_the_mean_of_few_is_said_which(apart: Path, command: Command) -> None:
    (apart / "conf/domain/fourth.yaml").write_text(
        (apart / "conf/domain/third.yaml").read_text(encoding="utf-8").replace("third", "fourth"), encoding="utf-8"
    )
    params = apart / "params.yaml"
    declared = values_of(params.read_text(encoding="utf-8")) | {"domains": [*DOMAINS, "fourth"]}
    params.write_text(to_yaml(declared), encoding="utf-8")
    out = command("compare", "tiny", "opd").out
    assert "\nmean of reverse and third  pass@1 " in out
    assert "on sort, opd is not scored as tiny is (another verifier); on fourth, tiny and opd have no scores; to" in out


def test_a_domain_that_one_is_not_scored_on(three: Path, command: Command) -> None:
    found = compared(command, "tiny", "reverse-grpo")
    assert list(rows(found["scores"])) == ["sort", "reverse", "mean"]
    assert found["left_out"] == [{"domains": ["third"], "why": "reverse-grpo has no scores"}]


def test_items_that_only_one_has(three: Path, command: Command) -> None:
    write_scores(three, "opd", {"sort": ALWAYS, "reverse": [*SOMETIMES, 4], "third": ALWAYS})
    (left,) = compared(command, "tiny", "opd")["left_out"]
    assert left == {"domains": ["reverse"], "why": "opd is not scored as tiny is (1 item that only one has)"}


def test_which_scores_there_are_is_not_how_they_were_made(three: Path, command: Command) -> None:
    write_scores(three, "opd", dict.fromkeys(DOMAINS, ALWAYS), ks=[1, 4])
    assert compared(command, "tiny", "opd")["left_out"] == []


def test_where_no_domain_is_left_nothing_is_compared(three: Path, command: Command) -> None:
    write_scores(three, "opd", dict.fromkeys(DOMAINS, ALWAYS), samples=8)
    wrong = f"on sort, reverse and third, opd is not scored as tiny is (samples 8, not 4); {REMEDY}"
    found = compared(command, "tiny", "opd")
    assert (found["scores"], found["settings"], found["scores_missing"]) == (None, None, wrong)
    said = command("compare", "tiny", "opd")
    assert (said.status, f"No scores to compare: {wrong}\n" in said.out) == (0, True)


def test_each_side_has_the_domains_that_it_shares_with_the_first(apart: Path, command: Command) -> None:
    write_scores(apart, "soup", dict.fromkeys(DOMAINS, NEVER), samples=8)
    found = compared(command, "tiny", "opd", "sort-grpo", "soup")
    assert [list(rows(one["scores"])) for one in found["comparisons"]] == [
        ["reverse", "third", "mean"],
        ["sort", "reverse", "third", "mean"],
        [],
    ]
    lines = [line.split("  ")[0] for line in command("compare", "tiny", "opd", "sort-grpo", "soup").out.splitlines()]
    heads = [head for head in lines[1:] if head]
    assert heads[:5] == ["sort", "reverse", "third", "mean without sort", "mean"]
    out = command("compare", "tiny", "opd", "sort-grpo", "soup").out
    assert out.count("Not compared: ") == 2


def test_a_side_that_is_not_scored_is_left_out(three: Path, command: Command) -> None:
    found = compared(command, "tiny", "mixed", "opd")
    assert [one["left_out"] for one in found["comparisons"]] == [
        [{"domains": DOMAINS, "why": "mixed is not scored yet"}],
        [],
    ]
    assert (found["scores"], found["scores_missing"], found["settings"]["samples"]) == ([], None, 4)
    out = command("compare", "tiny", "mixed", "opd").out
    wrong = "on sort, reverse and third, mixed is not scored yet; `dvc repro evaluate-mixed` does it"
    assert f"\nNot compared: {wrong}.\n" in out
    assert "mixed" not in out.split("4 samples an item")[0]
    out = command("compare", "mixed", "tiny", "opd").out
    assert "No scores to compare: mixed is not scored yet: `dvc repro evaluate-mixed` does it\n" in out


def test_seeds_of_one_side_that_are_not_scored_alike(three: Path, command: Command) -> None:
    params = three / "params.yaml"
    declared = values_of(params.read_text(encoding="utf-8"))
    student = declared["students"]["opd"]
    params.write_text(
        to_yaml({**declared, "students": {"s0": student, "s1": {**student, "seed": 1}}}), encoding="utf-8"
    )
    for name, verifier in (("s0", "one"), ("s1", "another")):
        (three / f"build/evaluation/{name}").mkdir()
        (three / f"build/evaluation/{name}/metrics.json").write_text("{}", encoding="utf-8")
        write_scores(three, name, dict.fromkeys(DOMAINS, ALWAYS))
        note_tests(three, name, third=verifier)
    found = compared(command, "tiny", "s?")
    assert list(rows(found["scores"])) == ["sort", "reverse", "mean"]
    assert found["left_out"] == [
        {"domains": ["third"], "why": "s1 is not scored as tiny and s0 are (another verifier)"}
    ]


def test_show_has_the_differences_from_the_base_that_there_are(apart: Path, command: Command) -> None:
    found = json.loads(command("show", "opd", "--json").out)
    assert list(rows(found["against_base"])) == ["reverse", "third", "mean"]
    assert found["against_base_missing"] == f"on sort, opd is not scored as tiny is (another verifier); {REMEDY}"
    said = command("show", "opd")
    assert said.status == 0
    (sort,) = (line for line in said.out.splitlines() if line.startswith("sort ") and "100.0" in line)
    assert "  —  " in sort
    assert f"\nNot held against tiny: {found['against_base_missing']}.\n" in said.out
