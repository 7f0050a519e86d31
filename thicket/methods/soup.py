"""Soup: the weighted mean of the teachers' weights (Wortsman et al. 2022, arXiv 2203.05482). Nothing is trained."""

from pathlib import Path

from thicket.config.stages import Teacher
from thicket.models.folder import load_model, load_tokenizer, save_model
from thicket.models.soup import mean_of


def soup(teachers: list[Teacher], folders: dict[str, Path], out: Path) -> None:
    """Writes the mean of the teachers with a weight above 0."""
    mixed = [teacher for teacher in teachers if teacher.weight > 0]
    models = [load_model(folders[teacher.name]) for teacher in mixed]
    mean = mean_of([model.state_dict() for model in models], [teacher.weight for teacher in mixed])
    models[0].load_state_dict(mean)
    save_model(models[0], load_tokenizer(folders[mixed[0].name]), out)
