"""Whether what a stage reads is there, and was made with what the configs now say."""

from pathlib import Path

from thicket.config.named_files import named_files
from thicket.config.places import BUILD
from thicket.config.resolve import Resolved
from thicket.config.yamlfile import read_yaml


def missing_files(root: Path, stages: list[Resolved]) -> dict[Path, tuple[str, str]]:
    """Files and folders that are not there → who names them, and where. What lies in build/ may be made yet."""
    missing = {}
    for made in stages:
        for place, path in named_files(made.stage):
            inside = (root / path).resolve().is_relative_to((root / BUILD).resolve())
            if not inside and not (root / path).exists():
                missing[path] = (made.id, made.layers.origin(place))
    return missing


def outdated(root: Path, stages: list[Resolved], wanted: Resolved) -> list[str]:
    """The stages whose artifacts a stage reads, and that DVC last ran with another config or other code than now."""
    lock = root / "dvc.lock"
    made = read_yaml(lock, lock.name).value["stages"] if lock.is_file() else {}
    read = {*(f"data-{domain}" for domain in wanted.domains)}
    read |= {f"{kind}-{model}" for kind in ("base", "specialist", "student") for model in wanted.models}
    now = {stage.id: stage.stage.model_dump(mode="json") for stage in stages if stage.id in read & made.keys()}
    return [name for name, config in now.items() if config not in made[name].get("params", {}).values()]
