"""The command export: a model as a folder that is ready for the Hugging Face hub."""

import shutil
from pathlib import Path
from typing import Any

from thicket.commands import recipe
from thicket.commands.models import built, models_of, outdated_words
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EXPORT, PARAMS
from thicket.config.problems import ConfigError, Problem, shown
from thicket.config.project import Project
from thicket.config.shown import FILE as SAMPLES
from thicket.config.stages import DataStage, StudentStage
from thicket.models.answering import check_own_weights
from thicket.plan import console
from thicket.plan.folders import declared_name, is_folder, model_folder, within
from thicket.plan.inspect import pick
from thicket.plan.pipeline import resolve

OURS = ("README.md", "provenance.json")
"""An export has both: another folder isn't written over."""
CODE: dict[str, Any] = {"code": {}}


def export(root: Path, model: str, out: Path | None, license: str | None) -> None:
    """Writes the folder: weights, tokenizer and configs as they are, the card, of a merge mergekit's file.

    Scores of a model that lay in its folder before are no part of the card.

    Raises: ConfigError where there is no such model, where params.yaml does not declare it, where it is not made, or
    where the folder is there already and is no export; ValueError where it has no weights of its own, or damaged ones.
    """
    from thicket.commands.card import Card
    from thicket.models.folder import check_weights
    from thicket.stages.publish import whole

    resolved = resolve(Project(root), with_code=False)
    models, model = models_of(resolved), _name(root, model)
    chosen = pick(model, models, "model")
    folder, target = built(root, chosen), out or root / EXPORT / model
    if target.exists() and not all((target / name).is_file() for name in OURS):
        raise ConfigError([Problem(COMMAND_LINE, "--out", str(target), "there already, and no export of a model's")])
    try:
        check_own_weights(folder)
    except ValueError as error:
        raise ValueError(f"{error}; {_instead(chosen.stage)}") from None
    check_weights(folder)
    if console.read_json(folder / "provenance.json")["config"] | CODE != chosen.stage.model_dump(mode="json") | CODE:
        print(f"Note: {model} was made with another config than it has now: `dvc repro {chosen.id}` makes it anew.")
    data = {made.stage.name: made.stage for made in resolved if isinstance(made.stage, DataStage)}
    with whole(target) as partial:
        # Whoever gets the model needn't get prompts of its training.
        shutil.copytree(folder, partial, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SAMPLES))
        for path in partial.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)  # DVC's links are read-only
        if isinstance(chosen.stage, StudentStage) and recipe.is_merged(chosen.stage):
            (partial / recipe.FILE).write_text(recipe.mergekit_file(root, chosen.stage), encoding="utf-8")
        card = Card(root, model, models, data, license)
        (partial / "README.md").write_text(card.text, encoding="utf-8")
    size = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    place = within(root, target)
    print(f"{place}: {size / 2**20:.1f} MiB")
    for path in sorted(target.rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(target)}")
    if card.outdated:
        print(f"{outdated_words(root, [model])} The card is without them.")
    print(f"`hf upload OWNER/{model} {place}` pushes it.")


def _name(root: Path, model: str) -> str:
    """The declared model that a name or a folder means. Raises: ConfigError for the folder of another one."""
    if not is_folder(model):
        return model
    folder = model_folder(root, within(root, root / model))
    if name := declared_name(root, folder):
        return name
    wrong = f"only declared models have a card: declare it in {PARAMS} (`thicket show {folder} --json` has its config)"
    raise ConfigError([Problem(COMMAND_LINE, "model", shown(folder), wrong)])


def _instead(stage: object) -> str:
    """What can be exported in a model's place that has no weights."""
    kind = getattr(getattr(stage, "method", None), "type", "")
    if kind == "randopt":
        return f"`thicket model materialize {getattr(stage, 'name', '')}` writes its members as models"
    if kind == "ensemble":
        return "its teachers can be exported one by one"
    return f"export {getattr(stage, 'base', 'its base')}, whose weights these are"
