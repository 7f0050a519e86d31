"""Boards that are kept for a model's next rows: what was captured once is replayed from one decoding to the next."""

from collections.abc import Hashable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from thicket.models.products import precision, release
from thicket.sampling.board import Board, Choose, Size

STEP_SLOTS, STEP_LENGTH = 32, 128
"""Sizes are rounded up to multiples of these, so that like rows share a board."""
KEPT = 16
"""One part in so many of a GPU's memory may hold what is kept of one model; beyond it nothing is."""

_kept: WeakKeyDictionary[nn.Module, dict[Hashable, Board]] = WeakKeyDictionary()


def board_for(
    models: Sequence[Any], size: Size, words: int | None, stop_ids: Sequence[int], choose: Choose, name: Hashable
) -> Board:
    """A board with room for so much. On a GPU one that is kept, if there is one, or will be.

    `name`: what else but the models decides what `choose` does; None: nothing is kept.
    """
    device = models[0].device
    if device.type != "cuda" or name is None:
        return Board(size, len(models), words, stop_ids, choose, device)
    rounded = _rounded(size)
    places = [(*_places(model), *_adapters(model)) for model in models]
    key = (name, words, tuple(stop_ids), rounded.slots, precision(device), *places)
    boards = _kept.setdefault(models[0], {})
    found = boards.pop(key, None)
    if found is None or not found.size.holds(rounded):
        found = Board(rounded, len(models), words, stop_ids, choose, device)
    boards[key] = found  # the last one that was used is at the end
    return found


def put_away(models: Sequence[Any], board: Board) -> None:
    """After its rows are written: keeps the boards that were used last, as many as there is room for."""
    boards = _kept.get(models[0], {})
    if board not in boards.values():
        return
    room = torch.cuda.get_device_properties(board.device).total_memory // KEPT
    while boards and sum(one.nbytes for one in boards.values()) > room:
        boards.pop(next(iter(boards)))
    if sum(parameter.nbytes for parameter in models[0].parameters()) > room:
        for model in models:
            release(model)
        boards.clear()


def kept(board: Board) -> bool:
    """Whether the board will be used again."""
    return any(board in boards.values() for boards in _kept.values())


def _rounded(size: Size) -> Size:
    slots = -(-size.slots // STEP_SLOTS) * STEP_SLOTS
    rows = max(slots, 1 << (size.rows - 1).bit_length())
    prompt, response = (-(-count // STEP_LENGTH) * STEP_LENGTH for count in (size.prompt, size.response))
    return Size(slots, rows, prompt, response)


def _places(model: Any) -> tuple[int, ...]:
    """Where a model's numbers lie: what was captured reads them there."""
    return tuple(tensor.data_ptr() for tensor in (*model.parameters(), *model.buffers()))


def _adapters(model: Any) -> tuple[Any, ...]:
    """Which of peft's adapters count."""
    layers = [module for module in model.modules() if hasattr(module, "lora_A")]
    return tuple((layer.disable_adapters, *layer.active_adapters) for layer in layers)
