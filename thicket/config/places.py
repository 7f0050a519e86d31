"""A project's folder, and the places of its artifacts in it."""

from pathlib import Path

PARAMS = "params.yaml"
BUILD = Path("build")
CONFIG, DATA, MODELS = BUILD / "config", BUILD / "data", BUILD / "models"
MODEL_CONFIGS = CONFIG / "models"
"""Their resolved configs, as `thicket compose` last wrote them."""
METRICS, CURVES, EVALUATION, REPORT = BUILD / "metrics", BUILD / "curves", BUILD / "evaluation", BUILD / "report"
SCORED_MODEL = "model.json"
"""In an evaluation's folder, and not among its metrics, which DVC shows in tables: which weights it scored."""
TEST = "test.json"
"""In an evaluation's folder: domain → part of its test → hash."""
ANALYSIS = BUILD / "analysis"
PICTURES = BUILD / "pictures"
"""Of analyses, for `dvc plots`, which draws nothing at all where one lies in a folder that is not built."""
PICTURE = "picture.png"
RESUME, RUNS, MEMBERS = BUILD / "resume", BUILD / "runs", BUILD / "members"
LOGS, EXPORT, TIMES = BUILD / "logs", BUILD / "export", BUILD / "times"
SCORES = RESUME / "scores"
"""Scores of items by content, which `thicket.evaluation.cache` keeps."""


def project_root(start: Path) -> Path:
    """The nearest folder upwards with a params.yaml; the folder itself where there is none."""
    return next((folder for folder in (start, *start.parents) if (folder / PARAMS).is_file()), start)
