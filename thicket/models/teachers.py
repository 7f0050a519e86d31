"""Frozen models that are read one after the other: one is in memory, the next is read from disk meanwhile."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from thicket.models.folder import WEIGHTS, load_model
from thicket.models.head import head_of, plain
from thicket.models.lora import with_adapter
from thicket.models.perturb import Direction, move, shift
from thicket.ops.head import Head

State = dict[str, Tensor]


@dataclass(frozen=True)
class Voice:
    """A model that teaches: the weights of a folder, a neighbour of them, or adapters over them."""

    folder: Path
    direction: Direction | None = None
    """From those weights: of a member of an ensemble."""
    adapter: Path | None = None
    """A folder of low-rank adapters; the weights stay in memory for all adapters over them."""


class Teachers:
    """Models by name. Those of one architecture take turns in one model's place, so that memory holds it once."""

    def __init__(self, voices: Mapping[str, Voice]):
        """Raises: ValueError where a folder holds no model."""
        self.voices = dict(voices)
        self._places: dict[str, PreTrainedModel] = {}
        self._in_place: dict[str, str] = {}
        self._neighbours: dict[str, Head] = {}
        self._kinds = {name: _kind(voice) for name, voice in voices.items()}
        for name, voice in voices.items():
            if self._kinds[name] not in self._places:
                model = load_model(voice.folder)
                if voice.adapter is not None:
                    model = with_adapter(model, voice.adapter, name)
                model = model.requires_grad_(False).eval()
                move(model, [voice.direction] if voice.direction else [])
                self._places[self._kinds[name]] = model
                self._in_place[self._kinds[name]] = name

    def width(self, name: str) -> int:
        """Of a model's last hidden states."""
        return plain(self._places[self._kinds[name]]).config.get_text_config().hidden_size

    @property
    def models(self) -> list[PreTrainedModel]:
        """What is in memory."""
        return list(self._places.values())

    def in_turn(self, names: Sequence[str]) -> Iterator[tuple[str, PreTrainedModel]]:
        """Each of these models, in an order that begins with those that are in memory."""
        order = sorted(names, key=lambda name: self._in_place[self._kinds[name]] != name)
        with ThreadPoolExecutor(max_workers=1) as reader:
            coming = [reader.submit(self._read, name) for name in order[:1]]
            for place, name in enumerate(order):
                state = coming.pop().result()
                coming += [reader.submit(self._read, after) for after in order[place + 1 : place + 2]]
                yield name, self._put(name, state)

    def head(self, name: str, device: torch.device, dtype: torch.dtype) -> Head:
        """A model's last layer, which is read from its files where another is in its place."""
        kind = self._kinds[name]
        found = head_of(self._places[kind])
        if self._in_place[kind] != name and self.voices[name].adapter is None:
            found = self._neighbours.get(name) or self._read_head(name, found)
        bias = None if found.bias_V is None else found.bias_V.to(device)
        return Head(found.weight_VH.to(device, dtype), bias, found.scale, found.cap)

    def _read_head(self, name: str, like: Head) -> Head:
        """A last layer from files; that of an ensemble's member is kept, for it takes longer to make than to read."""
        place, direction = self._places[self._kinds[name]], self.voices[name].direction
        wanted = {key for key, tensor in place.state_dict().items() if _same(tensor, like)}
        # In the precision of what is in place, so that a neighbour is the same wherever it is made.
        state = {key: tensor.to(like.weight_VH.dtype) for key, tensor in self._read(name, wanted).items()}
        weight = next(tensor for tensor in state.values() if tensor.dim() == like.weight_VH.dim())
        bias = next((tensor for tensor in state.values() if tensor.dim() == 1), None)
        found = Head(weight, bias, like.scale, like.cap)
        if direction is not None:
            for own, parameter in place.named_parameters():
                if _same(parameter, like):
                    shift(state.get(own, weight), own, [direction])
            self._neighbours[name] = found
        return found

    def _read(self, name: str, wanted: set[str] | None = None) -> State:
        """Tensors of a model's files, all or some; none, where the model is in its place already."""
        if wanted is None and (self.voices[name].adapter or self._in_place[self._kinds[name]] == name):
            return {}
        state: State = {}
        for path in sorted(self.voices[name].folder.glob(WEIGHTS)):
            with safe_open(path, framework="pt") as file:
                state |= {key: file.get_tensor(key) for key in file.keys() if wanted is None or key in wanted}  # noqa: SIM118
        own = self._places[self._kinds[name]].state_dict()
        if state.keys() <= own.keys() and state:
            return state
        # Some architectures' files name and shape weights otherwise than their models do.
        whole = load_model(self.voices[name].folder).state_dict()
        return {key: tensor for key, tensor in whole.items() if wanted is None or key in wanted}

    @torch.no_grad()
    def _put(self, name: str, state: State) -> PreTrainedModel:
        model, kind = self._places[self._kinds[name]], self._kinds[name]
        if self._in_place[kind] == name:
            return model
        adapter, direction = self.voices[name].adapter, self.voices[name].direction
        if adapter is not None:
            with_adapter(model, adapter, name).requires_grad_(False)
        else:
            assert state, "it was read while another was in place"
            own = model.state_dict()
            for key, tensor in state.items():
                own[key].copy_(tensor)
            move(model, [direction] if direction else [])
        self._in_place[kind] = name
        return model


def _same(tensor: Tensor, head: Head) -> bool:
    parts = [head.weight_VH] if head.bias_V is None else [head.weight_VH, head.bias_V]
    return any(tensor.data_ptr() == part.data_ptr() and tensor.shape == part.shape for part in parts)


def _kind(voice: Voice) -> str:
    """Where a model takes its turns: with those of its architecture, or with the other adapters over its weights."""
    return f"adapters over {voice.folder}" if voice.adapter is not None else _architecture(voice.folder)


def _architecture(folder: Path) -> str:
    """What two models have to share to take turns: the names and shapes of their tensors, and their config."""
    shapes = []
    for path in sorted(folder.glob(WEIGHTS)):
        with safe_open(path, framework="pt") as file:
            shapes += [f"{key} {file.get_slice(key).get_shape()}" for key in file.keys()]  # noqa: SIM118
    return f"{(folder / 'config.json').read_text(encoding='utf-8') if shapes else folder}\n" + "\n".join(sorted(shapes))
