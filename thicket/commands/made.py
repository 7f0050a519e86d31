"""A model that was made, a declared one or that of a run by itself: its config, and where what is known of it lies."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from thicket.commands.models import built, models_of, parents_of, root_of
from thicket.commands.sides import Sides
from thicket.config.layers import Layered
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, MODELS, PARAMS
from thicket.config.problems import ConfigError, Problem, shown
from thicket.config.resolve import Resolved
from thicket.config.stages import STAGE_TYPES, BaseStage
from thicket.evaluation.scored import is_outdated
from thicket.plan import console
from thicket.plan.folders import declared_name, is_folder, provenance_of, run_named, within
from thicket.plan.inspect import pick
from thicket.plan.sweeps import one_model
from thicket.stages.run import Targets, in_pipeline, of_run

CODE: dict[str, Any] = {"code": {}}


@dataclass(frozen=True)
class Made:
    """A model that was made."""

    root: Path
    name: str
    """Of params.yaml; of a run, that of its folder."""
    resolved: Resolved
    """A declared model's config of now; of a run, the one that it was made with."""
    models: dict[str, Resolved]
    """The declared models, which it may be made of."""
    targets: Targets
    """Where it lies, with its ledger and times."""
    scores: Path
    """The folder of its evaluation, which need not be there."""
    given: str
    """What a command takes for it: its name, or its folder."""
    scored_by: str
    """The command that makes its scores."""

    @property
    def provenance(self) -> dict[str, Any]:
        """How it was made. Raises: ValueError where its file is broken."""
        return console.read_json(self.targets.artifact / "provenance.json")

    @property
    def base(self) -> BaseStage:
        """The base that it goes back to, or is."""
        start: Any = getattr(self.resolved.stage, "base", None)
        stage: Any = self.models[root_of(start, self.models)].stage if isinstance(start, str) else self.resolved.stage
        return stage

    @property
    def outdated(self) -> bool:
        """Whether there are scores, and they are of one that lay in its folder before."""
        return self.scores.is_dir() and is_outdated(self.scores, self.targets.artifact)

    def behind(self) -> list[Resolved]:
        """Itself, and the models that it rests on."""
        waiting, found = list(parents_of(self.resolved)), dict[str, Resolved]()
        while waiting:
            name = waiting.pop()
            if name not in found:
                found[name] = self.models[name]
                waiting += parents_of(self.models[name])
        return [self.resolved, *found.values()]

    def has_another_config(self) -> bool:
        """Whether the model that lies there was made with another config, its code left out."""
        return self.provenance["config"] | CODE != self.resolved.stage.model_dump(mode="json") | CODE

    def made_anew(self) -> list[str]:
        """The models that it was made of and whose folders hold others by now."""
        known: dict[str, str] = self.provenance["parents"]
        now = {name: provenance_of(self.root, str(MODELS / name)).get("weights") for name in known}
        return [name for name, weights in now.items() if weights not in (None, known[name])]


def made_model(root: Path, resolved: list[Resolved], model: str) -> Made:
    """The model of a name or a folder. Raises: ConfigError where there is none, or nothing says how it was made."""
    models = models_of(resolved)
    if is_folder(model):
        folder = one_model(root, within(root, root / model))
        if not (declared := declared_name(root, folder)):
            return _of_folder(root, resolved, models, folder)
        model = declared
    chosen = pick(model, models, "model", run_named(root, model))
    built(root, chosen)
    scores, command = root / EVALUATION / model, f"dvc repro evaluate-{model}"
    return Made(root, model, chosen, models, in_pipeline(root, chosen.stage), scores, model, command)


def _of_folder(root: Path, resolved: list[Resolved], models: dict[str, Resolved], folder: str) -> Made:
    member, own = Sides(root, models, resolved, Path()).of_folder(folder), _as_made(root, folder)
    if unknown := [name for name in parents_of(own) if name not in models]:
        wrong = f"it was made of {', '.join(unknown)}, which {PARAMS} declares no more: nothing says what that was"
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(folder), wrong)])
    targets, command = of_run(root / folder), f"thicket evaluate model={folder}"
    return Made(root, member.name, own, models, targets, member.scores, folder, command)


def _as_made(root: Path, folder: str) -> Resolved:
    """The config that a folder's model was made with. Raises: ConfigError where nothing says it."""
    made = provenance_of(root, folder)
    try:
        stage = STAGE_TYPES[made["stage"]].model_validate(made["config"])
    except (KeyError, ValidationError):
        unsaid = "it has no provenance.json, which says how it was made"
        wrong = "another version of thicket has made it" if made else unsaid
        raise ConfigError([Problem(COMMAND_LINE, "model", shown(folder), wrong)]) from None
    return Resolved(stage, Layered(), tuple(made["parents"]), tuple(made["data"]))
