"""A decoder's norms, gates and rotary positions by a kernel each, where a forward pass waits for launches.

A module is replaced only where a probe finds the kernel to give what the module gives, and in training its gradients
too: for random inputs and weights, once for each class, width, type and autocast state. So a family that computes
something else keeps its own way. What is replaced still takes its own way where a call is not one that was probed:
other types, another device, gradients in a block that was entered without. A backward pass may follow after the block.
Legend: R rows, H a norm's width; B batch, N heads, L positions, D a head's width.
"""

import sys
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from itertools import product
from typing import Any
from weakref import WeakKeyDictionary

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
"""Between float32 results of the kernel and the module, relative and absolute, and between gradients as a share of a
row's largest; below it 16-bit ones are equal too."""
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
    gradients: bool
    """Whether results may want a backward pass."""

    @staticmethod
    def now(device: torch.device) -> "Setting":
        return Setting(device, precision(device), torch.is_grad_enabled())


@dataclass(frozen=True)
class _Put:
    """A module's forward pass, or a file's function, that a kernel's takes the place of."""

    place: dict[str, Any]
    """The attributes of the module or file."""
    name: str
    by: Callable[..., Any]


@dataclass(frozen=True)
class _Plan:
    """What is replaced in a model, and what that rests on."""

    modules: list[_Put]
    rotate: _Put | None
    original: Any
    """The function that `rotate` takes the place of."""
    states: list[tuple[Any, tuple[Any, ...]]]
    """The modules that were looked at, and their states."""

    def holds(self, model: Any) -> bool:
        return _original(model) is self.original and all(_state(module) == state for module, state in self.states)

    def puts(self) -> list[_Put]:
        """But for a function that an outer block has replaced, for another model of the family."""
        if self.rotate is None or self.rotate.place[ROTATE] is not self.original:
            return self.modules
        return [self.rotate, *self.modules]


_VERDICTS: dict[Hashable, Any] = {}
"""Class, width, types and setting → the variant of the kernel that gives the same; None: none does."""
_PLANS: WeakKeyDictionary[nn.Module, dict[Setting, _Plan]] = WeakKeyDictionary()
"""Of each model, what is replaced in a setting: blocks are entered often."""


@contextmanager
def fused(model: Any) -> Iterator[None]:
    """Within the block the model computes by kernels what they compute alike; on a CPU it stays as it is.

    Kernels have gradients where the block is entered with gradients enabled. The first block for a model, a type and an
    autocast state probes, which waits for the device: not while a CUDA graph is captured. Where modules are `stacked`,
    hooked or adapted, they stay as they are.
    """
    puts = _plan(plain(model)).puts() if _on_gpu(model) else []
    own = [put.place.get(put.name) for put in puts]
    try:
        for put in puts:
            put.place[put.name] = put.by
        yield
    finally:
        for put, before in zip(puts, own, strict=True):
            if before is None:
                put.place.pop(put.name, None)
            else:
                put.place[put.name] = before


def _capturing() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()


def _on_gpu(model: Any) -> bool:
    return next(model.parameters()).is_cuda


def _plan(model: Any) -> _Plan:
    plans, setting = _PLANS.setdefault(model, {}), Setting.now(model.device)
    plan = plans.get(setting)
    if plan is None or not plan.holds(model):
        plan = plans[setting] = _planned(model)
    return plan


def _planned(model: Any) -> _Plan:
    modules: list[_Put | None] = []
    looked_at: list[Any] = []
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            looked_at.append(module)
            modules.append(_norm(module) if _untouched(module) else None)
        elif all(isinstance(getattr(module, name, None), nn.Module) for name in PROJECTIONS):
            parts = [module, *(getattr(module, name) for name in PROJECTIONS), getattr(module, "act_fn", None)]
            looked_at += [part for part in parts if isinstance(part, nn.Module)]
            linear = all(type(part) is nn.Linear for part in parts[1:4])
            modules.append(_mlp(module) if linear and all(map(_untouched, parts)) else None)
    found = [put for put in modules if put is not None]
    return _Plan(found, _rotary(model), _original(model), [(module, _state(module)) for module in looked_at])


def _state(module: nn.Module) -> tuple[Any, ...]:
    """What changes where a module is hooked, stacked, adapted, moved or cast."""
    own = module.__dict__
    weight = own["_parameters"].get("weight")
    place = None if weight is None else (weight.dtype, weight.device)
    return (place, own.get("act_fn"), _untouched(module), *map(id, own["_modules"].values()))


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
    from thicket.ops.kernels import elementwise_backward as kernels

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
        given = [(random.rows(len(weight)).to(dtype), weight_H) for dtype in types]

        def own(x_RH: Tensor, weight_H: Tensor) -> Tensor:
            return functional_call(module, {"weight": weight_H}, (x_RH,))

        def by_kernel(one_more: bool) -> Callable[..., Tensor]:
            return lambda x_RH, weight_H: kernels.rms_norm(x_RH, weight_H, eps, one_more)

        fitting = (one_more for one_more in (False, True) if _equal(by_kernel(one_more), own, given, setting))
        return next(fitting, None)

    one_more = _verdict((type(module), name, eps, len(weight), weight.dtype, setting), probe)
    if one_more is None:
        return None

    def forward(x: Tensor, *others: Any, **named: Any) -> Tensor:
        if others or named or not _as_probed(x, types, setting):
            return type(module).forward(module, x, *others, **named)
        return kernels.rms_norm(x, module.weight, getattr(module, name), one_more)

    return _Put(module.__dict__, "forward", forward)


def _mlp(module: Any) -> _Put | None:
    from thicket.ops.kernels import elementwise_backward as kernels

    act, weight = module.act_fn, module.gate_proj.weight
    if isinstance(act, nn.Module) and any(True for _ in act.parameters()):
        return None
    setting = Setting.now(weight.device)
    made = setting.cast_to or weight.dtype  # by the projections
    if made not in kernels.TYPES:
        return None
    types = _types(weight.dtype, setting)

    def probe() -> str | None:
        random = _Random(setting.device)

        def plainly(x_RH: Tensor) -> Tensor:
            return module.down_proj(act(module.gate_proj(x_RH)) * module.up_proj(x_RH))

        for dtype in types:
            x_RH = (random.rows(weight.shape[1]).to(dtype),)
            pairs = zip(_results(module, x_RH, setting), _results(plainly, x_RH, setting), strict=True)
            if not all(torch.allclose(*pair, equal_nan=True) for pair in pairs):
                return None
        given = [(random.rows(len(weight)).to(made), random(len(SCALES) * ROWS, len(weight)).to(made))]

        def by_kernel(kind: str) -> Callable[..., Tensor]:
            return lambda gate, up: kernels.gated(gate, up, kind)

        kinds = kernels.KINDS
        return next((kind for kind in kinds if _equal(by_kernel(kind), lambda g, u: act(g) * u, given, setting)), None)

    # A module's settings decide too, and a function is what it is.
    of_act = (type(act), *sorted(map(str, vars(act).items()))) if isinstance(act, nn.Module) else act
    kind = _verdict((type(module), of_act, weight.shape, weight.dtype, setting), probe)
    if kind is None:
        return None

    def forward(x: Tensor, *others: Any, **named: Any) -> Tensor:
        if others or named or not _as_probed(x, types, setting):
            return type(module).forward(module, x, *others, **named)
        return module.down_proj(kernels.gated(module.gate_proj(x), module.up_proj(x), kind))

    return _Put(module.__dict__, "forward", forward)


def _original(model: Any) -> Any:
    """The function by which the model rotates, also where a block has replaced it; None: it has none."""
    function: Any = getattr(_file(model), ROTATE, None)
    return function.__wrapped__ if getattr(function, "fused", False) else function


def _file(model: Any) -> Any:
    return sys.modules[type(model.base_model).__module__]


def _rotary(model: Any) -> _Put | None:
    from thicket.ops.kernels import elementwise_backward as kernels

    config, original = model.config.get_text_config(), _original(model)
    if original is None:
        return None
    setting = Setting.now(model.device)
    types = _types(model.dtype, setting)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads

    def probe() -> bool | None:
        random = _Random(setting.device)
        for dtype, of_angles in product(types, types):
            given = tuple(random(2, 3, heads, width).transpose(1, 2).to(dtype) for heads in (4, 2))
            angles = [random(2, 3, width).to(of_angles) for _ in range(2)]

            def at_angles(rotate: Callable[..., Any], angles: list[Tensor] = angles) -> Callable[..., Any]:
                return lambda q, k: rotate(q, k, *angles)

            if not _equal(at_angles(kernels.rotary), at_angles(original), [given], setting):
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
    return _Put(_file(model).__dict__, ROTATE, rotate)


def _rotatable(q_BNLD: Tensor, k_BNLD: Tensor, cos_BLD: Tensor, sin_BLD: Tensor) -> bool:
    """Whether the shapes are those that the kernel rotates: all of a head, a row of angles for each text or for all."""
    if q_BNLD.dim() != 4 or k_BNLD.dim() != 4 or cos_BLD.dim() != 3 or q_BNLD.shape[-1] % 2:
        return False
    batch, _, length, width = q_BNLD.shape
    if cos_BLD.requires_grad or sin_BLD.requires_grad:
        return False
    angles = cos_BLD.shape == sin_BLD.shape and cos_BLD.shape[1:] == (length, width) and len(cos_BLD) in (1, batch)
    return angles and (*k_BNLD.shape[:1], *k_BNLD.shape[2:]) == (batch, length, width)


def _types(own: torch.dtype, setting: Setting) -> tuple[torch.dtype, ...]:
    """What may come in: the weights' type, and under autocast what products are made of and what they are added to."""
    casting = () if setting.cast_to is None else (setting.cast_to, torch.float32)
    return tuple(dict.fromkeys((own, *casting)))


def _as_probed(x: Tensor, types: tuple[torch.dtype, ...], setting: Setting) -> bool:
    same = x.dtype in types and x.device == setting.device and precision(x.device) == setting.cast_to
    return same and (setting.gradients or not torch.is_grad_enabled())


def _equal(
    found: Callable[..., Any], expected: Callable[..., Any], given: Sequence[tuple[Tensor, ...]], setting: Setting
) -> bool:
    """Whether two functions do the same with each of the given, and where gradients count, theirs are the same."""
    for tensors in given:
        own, others = (_results(function, tensors, setting) for function in (found, expected))
        coarsest = max((one.dtype for one in tensors), key=lambda dtype: torch.finfo(dtype).eps)
        results = len(own) - len(tensors) if setting.gradients else len(own)
        for place, pair in enumerate(zip(own, others, strict=True)):
            if not alike(*pair, coarsest, by_row=place >= results):
                return False
    return True


def _results(function: Callable[..., Any], given: tuple[Tensor, ...], setting: Setting) -> list[Tensor]:
    """What a function makes of tensors; where gradients count, also theirs for random gradients of the results."""
    with torch.set_grad_enabled(setting.gradients):
        leaves = [one.detach().requires_grad_(setting.gradients) for one in given]
        made = function(*leaves)
        results = list(made) if isinstance(made, tuple) else [made]
        if not setting.gradients:
            return results
        random = _Random(setting.device, seed=1)
        slopes = [random(*one.shape).to(one.dtype) for one in results]
        return [one.detach() for one in results] + list(torch.autograd.grad(results, leaves, slopes))


def alike(found: Tensor, expected: Tensor, rounded_to: torch.dtype, by_row: bool = False) -> bool:
    """Whether results differ by no more than roundings that fall out differently; `rounded_to`: the coarsest of them.

    Not that of the results: under autocast a norm in 16 bits is multiplied by float32 weights. `by_row`: roundings are
    those of a row's largest number, as in gradients, which are differences of others.
    """
    if found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    off, size = (found.double() - expected.double()).abs(), expected.double().abs()
    if by_row:
        size = size.amax(dim=-1, keepdim=True)
    small = TOLERANCE * (size if by_row else 1 + size)
    if rounded_to == torch.float32:
        return bool((off <= small).all())
    one_rounding = off <= small + torch.finfo(rounded_to).eps * size
    return bool(one_rounding.all()) and float((off > small).double().mean()) <= ROUNDED_APART


class _Random:
    """Normal deviates by a generator of its own: a probe leaves every other draw as it is."""

    def __init__(self, device: torch.device, seed: int = 0):
        self._generator, self._device = torch.Generator().manual_seed(seed), device

    def __call__(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator).to(self._device)

    def rows(self, width: int) -> Tensor:
        """ROWS rows at each scale."""
        return torch.cat([scale * self(ROWS, width) for scale in SCALES])
