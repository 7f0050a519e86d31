"""`thicket repro`: stages side by side come to what `dvc repro` comes to; failures and signals end what they must."""

import os
import pty
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab import Lab, processes

from thicket.config.yamlfile import to_yaml
from thicket.plan import shares

FAULT = '\nraise ValueError("no such luck")\n'


def entries(lab: Lab, kind: str = "") -> dict[str, Any]:
    """What dvc.lock says of the stages whose names begin so."""
    stages = yaml.safe_load((lab.root / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    return {name: one for name, one in stages.items() if name.startswith(kind)}


def made(lab: Lab) -> dict[str, dict[str, str]]:
    """Stage → path → hash of everything that was made, without the report, which shows times."""
    return {
        name: {out["path"]: out["md5"] for out in one["outs"]} for name, one in entries(lab).items() if name != "report"
    }


def test_side_by_side_as_one_by_one(built_lab: tuple[Lab, set[str]], tmp_path: Path) -> None:
    lab = built_lab[0].copy(tmp_path / "project", loads_itself=True)
    (lab.root / "dvc.lock").unlink()
    shutil.rmtree(lab.root / "build")
    shutil.rmtree(lab.root / ".dvc/cache/runs")  # nothing comes out of the cache
    module = lab.root / "thicket/stages/student.py"
    text = module.read_text(encoding="utf-8")

    module.write_text(text + FAULT, encoding="utf-8")
    printed = lab.call("thicket", "repro", "--jobs", "2", status=1)
    told = r"(student-\w+)  failed after .* s: build/logs/dvc/\1.log\n(    .*\n)*.*no such luck"
    (first, _), *others = re.findall(told, printed)
    assert not others
    (second,) = re.findall(rf"(student-\w+)  failed after .* s, as {first} did: build/logs/dvc/\1.log\n", printed)
    assert {first, second} == {"student-opd", "student-soup"}
    assert f"one mistake stopped {first}, {second}: no such luck (thicket/stages/student.py:" in printed
    assert "not begun, as they need what failed: evaluate-opd, evaluate-soup, report" in printed
    assert "10 of 15 stages are done, 10 of them made now; failed: student-opd, student-soup" in printed
    said = lab.call("thicket")
    assert "  student-opd, student-soup: failed: no such luck  (build/logs/student-opd.log)\n" in said
    assert "  looking at what is done\n" in printed
    assert "  0 of 15 stages are done; at most 15 to make, 2 at a time\n" in printed
    assert len(re.findall(r"  \S+  begins\n", printed)) == 12
    assert re.search(r"evaluate-\S+  done, .* s  \(10 of 15\)", printed)
    assert "no such luck" in (lab.root / "build/logs/dvc/student-opd.log").read_text(encoding="utf-8")

    module.write_text(text, encoding="utf-8")
    assert "missing: code changed since it failed (no such luck)" in lab.call("thicket", "status")
    assert "15 of 15 stages are done, 5 of them made now" in lab.call("thicket", "repro", "--jobs", "2")
    assert made(lab) == made(built_lab[0])
    assert list(entries(lab))[-3:] == ["evaluate-opd", "evaluate-soup", "report"]
    assert lab.repro() == set(), "DVC finds something to do"
    shutil.copy(built_lab[0].root / "dvc.lock", lab.root / "dvc.lock")
    assert lab.repro() <= {"report"}, "another machine's dvc.lock holds of what is made here"
    assert not list((lab.root / "build/resume").glob("*.socket"))


def test_it_plans_first_where_that_is_due(built_lab: tuple[Lab, set[str]], tmp_path: Path) -> None:
    """A new student, in place of another, by one command."""
    lab = built_lab[0].copy(tmp_path / "project", loads_itself=True)
    path = lab.root / "params.yaml"
    declared = yaml.safe_load(path.read_text(encoding="utf-8"))
    declared["students"]["mean"] = declared["students"].pop("soup")
    path.write_text(to_yaml(declared), encoding="utf-8")
    module = lab.root / "thicket/methods/soup.py"
    module.write_text(module.read_text(encoding="utf-8") + 'print("Note: it is a mean.")\n', encoding="utf-8")
    printed = lab.call("thicket", "repro", "student-mean", "--jobs", "2")
    new, gone = "student-mean, evaluate-mean", "student-soup, evaluate-soup"
    said = f"dvc.yaml was out of step with params.yaml, and is planned anew (new: {new}; no more: {gone})"
    assert said in printed
    assert "1 of them made now" in printed
    assert printed.count("    Note: it is a mean.\n") == 1, "what a stage notes is told"
    assert "student-soup" not in entries(lab)
    assert "planned anew" not in lab.call("thicket", "repro", "student-mean")
    path.write_text(path.read_text(encoding="utf-8").replace("teachers", "teachres"), encoding="utf-8")
    assert "did you mean: teachers" in lab.call("thicket", "repro", status=2)


def test_a_name_that_is_no_stage(built_lab: tuple[Lab, set[str]]) -> None:
    assert "did you mean: student-opd" in built_lab[0].call("thicket", "repro", "student-ods", status=2)


def test_a_model_by_its_name(built_lab: tuple[Lab, set[str]]) -> None:
    lab, _ = built_lab
    by_name, by_stage = (lab.call("thicket", "repro", name).splitlines()[-1] for name in ("opd", "student-opd"))
    assert by_name.split(maxsplit=1)[1] == by_stage.split(maxsplit=1)[1]


def test_on_a_terminal(built_lab: tuple[Lab, set[str]]) -> None:
    lab, _ = built_lab
    ours, theirs = pty.openpty()
    command, printed = ["thicket", "repro", "student-opd"], b""
    with subprocess.Popen(command, cwd=lab.root, env=lab.environment, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        with suppress(OSError):  # at its end
            while True:
                printed += os.read(ours, 4096)
    os.close(ours)
    assert running.returncode == 0, printed
    assert b" of 6 stages are done, " in printed


def test_sigterm_stops_every_stage_at_a_checkpoint(student_lab: tuple[Lab, set[str]], tmp_path: Path) -> None:
    lab = student_lab[0].copy(tmp_path / "project", loads_itself=True)

    def longer(declared: dict[str, Any]) -> None:
        for one in declared["specialists"].values():
            one["set"] = {"method.steps": 2000, "method.select_every": 0}

    lab.edit(longer)
    before = entries(lab, "specialist-")
    command, streams = ["thicket", "repro", "--jobs", "3", "student-opd"], {"stdout": subprocess.PIPE, "text": True}
    running = subprocess.Popen(command, cwd=lab.root, env=lab.environment, **streams)  # type: ignore[call-overload]
    deadline = time.monotonic() + 120
    while len(list((lab.root / "build/resume").glob("specialist-*/last.ckpt"))) < 2:
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert len(processes(lab, b"thicket.warm")) == 3, "one process has the libraries, and forks for each stage"
    assert "is being made by another process" in lab.call("thicket", "repro", status=1)
    running.terminate()
    printed = running.communicate(timeout=60)[0]
    assert running.returncode == 128 + signal.SIGTERM
    assert "stopping: specialist-sort-grpo, specialist-reverse-grpo" in printed
    assert "Stopped: 3 of 6 stages are done. The next run goes on from there." in printed
    for name in ("sort", "reverse"):
        said = (lab.root / f"build/logs/dvc/specialist-{name}-grpo.log").read_text(encoding="utf-8")
        assert "Stopped by SIGTERM. The next run goes on from the last checkpoint." in said
    while processes(lab):
        assert time.monotonic() < deadline, processes(lab)
        time.sleep(0.05)
    assert entries(lab, "specialist-") == before


def test_each_stage_has_its_share_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(shares.THREADS, raising=False)
    monkeypatch.setenv(shares.VISIBLE, "4,7")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    devices = [shares.environment(3, slot)[shares.VISIBLE] for slot in range(3)]
    assert devices == ["4", "7", "4"]
    assert shares.environment(3, 0)[shares.THREADS] == "2"
    assert shares.threads_note(3).startswith("threads a stage: 2, 8 alone")
    assert shares.environment(1, 0) == {}
    assert shares.threads_note(1) == ""
    assert shares.default_jobs() == 2
    monkeypatch.setenv(shares.VISIBLE, "")
    assert shares.environment(16, 3) == {shares.THREADS: "1"}
    assert shares.default_jobs() == 4
    monkeypatch.setenv(shares.THREADS, "3")
    assert shares.environment(16, 3) == {}
