"""Stage *analyze*: a measurement on models, with intervals, tables and a picture."""

import csv
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from thicket import ranks
from thicket.analysis.case import Case, Subject
from thicket.analysis.found import Found, Row, Statistic
from thicket.config.run import Evaluation
from thicket.config.stages import AnalysedModel, AnalyzeStage
from thicket.models.elsewhere import fetched
from thicket.models.folder import active_parameter_count, load_tokenizer, model_config, vocabulary_difference
from thicket.progress import Teller
from thicket.reporting.jsonfile import plain
from thicket.reporting.pictures.draw import draw
from thicket.sampling.environment import Environment, load_environment
from thicket.sampling.piecewise import device_of
from thicket.sampling.prompts import Tokenizer
from thicket.stages.outcome import Places
from thicket.statistics.ratios import ratio_interval

ASKING = ("thicket.sampling", "thicket.models", "thicket.ops", "thicket.domains", "thicket.analysis.bank")


def analyze(config: AnalyzeStage, places: Places) -> None:
    """Writes result.json, metrics.json, units.json (what can be resampled), a CSV of each table and the picture.

    Raises: ValueError where a model or the data is not there, or the models' vocabularies differ.
    """
    subjects = [Subject(model.name, _folder(model, places)) for model in config.models]
    for other in subjects[1:]:
        if difference := vocabulary_difference(subjects[0].folder, other.folder):
            raise ValueError(f"{subjects[0].name} and {other.name} can't be compared: {difference}")
    tokenizer = load_tokenizer(subjects[0].folder)
    with Teller(f"analyze {config.name}") as tell:
        case = Case(
            models=subjects,
            environments=_asked(config, places, tokenizer, subjects[0].folder),
            tokenizer=tokenizer,
            seed=config.seed,
            batch=config.sampler.batch,
            device=device_of(config.trainer.accelerator),
            scratch=places.resume.parent / "analysis" / _code(config),
            tell=tell,
        )
        run: Callable[[Any, Case], Found] = import_module(f"thicket.analysis.{config.analysis.type}").analyze
        found = run(config.analysis, case)
    if ranks.first():  # Of several, which all have found it.
        _write(config, subjects, found, places.out)


def _code(config: AnalyzeStage) -> str:
    """A hash of the code that answers and judges: what other code kept is not taken for its own."""
    asking = [f"{name} {digest}" for name, digest in sorted(config.code.items()) if name.startswith(ASKING)]
    return hashlib.sha256("\n".join(asking).encode()).hexdigest()[:16]


def _folder(model: AnalysedModel, places: Places) -> Path:
    return places.models / model.name if model.source is None else fetched(model.source)


def _asked(config: AnalyzeStage, places: Places, tokenizer: Tokenizer, folder: Path) -> list[Environment]:
    """The domains, cut to as many items as the analysis asks."""
    split, most = config.analysis.split, config.analysis.items
    _check_windows(config, folder)
    whole = [load_environment(domain, places.data / domain.name, split, tokenizer) for domain in config.domains]
    return [replace(one, items=one.items[:most], prompts=one.prompts[:most]) for one in whole]


def _check_windows(config: AnalyzeStage, folder: Path) -> None:
    """Raises: ValueError where a domain's prompt and response don't fit what the model was made for."""
    longest = getattr(model_config(folder), "max_position_embeddings", None)
    for domain in config.domains:
        wanted = domain.window.prompt + domain.window.response
        if longest is not None and wanted > longest:
            raise ValueError(
                f"{folder}: made for {longest} tokens, and {domain.name} asks for {wanted} (prompt and response)"
            )


def _write(config: AnalyzeStage, subjects: Sequence[Subject], found: Found, out: Path) -> None:
    statistics = [_summary(one, config.evaluation, config.seed) for one in found.statistics]
    result = {
        "analysis": config.analysis.model_dump(),
        "name": config.name,
        "seed": config.seed,
        "models": [one.name for one in subjects],
        "parameters": {one.name: active_parameter_count(one.folder) for one in subjects},
        "domains": [domain.name for domain in config.domains],
        "statistics": statistics,
        "figures": plain(found.figures),
    }
    _write_json(out / "result.json", result)
    _write_json(out / "metrics.json", _metrics(statistics))
    _write_json(out / "units.json", [vars(one) for one in found.statistics])
    for name, rows in found.tables.items():
        _write_csv(out / f"{name}.csv", rows)
    draw(config.analysis.type, out)
    for one in statistics:
        about = " ".join(part for part in (one["domain"], one["of"]) if part)
        print(f"analyze {config.name}  {about}: {one['name']} {_shown(one)}", flush=True)


def _shown(one: dict[str, Any]) -> str:
    return "undefined" if one["value"] is None else f"{one['value']:.4g} [{one['low']:.4g}, {one['high']:.4g}]"


def _summary(one: Statistic, evaluation: Evaluation, seed: int) -> dict[str, Any]:
    about = {"name": one.name, "domain": one.domain, "of": one.of, "unit": one.unit, "units": len(one.amounts_U)}
    found = ratio_interval(one.amounts_U, one.weights_U, evaluation.resamples, evaluation.confidence, seed)
    if found is None:
        return {**about, "value": None, "low": None, "high": None}
    return {**about, "value": found.value, "low": found.low, "high": found.high}


def _metrics(statistics: list[dict[str, Any]]) -> dict[str, Any]:
    """Values alone, by domain and by what they are of, for `dvc metrics`."""
    metrics: dict[str, Any] = {}
    for one in statistics:
        place = metrics.setdefault(one["domain"], {})
        place = place.setdefault(one["of"], {}) if one["of"] else place
        place[one["name"]] = one["value"]
    return metrics


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _write_csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
