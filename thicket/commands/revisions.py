"""Models of another commit, REV:MODEL: what its dvc.lock has of them, and their files in DVC's cache."""

import json
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path
from typing import Any

from thicket.commands import cache
from thicket.config.overrides import COMMAND_LINE
from thicket.config.places import EVALUATION, MODELS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.yamlfile import values_of
from thicket.plan.folders import MAKERS
from thicket.plan.recorded import Entry, Locked, recorded

EXPERIMENTS = "refs/exps"
"""Where DVC keeps the commits of experiments."""


def is_of_revision(text: str) -> bool:
    """Whether a text means a model of another commit; a commit's name may have a slash in it, a model's has none."""
    revision, _, model = text.rpartition(":")
    return bool(revision) and "/" not in model


class Revision:
    """A commit, by any name that git has for it, or an experiment of DVC's."""

    def __init__(self, root: Path, name: str):
        """Raises: ConfigError where there is none of this name, or where DVC had made nothing in it."""
        self.root, self.name = root, name
        commit = self._commit()
        if not commit:
            wrong = "git has no such commit, and DVC no such experiment"
            raise ConfigError([Problem(COMMAND_LINE, "REV", shown(name), wrong)])
        text = cache.git(root, "show", f"{commit}:./dvc.lock")
        if not text:
            raise ConfigError([Problem(COMMAND_LINE, "REV", shown(name), "that commit has no dvc.lock")])
        self.locked = recorded(text)
        stages = values_of(cache.git(root, "show", f"{commit}:./dvc.yaml") or "{}").get("stages", self.locked)
        self.declared = [name for name in self.locked if name in stages]
        """The stages that dvc.lock has, but those that were declared no more."""

    def _commit(self) -> str:
        own = cache.git(self.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{self.name}^{{commit}}")
        refs = cache.git(self.root, "for-each-ref", "--format=%(refname)", EXPERIMENTS).splitlines()
        return (own or next((ref for ref in refs if ref.rpartition("/")[2] == self.name), "")).strip()

    def models(self, pattern: str) -> list[str]:
        """The models of a name or a pattern. Raises: ConfigError where there is none."""
        made, known = self._models(self.locked), self._models(self.declared)
        found = [name for name in known if fnmatchcase(name, pattern)] if has_magic(pattern) else [pattern]
        if not found or found[0] not in made:
            wrong, close = "there is no such model in that commit", nearest(pattern, known)
            given = shown(f"{self.name}:{pattern}")
            raise ConfigError([Problem(COMMAND_LINE, "model", given, wrong, ", ".join(known), close)])
        return found

    @staticmethod
    def _models(stages: Iterable[str]) -> list[str]:
        return [stage.partition("-")[2] for stage in stages if stage.partition("-")[0] in MAKERS]

    def config(self, model: str) -> dict[str, Any]:
        """What a model was made with."""
        return next(iter(self.making(model).params.values()), {})

    def provenance(self, model: str) -> dict[str, Any]:
        """A model's provenance; nothing where the cache has it no more."""
        files = dict(files_of(self.root, self.making(model).outs[(MODELS / model).as_posix()]))
        path = files.get("provenance.json")
        return json.loads(path.read_text(encoding="utf-8")) if path and path.is_file() else {}

    def scores(self, model: str, scratch: Path) -> Path:
        """A folder below `scratch` with a model's evaluation, which is not there where that commit has none.

        Raises: ValueError where the cache does not have it.
        """
        stage, made = f"evaluate-{model}", self.locked.get(f"evaluate-{model}")
        folder = scratch / self.name.replace("/", "-") / model
        if made is None:
            return folder
        files = dict(files_of(self.root, made.outs[(EVALUATION / model).as_posix()]))
        if not files or not all(path.is_file() for path in files.values()):
            fetch = f"`dvc fetch --all-commits {stage}` takes it from a remote that has it"
            raise ValueError(f"the evaluation of {self.name}:{model} is not in DVC's cache: {fetch}")
        if folder.is_dir():
            return folder
        folder.mkdir(parents=True)
        for name, path in files.items():
            (folder / name).symlink_to(path.resolve())
        return folder

    def outdated(self, model: str) -> bool:
        """Whether its scores in that commit, where it has any, are of other weights than it has there."""
        path, evaluation = (MODELS / model).as_posix(), self.locked.get(f"evaluate-{model}")
        if evaluation is None:
            return False
        scored = evaluation.deps.get(path)
        return scored is None or scored.md5 != self.making(model).outs[path].md5

    def making(self, model: str) -> Locked:
        """The stage that makes a model, as DVC ran it."""
        return next(self.locked[stage] for kind in MAKERS if (stage := f"{kind}-{model}") in self.locked)


def files_of(root: Path, entry: Entry) -> Iterator[tuple[str, Path]]:
    """The files of a folder in the cache, by their names in it; none where it does not know which these are."""
    files = cache.folder(root)
    listed = files / entry.md5[:2] / entry.md5[2:]
    if listed.is_file():
        for one in json.loads(listed.read_text(encoding="utf-8")):
            yield one["relpath"], files / one["md5"][:2] / one["md5"][2:]
