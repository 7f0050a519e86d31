"""The tensors of model folders, read from their files one at a time, or some rows of one."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from thicket.models.folder import WEIGHTS, check_weights


class Tensors:
    """The tensors of a model folder, under their names in the files."""

    def __init__(self, folder: Path, stack: ExitStack):
        """`stack` closes the files. Raises: ValueError where the folder holds no weights."""
        check_weights(folder)
        self.folder = folder
        opened = [stack.enter_context(safe_open(path, framework="pt")) for path in sorted(folder.glob(WEIGHTS))]
        self._files: dict[str, Any] = {name: file for file in opened for name in file.keys()}  # noqa: SIM118
        self.shapes: dict[str, list[int]] = {
            name: file.get_slice(name).get_shape() for name, file in sorted(self._files.items())
        }

    def read(self, name: str, rows: slice = slice(None)) -> Tensor:
        """A tensor, or some of its rows, in its own type."""
        whole = rows == slice(None) or not self.shapes[name]
        return self._files[name].get_tensor(name) if whole else self._files[name].get_slice(name)[rows]


def check_same_shapes(base: Tensors, other: Tensors, names: tuple[str, str], how: str) -> None:
    """Raises: ValueError where one has a tensor that the other has not, or has in another shape.

    `names`: of base and other; `how`: what can't be done (`can't be merged with {}`).
    """
    own_name, other_name = names
    for name in sorted({*base.shapes, *other.shapes}):
        own, given = base.shapes.get(name), other.shapes.get(name)
        if own != given:
            raise ValueError(
                f"{other_name} {how.format(own_name)}: the tensor {name} "
                f"{_shown(given)} in {other_name} and {_shown(own)} in {own_name}"
            )


def _shown(shape: list[int] | None) -> str:
    return "is missing" if shape is None else f"is of the shape {shape}"
