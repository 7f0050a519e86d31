"""`thicket status` says of a stage what DVC would do with it, and why."""

import json
import re
import shutil
from typing import Any

from lab import Lab


def stages(lab: Lab) -> dict[str, Any]:
    return {one["stage"]: one for one in lab.json("thicket", "status", "--json")["stages"]}


def own(found: dict[str, Any]) -> set[str]:
    """Those that have a reason of their own."""
    return {name for name, one in found.items() if any(reason["kind"] != "parent" for reason in one["why"])}


def by_dvc(lab: Lab) -> set[str]:
    """What DVC finds changed once the resolved configs are those of now."""
    lab.call("dvc", "repro", "-q", "compose")
    return set(lab.json("dvc", "status", "--json"))


def reasons(one: dict[str, Any]) -> list[tuple[str, str]]:
    return [(reason["kind"], reason["what"]) for reason in one["why"]]


def test_all_is_done(lab: Lab) -> None:
    found = lab.json("thicket", "status", "--json")
    assert found["counts"] == {"done": len(found["stages"])}
    assert found["dvc_yaml_in_step"]
    said = lab.call("thicket")
    assert "build/report/index.html " in said
    assert "thicket compare tiny opd" in said
    assert "✓ opd  opd of sort-grpo, reverse-grpo  scores ✓" in lab.call("thicket", "status")


def test_changed_values_and_code(lab: Lab) -> None:
    def more(declared: dict[str, Any]) -> None:
        declared["values"]["domain"]["reverse"]["length_penalty"] = 0.9

    lab.edit(more)
    path = lab.root / "thicket/methods/opd.py"
    path.write_text(path.read_text(encoding="utf-8") + "\nADDED = 1\n", encoding="utf-8")
    found = stages(lab)
    changed = {"kind": "config", "what": "domain.length_penalty", "before": 0.5, "after": 0.9}
    assert found["specialist-reverse-grpo"]["why"] == [changed]
    # The student's own domain has the penalty too.
    assert ("code", "thicket/methods/opd.py") in reasons(found["student-opd"])
    assert ("parent", "specialist-reverse-grpo is stale") in reasons(found["student-opd"])
    assert reasons(found["evaluate-opd"]) == [("parent", "student-opd is stale")]
    assert found["specialist-sort-grpo"]["state"] == "done"
    assert "length_penalty 0.5 → 0.9" in lab.call("thicket")
    # The report reads its models' configs, and is stale by the models before these are written.
    assert ("parent", "student-opd is stale") in reasons(found["report"])
    assert own(found) | {"report"} == by_dvc(lab)


def test_changed_and_lost_files(lab: Lab) -> None:
    # Of the same size, as an edit by hand may leave it.
    path = lab.root / "build/metrics/sort-long.json"
    text = re.sub(r"\d(?=[\d.]*,\n)", lambda found: str(9 - int(found[0])), path.read_text(encoding="utf-8"), count=1)
    path.unlink()
    path.write_text(text, encoding="utf-8")
    shutil.rmtree(lab.root / "build/models/soup")
    found = stages(lab)
    restored = "`dvc checkout specialist-sort-long` brings it back"
    changed = ("artifact", f"build/metrics/sort-long.json is not what the stage made: {restored}")
    assert changed in reasons(found["specialist-sort-long"])
    lost = ("artifact", "build/models/soup is missing: `dvc checkout student-soup` brings it back")
    assert reasons(found["student-soup"]) == [lost]
    assert found["student-soup"]["state"] == "missing"
    assert "dvc checkout" in lab.call("thicket")
    (lab.root / "build/models/sort-grpo/model.safetensors").unlink()
    for asked in (("export", "soup"), ("chat", "soup"), ("export", "sort-grpo"), ("evaluate", "model=soup")):
        stage = "specialist-sort-grpo" if "sort-grpo" in asked else "student-soup"
        assert f"`dvc checkout {stage}` brings it back" in lab.call("thicket", *asked, status=2)
    # DVC names a lost input with those who read it, and a changed one; here it is said of who makes it.
    assert own(found) <= by_dvc(lab)
    lab.call("dvc", "checkout", "--force")
    assert lab.json("thicket", "status", "--json")["counts"] == {"done": len(found)}


def test_versions_without_a_name_are_free_to_go(lab: Lab) -> None:
    def seeded(seed: int) -> None:
        def edit(declared: dict[str, Any]) -> None:
            declared["specialists"]["sort-grpo"]["seed"] = seed

        lab.edit(edit)
        lab.repro("specialist-sort-grpo")

    assert lab.json("thicket", "clean", "cache", "--json")["cache"]["can_free"] == 0
    seeded(5)  # of no commit and, in the end, not of the working tree
    found = stages(lab)
    assert found["specialist-sort-grpo"]["state"] == "done"
    assert ("input", "build/models/sort-grpo was made anew") in reasons(found["student-opd"])
    assert own(found) == by_dvc(lab)
    # Another config's model is not what the cache has.
    lab.edit(lambda declared: declared["specialists"]["sort-grpo"].update(seed=6))
    kept = (lab.root / "build/models/sort-grpo").rename(lab.root / "kept")
    found = stages(lab)["specialist-sort-grpo"]
    assert ("artifact", "build/models/sort-grpo is missing") in reasons(found)
    assert "student-opd is stale: input: build/models/sort-grpo was made anew and " in lab.call("thicket")
    kept.rename(lab.root / "build/models/sort-grpo")
    seeded(6)
    before = lab.json("thicket", "clean", "cache", "--json")["cache"]
    assert 0 < before["can_free"] < before["bytes"]
    assert "Freed" in lab.call("thicket", "clean", "--yes")
    after = lab.json("thicket", "clean", "cache", "--json")["cache"]
    assert after == {"bytes": before["bytes"] - before["can_free"], "can_free": 0, "freed": False, "kept_for": []}
    # The working tree's and HEAD's are there.
    shutil.rmtree(lab.root / "build/models/sort-grpo")
    lab.call("dvc", "checkout", "build/models/sort-grpo")
    assert json.loads((lab.root / "build/models/sort-grpo/provenance.json").read_text())["seed"] == 6
    lab.call("git", "checkout", "-q", ".")
    lab.call("dvc", "checkout", "--force")
    assert json.loads((lab.root / "build/models/sort-grpo/provenance.json").read_text())["seed"] == 0
