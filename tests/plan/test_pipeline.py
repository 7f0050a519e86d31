"""dvc.yaml: written from the declarations, the same each time, and changed just where they change."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command

from thicket.config.project import Project
from thicket.plan.dvcfile import dvcfile, out_of_step
from thicket.plan.pipeline import pipeline

Edit = Callable[[dict[str, Any]], None]


def planned(root: Path) -> dict[str, Any]:
    return yaml.safe_load(dvcfile(root, pipeline(Project(root))))


@pytest.fixture
def edit(sample: Path) -> Callable[[Edit], tuple[dict[str, Any], dict[str, Any]]]:
    """A function that edits params.yaml and returns the stages of dvc.yaml before and after."""

    def change(how: Edit) -> tuple[dict[str, Any], dict[str, Any]]:
        before, path = planned(sample)["stages"], sample / "params.yaml"
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
        how(declared)
        path.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
        return before, planned(sample)["stages"]

    return change


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """Names of the stages that are there both times, and differ."""
    return {name for name in before.keys() & after.keys() if before[name] != after[name]}


def test_stages(sample: Path) -> None:
    stages = planned(sample)["stages"]
    models = {"base-tiny", "specialist-sort-grpo", "specialist-reverse-grpo"}
    models |= {"student-opd", "student-soup", "student-mixed"}
    scores = {f"evaluate-{name.partition('-')[2]}" for name in models}
    assert set(stages) == {"compose", "data-sort", "data-reverse", "report", *models, *scores}
    assert stages["student-opd"] == {
        "cmd": "exec thicket run build/config/models/opd.yaml",
        "deps": [
            "build/models/tiny",
            "build/models/sort-grpo",
            "build/models/reverse-grpo",
            "build/data/sort",
            "build/data/reverse",
        ],
        "params": [{"build/config/models/opd.yaml": None}],
        "outs": ["build/models/opd", "build/metrics/opd.json", "build/curves/opd.csv"],
    }
    assert stages["student-soup"]["deps"] == [f"build/models/{name}" for name in ("tiny", "sort-grpo", "reverse-grpo")]
    assert stages["student-mixed"]["deps"][:2] == ["build/models/tiny", "build/models/opd"]
    assert "deps" not in stages["data-sort"]


def test_every_dependency_is_made_by_another_stage_before(sample: Path) -> None:
    made = {"params.yaml", "conf", "thicket"}
    for name, stage in planned(sample)["stages"].items():
        for path in map(Path, stage.get("deps", [])):
            assert made & {place.as_posix() for place in (path, *path.parents)}, name
        assert not made & set(stage["outs"]), name
        made |= set(stage["outs"])


def test_the_report_reads_all_that_models_leave(sample: Path) -> None:
    reads = planned(sample)["stages"]["report"]["deps"]
    assert [path for path in reads if path.startswith("build/curves/")] == [
        f"build/curves/{name}.csv" for name in ("tiny", "sort-grpo", "reverse-grpo", "opd", "mixed")
    ]
    assert len(reads) == 4 * 6 + 5  # folder, scores, ledger and config of six models


def test_a_report_on_some_models_reads_what_these_are_made_of(edit: Callable[[Edit], Any]) -> None:
    _, after = edit(lambda declared: declared.update(report=["opd"]))
    models = {path.removeprefix("build/models/") for path in after["report"]["deps"] if "build/models/" in path}
    assert models == {"tiny", "sort-grpo", "reverse-grpo", "opd"}
    assert "build/curves/mixed.csv" not in after["report"]["deps"]
    assert "student-mixed" in after


def test_metrics_plots_and_artifacts(sample: Path) -> None:
    written = planned(sample)
    models = ["tiny", "sort-grpo", "reverse-grpo", "opd", "soup", "mixed"]
    assert written["metrics"] == [
        *(f"build/evaluation/{name}/metrics.json" for name in models),
        *(f"build/metrics/{name}.json" for name in models),
    ]
    assert written["plots"][0] == "build/report/budget.png"
    assert [name for plot in written["plots"][1:] for name in plot] == ["selection", "scores"]
    kinds = ["base", "specialist", "specialist", "student", "student", "student"]
    assert written["artifacts"] == {
        **{
            name: {"path": f"build/models/{name}", "type": "model", "labels": [kind]}
            for name, kind in zip(models, kinds, strict=True)
        },
        **{
            f"scores-{name}": {"path": f"build/evaluation/{name}", "type": "dataset", "labels": ["evaluation"]}
            for name in models
        },
    }


def test_planning_again_changes_nothing(sample: Path, command: Command) -> None:
    first = command("plan")
    assert "dvc.yaml is written: 15 stages, after compose." in first.out
    text = (sample / "dvc.yaml").read_bytes()
    again = command("plan")
    assert "dvc.yaml is as it was: 15 stages, after compose." in again.out
    assert (sample / "dvc.yaml").read_bytes() == text


def test_out_of_step(sample: Path, edit: Callable[[Edit], Any]) -> None:
    def stale() -> bool:
        return out_of_step(sample, pipeline(Project(sample)))

    assert stale()
    (sample / "dvc.yaml").write_text(dvcfile(sample, pipeline(Project(sample))), encoding="utf-8")
    assert not stale()
    edit(lambda declared: declared["values"]["method"]["grpo"].update(steps=9))
    assert not stale()  # a value is none of the graph's business
    edit(lambda declared: declared["students"].pop("soup"))
    assert stale()


# -- changes of the graph ----------------------------------------------------------------------------------------------


def test_a_new_specialist(edit: Callable[[Edit], Any]) -> None:
    node = {"base": "tiny", "domain": "sort", "method": "grpo-gentle"}
    before, after = edit(lambda declared: declared.update(specialists={"gentle": node}))
    assert after.keys() - before.keys() == {"specialist-gentle", "evaluate-gentle"}
    assert before.keys() <= after.keys()
    assert changed(before, after) == {"report"}


def test_a_specialist_less(edit: Callable[[Edit], Any]) -> None:
    def without_reverse(declared: dict[str, Any]) -> None:
        declared["products"][0]["domains"] = ["sort"]
        declared["students"]["opd"]["teachers"] = ["sort-grpo"]
        declared["students"]["soup"]["teachers"] = ["sort-grpo"]

    before, after = edit(without_reverse)
    assert before.keys() - after.keys() == {"specialist-reverse-grpo", "evaluate-reverse-grpo"}
    assert changed(before, after) == {"student-opd", "student-soup", "report"}


def test_a_domain_more(sample: Path, edit: Callable[[Edit], Any]) -> None:
    text = (sample / "conf/domain/sort.yaml").read_text(encoding="utf-8")
    (sample / "conf/domain/odd.yaml").write_text(text.replace("sort", "odd"), encoding="utf-8")
    before, after = edit(lambda declared: declared["domains"].append("odd"))
    assert after.keys() - before.keys() == {"data-odd"}
    assert changed(before, after) == {name for name in before if name.startswith("evaluate-")}


def test_a_second_round(edit: Callable[[Edit], Any]) -> None:
    def again(declared: dict[str, Any]) -> None:
        declared["specialists"] = {
            "sort-again": {"base": "opd", "domain": "sort", "method": "grpo"},
            "sort-then": {"base": "sort-grpo", "domain": "reverse", "method": "grpo"},
        }
        teachers = ["sort-again", {"model": "opd", "domain": "reverse"}]
        declared["students"]["round2"] = {"base": "opd", "method": "opd", "teachers": teachers}

    before, after = edit(again)
    assert after["specialist-sort-again"]["deps"] == ["build/models/opd", "build/data/sort"]
    assert after["specialist-sort-then"]["deps"] == ["build/models/sort-grpo", "build/data/reverse"]
    assert after["student-round2"]["deps"] == [
        "build/models/opd",
        "build/models/sort-again",
        "build/data/sort",
        "build/data/reverse",
    ]
    names = list(after)
    assert names.index("student-opd") < names.index("specialist-sort-again") < names.index("student-round2")
    assert changed(before, after) == {"report"}


def test_a_model_trained_elsewhere(sample: Path, edit: Callable[[Edit], Any]) -> None:
    (sample / "conf/base/folder.yaml").write_text("type: folder\npath: ???\ncontext: ???\n", encoding="utf-8")

    def far(declared: dict[str, Any]) -> None:
        declared["bases"]["far"] = {"base": "folder", "set": {"base.path": "models/far", "base.context": 48}}
        declared["specialists"] = {"far-sort": {"base": "far", "domain": "sort", "method": "grpo"}}

    _, after = edit(far)
    assert after["specialist-far-sort"]["deps"] == ["build/models/far", "build/data/sort"]
    assert after["base-far"] == {
        "cmd": "exec thicket run build/config/models/far.yaml",
        "deps": ["models/far"],
        "params": [{"build/config/models/far.yaml": None}],
        "outs": ["build/models/far", "build/metrics/far.json"],
    }


def test_local_files_of_a_domain(sample: Path, edit: Callable[[Edit], Any]) -> None:
    text = (sample / "conf/domain/sort.yaml").read_text(encoding="utf-8")
    source = "{type: dataset, data_files: [data/a.jsonl, data/b.csv], question: '{q}', answer: '{a}'}"
    lines = [f"source: {source}" if line.startswith("source") else line for line in text.splitlines()]
    (sample / "conf/domain/file.yaml").write_text("\n".join(lines).replace("name: sort", "name: file"), "utf-8")
    _, after = edit(lambda declared: declared["domains"].append("file"))
    assert after["data-file"]["deps"] == ["data/a.jsonl", "data/b.csv"]


def test_a_product_is_short_for_its_specialists(sample: Path, edit: Callable[[Edit], Any]) -> None:
    configs = {planned.resolved.id: planned.resolved.stage for planned in pipeline(Project(sample))}

    def written_out(declared: dict[str, Any]) -> None:
        del declared["products"]
        names = {f"{domain}-grpo": domain for domain in ("sort", "reverse")}
        nodes = {name: {"base": "tiny", "domain": domain, "method": "grpo"} for name, domain in names.items()}
        declared["specialists"] = nodes

    before, after = edit(written_out)
    assert before == after
    assert {planned.resolved.id: planned.resolved.stage for planned in pipeline(Project(sample))} == configs


def test_a_soup_of_students(edit: Callable[[Edit], Any]) -> None:
    """A mean needs no domain to be judged."""
    node = {"base": "tiny", "method": "soup", "teachers": ["opd", "mixed"]}
    _, after = edit(lambda declared: declared["students"].update(both=node))
    assert after["student-both"]["deps"] == [f"build/models/{name}" for name in ("tiny", "opd", "mixed")]


def test_a_merge_with_a_choice_reads_the_domains_and_leaves_a_curve(edit: Callable[[Edit], Any]) -> None:
    """Teachers of one domain, as in a soup over seeds: it is that domain that they are chosen on."""

    def greedy(declared: dict[str, Any]) -> None:
        declared["specialists"] = {"second": {"base": "tiny", "domain": "sort", "method": "grpo", "seed": 1}}
        node = {"base": "tiny", "method": "soup", "teachers": ["sort-grpo", "second"]}
        declared["students"] |= {"plain": node, "greedy": {**node, "set": {"method.type": "greedy_soup"}}}

    _, after = edit(greedy)
    models = [f"build/models/{name}" for name in ("tiny", "sort-grpo", "second")]
    assert after["student-plain"]["deps"] == models
    assert after["student-greedy"]["deps"] == [*models, "build/data/sort"]
    assert "build/curves/plain.csv" not in str(after["student-plain"])
    assert "build/curves/greedy.csv" in str(after["student-greedy"])


def test_a_project_without_the_code_looks_at_it_every_time(sample: Path) -> None:
    compose = planned(sample)["stages"]["compose"]
    assert (compose["deps"], compose["always_changed"]) == (["params.yaml", "conf"], True)
    (sample / "thicket").mkdir()
    compose = planned(sample)["stages"]["compose"]
    assert compose["deps"] == ["params.yaml", "conf", "thicket"]
    assert "always_changed" not in compose
