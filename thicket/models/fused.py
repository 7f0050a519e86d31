"""A decoder's norms, gates and rotary positions by a kernel each, where a forward pass waits for launches.

A module is replaced only where a probe finds the kernel to give what the module gives: for random inputs and weights,
once for each class, width, type and autocast state. So a family that computes something else keeps its own way. What is
replaced still takes its own way where a call is not one that was probed: other types, gradients, another device.
Legend: R rows, H a norm's width; B batch, N heads, L positions, D a head's width.
"""

import sys
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from thicket.models.head import plain
from thicket.models.products import precision

EPSILONS = ("variance_epsilon", "eps")
"""What families call the number that keeps a norm from dividing by 0."""
PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
ROTATE = "apply_rotary_pos_emb"
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
TOLERANCE = 1e-6
"""Between float32 results of the kernel and the module, relative and absolute; below it 16-bit ones are equal too."""
ROUNDED_APART = 0.02
"""Part of the 16-bit results that may be one rounding apart: those near the middle of two numbers. A norm that rounds
at another place has ten times as many."""
SCALES = (1.0, 1e-3, 30.0)
"""Of a probe's rows: ordinary ones, ones at which a norm's epsilon counts, and large ones."""
ROWS = 4
"""Of a probe, at each scale."""


@dataclass(frozen=True)
class Setting:
    """What decides, beside a module's class, whether a kernel gives its results."""

    device: torch.device
    cast_to: torch.dtype | None
    """What autocast, where it is on, makes matrix products of."""

    @staticmethod
    def now(device: torch.device) -> "Setting":
        return Setting(device, precision(device))


@dataclass(frozen=True)
class _Put:
    """A forward pass, or a module's function, that a kernel's takes the place of."""

    place: Any
    name: str
    by: Callable[..., Any]


_VERDICTS: dict[Hashable, Any] = {}
"""Class, width, types and setting → the variant of the kernel that gives the same; None: none does."""


@contextmanager
def fused(model: Any) -> Iterator[None]:
    """Within the block the model computes by kernels what they compute alike; on a CPU it stays as it is.

    The first block for a model, a type and an autocast state probes, which waits for the device: not while a CUDA graph
    is captured. Where modules are `stacked`, hooked or adapted, they stay as they are.
    """
    puts = _substitutions(plain(model)) if _on_gpu(model) else []
    own = [(put, put.place.__dict__.get(put.name)) for put in puts]
    try:
        for put in puts:
            setattr(put.place, put.name, put.by)
        yield
    finally:
        for put, before in own:
            if before is None:
                put.place.__dict__.pop(put.name, None)
            else:
                setattr(put.place, put.name, before)


def _capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _on_gpu(model: Any) -> bool:
    return next(model.parameters()).is_cuda


@torch.no_grad()
def _substitutions(model: Any) -> list[_Put]:
    made: list[_Put | None] = [_rotary(model)]
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm") and _untouched(module):
            made.append(_norm(module))
        elif all(type(getattr(module, name, None)) is nn.Linear for name in PROJECTIONS):
            parts = [module, *(getattr(module, name) for name in PROJECTIONS), getattr(module, "act_fn", None)]
            made.append(_mlp(module) if all(_untouched(part) for part in parts) else None)
    return [put for put in made if put is not None]


def _untouched(module: Any) -> bool:
    """Whether its class alone says what it computes."""
    own = getattr(module, "__dict__", {})
    return callable(module) and "forward" not in own and not any(own.get(name) for name in HOOKS)


def _verdict(key: Hashable, probe: Callable[[], Any]) -> Any:
    """The probe's result for this key, found once. Of a module that can't be probed nothing is known to be alike."""
    if key not in _VERDICTS:
        assert not _capturing(), "fused: a first block probes, and can't be captured"
        try:
            _VERDICTS[key] = probe()
        except Exception:
            _VERDICTS[key] = None
    return _VERDICTS[key]


def _norm(module: Any) -> _Put | None:
    from thicket.ops.kernels import elementwise as kernels

    weight = getattr(module, "weight", None)
    name = next((name for name in EPSILONS if isinstance(getattr(module, name, None), float)), None)
    if name is None or not isinstance(weight, Tensor) or weight.dim() != 1 or weight.dtype not in kernels.TYPES:
        return None
    if len(list(module.parameters())) > 1:
        return None
    setting = Setting.now(weight.device)
    types, eps = _types(weight.dtype, setting), getattr(module, name)

    def probe() -> bool | None:
        random = _Random(setting.device)
        weight_H = random(len(weight)).add(0.5).to(weight.dtype)
        given = [random.rows(len(weight)).to(dtype) for dtype in types]
        expected = [functional_call(module, {"weight": weight_H}, (x_RH,)) for x_RH in given]
        for one_more in (False, True):
            found = [kernels.rms_norm(x_RH, weight_H, eps, one_more) for x_RH in given]
            if all(map(alike, found, expected, types)):
                return one_more
        return None

    one_more = _verdict((type(module), name, eps, len(weight), weight.dtype, setting), probe)
    if one_more is None:
        return None

    def forward(x: Tensor, *others: Any, **named: Any) -> Tensor:
        if others or named or not _as_probed(x, types, setting):
            return type(module).forward(module, x, *others, **named)
        return kernels.rms_norm(x, module.weight, getattr(module, name), one_more)

    return _Put(module, "forward", forward)


def _mlp(module: Any) -> _Put | None:
    from thicket.ops.kernels import elementwise as kernels

    act, weight = module.act_fn, module.gate_proj.weight
    if isinstance(act, nn.Module) and any(True for _ in act.parameters()):
        return None
    setting = Setting.now(weight.device)
    made = setting.cast_to or weight.dtype  # by the projections
    if made not in kernels.TYPES:
        return None

    def probe() -> str | None:
        random = _Random(setting.device)
        for dtype in _types(weight.dtype, setting):
            x_RH = random.rows(weight.shape[1]).to(dtype)
            plainly = module.down_proj(act(module.gate_proj(x_RH)) * module.up_proj(x_RH))
            if not torch.allclose(module(x_RH), plainly, equal_nan=True):
                return None
        gate, up = random.rows(len(weight)).to(made), random(len(SCALES) * ROWS, len(weight)).to(made)
        fitting = (kind for kind in kernels.KINDS if alike(kernels.gated(gate, up, kind), act(gate) * up, made))
        return next(fitting, None)

    # A module's settings decide too, and a function is what it is.
    of_act = (type(act), *sorted(map(str, vars(act).items()))) if isinstance(act, nn.Module) else act
    kind = _verdict((type(module), of_act, weight.shape, weight.dtype, setting), probe)
    if kind is None:
        return None
    types = _types(weight.dtype, setting)

    def forward(x: Tensor, *others: Any, **named: Any) -> Tensor:
        if others or named or not _as_probed(x, types, setting):
            return type(module).forward(module, x, *others, **named)
        return module.down_proj(kernels.gated(module.gate_proj(x), module.up_proj(x), kind))

    return _Put(module, "forward", forward)


def _rotary(model: Any) -> _Put | None:
    from thicket.ops.kernels import elementwise as kernels

    file, config = sys.modules[type(model.base_model).__module__], model.config.get_text_config()
    original: Any = getattr(file, ROTATE, None)
    # Replaced already: by an outer block, for another model of the family.
    if original is None or getattr(original, "fused", False):
        return None
    setting = Setting.now(model.device)
    types = _types(model.dtype, setting)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    def probe() -> bool | None:
        random = _Random(setting.device)
        for dtype, of_angles in product(types, types):
            q, k = (random(2, 3, heads, width).transpose(1, 2).to(dtype) for heads in (4, 2))
            cos, sin = (random(2, 3, width).to(of_angles) for _ in range(2))
            made = torch.promote_types(dtype, of_angles)
            pairs = zip(kernels.rotary(q, k, cos, sin), original(q, k, cos, sin), strict=True)
            if not all(alike(found, expected, made) for found, expected in pairs):
                return None
        return True

    if _verdict((original, width, types, setting), probe) is None:
        return None

    @wraps(original)
    def rotate(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor, *others: Any, **named: Any) -> tuple[Tensor, Tensor]:
        given = (q, k, cos, sin)
        if others or named or not _rotatable(*given) or not all(_as_probed(one, types, setting) for one in given):
            return original(*given, *others, **named)
        return kernels.rotary(*given)

    rotate.fused = True  # type: ignore[attr-defined]
    return _Put(file, ROTATE, rotate)


def _rotatable(q_BNLD: Tensor, k_BNLD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> bool:
    """Whether the shapes are those that the kernel rotates: all of a head, a row of angles for each text or for all."""
    if q_BNLD.dim() != 4 or k_BNLD.dim() != 4 or cos_BLD.dim() != 3 or q_BNLD.shape[-1] % 2:
        return False
    batch, _, length, width = q_BNLD.shape
    angles = cos_BLD.shape == sin_BLD.shape and cos_BLD.shape[1:] == (length, width) and len(cos_BLD) in (1, batch)
    return angles and (*k_BNLD.shape[:1], *k_BNLD.shape[2:]) == (batch, length, width)


def _types(own: torch.dtype, setting: Setting) -> tuple[torch.dtype, ...]:
    """What may come in: the weights' type, and under autocast what products are made of and what they are added to."""
    casting = () if setting.cast_to is None else (setting.cast_to, torch.float32)
    return tuple(dict.fromkeys((own, *casting)))


def _as_probed(x: Tensor, types: tuple[torch.dtype, ...], setting: Setting) -> bool:
    same = x.dtype in types and x.device == setting.device and precision(x.device) == setting.cast_to
    return same and not torch.is_grad_enabled()


def alike(found: Tensor, expected: Tensor, rounded_to: torch.dtype) -> bool:
    """Whether results differ by no more than roundings that fall out differently; `rounded_to`: the coarsest of them.

    Not that of the results: under autocast a norm in 16 bits is multiplied by float32 weights.
    """
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    off, size = (found.double() - expected.double()).abs(), expected.double().abs()
    small = TOLERANCE * (1 + size)
    if rounded_to == torch.float32:
        return bool((off <= small).all())
    one_rounding = off <= small + torch.finfo(rounded_to).eps * size
    return bool(one_rounding.all()) and float((off > small).double().mean()) <= ROUNDED_APART


class _Random:
    """Normal deviates by a generator of its own: a probe leaves every other draw as it is."""

    def __init__(self, device: torch.device):
        self._generator, self._device = torch.Generator().manual_seed(0), device

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator).to(self._device)

    def rows(self, width: int) -> Tensor:
        """ROWS rows at each scale."""
        return torch.cat([scale * self(ROWS, width) for scale in SCALES])
