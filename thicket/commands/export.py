"""The command export: a model as a folder that is ready for the Hugging Face hub."""

import shutil
from pathlib import Path
from typing import Any

from thicket.commands import recipe
from thicket.commands.made import Made, made_model
from thicket.commands.stale_scores import stale_scores, stale_words
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EXPORT
from thicket.config.problems import ConfigError, Problem
from thicket.config.project import Project
from thicket.config.resolve import Resolved
from thicket.config.shown import FILE as SAMPLES
from thicket.config.stages import DataStage, StudentStage
from thicket.models.answering import check_own_weights
from thicket.plan.folders import is_folder, within
from thicket.plan.pipeline import pipeline, resolve, resolve_data
from thicket.plan.state import states

OURS = ("README.md", "provenance.json")
"""An export has both: another folder isn't written over."""


def export(root: Path, model: str, out: Path | None, license: str | None) -> None:
    """Writes the folder: weights, tokenizer and configs as they are, the card, of a merge mergekit's file.

    `model`: a declared model's name, or the folder of any that thicket made. Scores of a model that lay in its folder
    before are no part of the card.

    Raises: ConfigError where there is no such model, where it is not made, or where the folder is there already and is
    no export; ValueError where it has no weights of its own, or damaged ones.
    """
    from thicket.commands.card import Card
    from thicket.models.folder import check_weights
    from thicket.stages.publish import whole

    project = Project(root)
    resolved = resolve(project, with_code=False)
    made = made_model(root, resolved, model)
    folder, target, stage = made.targets.artifact, out or root / EXPORT / made.name, made.resolved.stage
    if target.exists() and not all((target / name).is_file() for name in OURS):
        wrong = "there already, and no export of a model's"
        raise ConfigError([Problem(COMMAND_LINE, "--out", within(root, target), wrong)])
    try:
        check_own_weights(folder)
    except ValueError as error:
        raise ValueError(f"{error}; {_instead(made)}") from None
    check_weights(folder)
    _say_what_is_of_now(project, made)
    card = Card(made, _data(project, resolved, made), license)
    with whole(target) as partial:
        # Whoever gets the model needn't get prompts of its training.
        shutil.copytree(folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SAMPLES))
        for path in partial.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # DVC's links are read-only
        if isinstance(stage, StudentStage) and recipe.is_merged(stage):
            (partial / recipe.FILE).write_text(recipe.mergekit_file(stage, made.targets.curves), encoding="utf-8")
        (partial / "README.md").write_text(card.text, encoding="utf-8")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    place = within(root, target)
    print(f"{place}: {size / 2**20:.1f} MiB")
    for path in sorted(target.rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(target)}")
    if card.outdated:
        again = f"`{made.scored_by}` scores those of now"
        print(f"The scores of {made.name} are of earlier weights: {again}. The card is without them.")
    print(f"`hf upload OWNER/{made.name} {place}` pushes it.")


def _say_what_is_of_now(project: Project, made: Made) -> None:
    """Notes on what the card takes from params.yaml that is no longer as it was when the model was made or scored."""
    if not is_folder(made.given) and made.has_another_config():  # A run's config is its own.
        again = f"`dvc repro {made.resolved.id}` makes it anew"
        print(f"Note: {made.name} was made with another config than it has now: {again}.")
    if others := made.made_anew():
        print(f"Note: {made.name} was made of earlier weights of {', '.join(others)}, which the card says.")
    if not is_folder(made.given) and made.scores.is_dir():
        for words in stale_words(stale_scores(states(project.root, pipeline(project)), [made.name])):
            print(f"Note: {words}")


def _data(project: Project, resolved: list[Resolved], made: Made) -> dict[str, DataStage]:
    """What the domains' items come from: of the declared ones, and of those that a run was on. Raises: ConfigError."""
    stages: list[Any] = [one.stage for one in resolved]
    known = {stage.name: stage for stage in stages if isinstance(stage, DataStage)}
    others: Any = {
        name: resolve_data(project, name, ("domains",)).stage for name in {*made.resolved.domains} - {*known}
    }
    return known | others


def _instead(made: Made) -> str:
    """What can be exported in a model's place that has no weights."""
    stage: Any = made.resolved.stage
    kind = getattr(getattr(stage, "method", None), "type", "")
    if kind == "randopt":
        return f"`thicket model materialize {made.given}` writes its members as models"
    if kind == "ensemble":
        return "its teachers can be exported one by one"
    return f"export {getattr(stage, 'base', 'its base')}, whose weights these are"
