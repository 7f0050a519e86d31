"""Which files a report and a page of claims consist of: the pipeline declares them before anything is measured."""

from collections.abc import Iterable

from thicket.config.stages import ClaimsStage, ReportedModel, ReportStage

REPORT_FILES = ("index.html", "results.md", "results.json")
CLAIMS_FILES = ("claims.html", "claims.md", "claims.json")
DIVERGENCE_FILE = "divergence.png"
"""Where divergence was measured: by method, and over the course of training."""
BUDGET_FILE = "budget.png"
"""Where there are students: score against FLOPs."""
TEMPERATURES_FILE = "temperatures.png"
"""Where self-distilled models could be asked at several temperatures: scores by those of samples and of answers."""
SSD, ASKED_OTHERWISE = "ssd", "best_prompt"
"""Types of methods: what makes a row of a map of temperatures, and what asks a model at another one."""


def report_files(stage: ReportStage) -> tuple[str, ...]:
    """In the folder of the report."""
    students = any(model.kind == "student" for model in stage.models)
    mapped = bool(_domains(stage.models, SSD) & _domains(stage.models, ASKED_OTHERWISE))
    return (*REPORT_FILES, *[BUDGET_FILE] * students, *[TEMPERATURES_FILE] * mapped)


def _domains(models: Iterable[ReportedModel], type: str) -> set[str | None]:
    return {model.domain for model in models if model.type == type}


def claims_files(stage: ClaimsStage) -> tuple[str, ...]:
    """In the same folder."""
    bases = {model.name for model in stage.models if model.kind == "base"}
    diverged = any(one.type == "divergence" and one.models[1] not in bases for one in stage.analyses)
    return (*CLAIMS_FILES, *[DIVERGENCE_FILE] * diverged)
