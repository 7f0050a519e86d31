"""dvc.yaml as a graph: what stages need, which can begin, and what a failure stops."""

from pathlib import Path

from toys import ROOT

from thicket.plan.dag import Node, Schedule, behind, read_dag
from thicket.plan.dvclock import forget_removed, locked_stages, put_in_order


def graph(**needs: str) -> dict[str, Node]:
    """`graph(a="", b="a")`: b needs a."""
    return {name: Node(f"{name}.yaml", frozenset(one.split())) for name, one in needs.items()}


FORK = graph(data="", base="", one="data base", two="base", both="one two", table="both", alone="data")


def test_stages_need_those_whose_outputs_they_read() -> None:
    found = read_dag(ROOT)
    assert "compose" not in found
    assert found["data-sort"] == Node("build/config/data/sort.yaml", frozenset(), ("build/data/sort",))
    assert found["specialist-sort-grpo"].needs == {"data-sort", "base-tiny"}
    assert {"base-tiny", "specialist-sort-grpo", "specialist-odd-grpo", "data-odd"} <= found["student-opd"].needs
    assert "evaluate-opd" in found["report"].needs
    assert all(found.keys() >= one.needs for one in found.values())


def test_what_a_stage_rests_on() -> None:
    assert behind(FORK, ["two"]) == ["base", "two"]
    assert behind(FORK, ["both"]) == ["data", "base", "one", "two", "both"]


def test_the_longest_way_goes_first() -> None:
    schedule = Schedule(FORK)
    assert schedule.ready() == ["data", "base"]
    schedule.done = {"data", "base"}
    assert schedule.ready() == ["one", "two", "alone"]
    schedule.running = {"one"}
    assert schedule.ready() == ["two", "alone"]
    schedule.done |= {"one", "two"}
    assert schedule.ready() == ["both", "alone"]


def test_a_failure_stops_what_needs_it_alone() -> None:
    schedule = Schedule(FORK, done={"data", "base", "two"}, failed={"one"})
    assert schedule.ready() == ["alone"]
    assert schedule.skipped() == ["both", "table"]


def test_new_stages_in_dvc_lock_follow_the_order_of_dvc_yaml(tmp_path: Path) -> None:
    entry = '  {0}:\n    cmd: exec {0}\n    params:\n      a.yaml:\n        text: "x\\n\\n"\n'
    path = tmp_path / "dvc.lock"

    def write(*names: str) -> str:
        return "schema: '2.0'\nstages:\n" + "".join(entry.format(name) for name in names)

    path.write_text(write("old", "first"), encoding="utf-8")
    before = locked_stages(tmp_path)
    path.write_text(write("old", "first", "new-c", "new-a", "stray", "new-b"), encoding="utf-8")
    put_in_order(tmp_path, before, ["first", "new-a", "new-b", "new-c", "old"])
    assert path.read_text(encoding="utf-8") == write("old", "first", "new-a", "new-b", "new-c", "stray")


def test_what_is_declared_no_more_leaves_the_others_lines_as_they_are(tmp_path: Path) -> None:
    lock, text = tmp_path / "dvc.lock", (ROOT / "dvc.lock").read_text(encoding="utf-8")
    lock.write_text(text, encoding="utf-8")
    declared = locked_stages(tmp_path)
    forget_removed(tmp_path, declared)
    assert lock.read_text(encoding="utf-8") == text
    forget_removed(tmp_path, [name for name in declared if name != "student-soup"])
    assert locked_stages(tmp_path) == [name for name in declared if name != "student-soup"]
    before, after = text.splitlines(), lock.read_text(encoding="utf-8").splitlines()
    begins, ends = before.index("  student-soup:"), before.index("  student-soup:") + len(before) - len(after)
    assert after == before[:begins] + before[ends:]
    forget_removed(tmp_path, ["compose-no-more"])
    assert not lock.exists(), "an empty one DVC would refuse"
