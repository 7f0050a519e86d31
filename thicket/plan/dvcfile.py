"""dvc.yaml: one explicit stage for each node of the DAG.

Written, not templated: DVC's matrix has no dependencies of variable number, and a dependency on the folder of all
models would build every specialist for any student.
"""

from pathlib import Path
from typing import Any

from thicket.config.places import CONFIG, PARAMS
from thicket.config.stages import BaseStage
from thicket.config.yamlfile import to_yaml
from thicket.plan.code import brought_along
from thicket.plan.folders import MAKERS
from thicket.plan.pipeline import Planned

HEADER = "# Written by `thicket plan` from params.yaml and conf/. Change those, then run it again.\n"


def dvcfile(root: Path, stages: list[Planned]) -> str:
    """The text of dvc.yaml."""
    plugins = any(brought_along(planned.resolved.stage) for planned in stages)
    document: dict[str, Any] = {"stages": {"compose": _compose(root, plugins)}}
    for planned in stages:
        document["stages"][planned.resolved.id] = _stage(planned)
    metrics = [path.as_posix() for planned in stages for path in planned.metrics]
    scores = [f"{p.artifact.as_posix()}/metrics.json" for p in stages if p.resolved.kind == "evaluate"]
    looked = [f"{p.artifact.as_posix()}/metrics.json" for p in stages if p.resolved.kind == "analyze"]
    claims = [f"{p.artifact.as_posix()}/claims.json" for p in stages if p.resolved.kind == "claims"]
    document["metrics"] = [*scores, *metrics, *looked, *claims]
    document["plots"] = _plots(stages)
    document["artifacts"] = {name: entry for planned in stages for name, entry in _artifact(planned).items()}
    return HEADER + to_yaml(document)


def _compose(root: Path, plugins: bool) -> dict[str, Any]:
    """The stage that writes the resolved configs.

    In a project without a copy of thicket's code, DVC can't see that code change, and that of plug-ins nowhere: there
    the stage runs every time, and what follows it only where a resolved config came out different.
    """
    own = [folder for folder in ("conf", "thicket") if (root / folder).is_dir()]
    stage = {"cmd": "thicket compose", "deps": [PARAMS, *own], "outs": [CONFIG.as_posix()]}
    return stage if "thicket" in own and not plugins else {**stage, "always_changed": True}


def _stage(planned: Planned) -> dict[str, Any]:
    config = planned.config.as_posix()
    made = [planned.artifact / name for name in planned.files] or [planned.artifact]
    outs = [path.as_posix() for path in (*made, *planned.metrics, *planned.plots)]
    deps = [path.as_posix() for path in planned.reads]
    # `exec`: some shells would stay between DVC and the stage, which then would not notice that DVC is gone.
    stage: dict[str, Any] = {"cmd": f"exec thicket run {config}"}
    if deps:
        stage["deps"] = deps
    return {**stage, "params": [{config: None}], "outs": outs}


def _plots(stages: list[Planned]) -> list[dict[str, Any] | str]:
    """Learning curves of the policies, the scores of all models, and the analyses' pictures."""
    trained = [p for p in stages if p.metrics and not isinstance(p.resolved.stage, BaseStage)]
    curves = [path.as_posix() for p in trained for path in p.plots]
    scores = [f"{p.artifact.as_posix()}/scores.csv" for p in stages if p.resolved.kind == "evaluate"]
    plots: list[dict[str, Any] | str] = [path.as_posix() for p in stages for path in p.pictures]
    if curves:
        learning = {"x": "step", "y": dict.fromkeys(curves, "selection"), "title": "Selection items: sampled pass@1"}
        plots.append({"selection": learning})
    if scores:
        by_model = {"x": dict.fromkeys(scores, "value"), "y": dict.fromkeys(scores, "domain")}
        plots.append({"scores": {**by_model, "template": "bar_horizontal", "title": "Test items: sampled pass@1"}})
    return plots


def _artifact(planned: Planned) -> dict[str, dict[str, Any]]:
    kind, name, path = planned.resolved.kind, planned.resolved.stage.name, planned.artifact.as_posix()
    if kind in MAKERS:
        return {name: {"path": path, "type": "model", "labels": [kind]}}
    return {f"scores-{name}": {"path": path, "type": "dataset", "labels": ["evaluation"]}} if kind == "evaluate" else {}


def out_of_step(root: Path, stages: list[Planned]) -> bool:
    """Whether dvc.yaml differs from what `thicket plan` would write."""
    path = root / "dvc.yaml"
    return not path.is_file() or path.read_text(encoding="utf-8") != dvcfile(root, stages)
