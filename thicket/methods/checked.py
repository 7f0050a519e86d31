"""A plug-in's method with its answers looked at: a wrong shape would be broadcast, and a run would learn from it.

Legend: P prompts, G responses a prompt, B = P·G rows, K trained positions, N of the rows.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from thicket.methods.method import Method, Rows, TokenLoss, Updated

Shape = tuple[int, ...]


def checked(method: Method, named: str) -> Method:
    """The same method; what one of its functions gives that does not fit raises a ValueError.

    The error names the plug-in and the method by `named`, the function, what was expected and what came.
    """
    for name, check in CHECKS.items():
        if hasattr(method, name):
            setattr(method, name, _checking(getattr(method, name), check, f"{named}: {name}()"))
    return method


def _checking(function: Callable[..., Any], check: Callable[..., None], shown: str) -> Callable[..., Any]:
    parameters = signature(function)

    @wraps(function)
    def called(*arguments: Any, **by_name: Any) -> Any:
        found = function(*arguments, **by_name)
        try:
            check(found, *parameters.bind(*arguments, **by_name).args)
        except _Unfit as error:
            raise ValueError(f"{shown} gave {error}") from None
        return found

    return called


class _Unfit(Exception):
    """What came, and what was expected."""


def _shape(found: object, expected: Shape, means: str, what: str = "") -> None:
    """Raises: _Unfit where it is no tensor of the shape; `what` is the part of the answer, empty for all of it."""
    given = f"a tensor of shape {list(found.shape)}" if isinstance(found, Tensor) else f"{type(found).__name__}"
    if not isinstance(found, Tensor) or tuple(found.shape) != expected:
        raise _Unfit(f"{given}{what and f' as {what}'}; expected a tensor of shape {list(expected)} ({means})")


def _kind(found: object, expected: type) -> None:
    if not isinstance(found, expected):
        raise _Unfit(f"{type(found).__name__}; expected {expected.__module__}.{expected.__name__}")


def _answers(found: Any, domain: str, places: Sequence[int]) -> None:
    if not isinstance(found, list) or len(found) != len(places):
        given = f"{len(found)} answers" if isinstance(found, list) else type(found).__name__
        raise _Unfit(f"{given}; expected a list of {len(places)}, the name of a model or None for each prompt")


def _useful(found: Any, earned_PG: Tensor) -> None:
    _shape(found, (len(earned_PG),), "true or false for each prompt")


def _prepare(found: Any, rows: Rows, micro_batch: int) -> None:
    _kind(found, Rows)
    expected = tuple(rows.sequences.mask_BK.shape)
    _shape(found.advantages_BK, expected, "rows, trained positions", "advantages_BK")
    for name, kept in found.kept.items():
        if not isinstance(kept, Tensor) or tuple(kept.shape[:2]) != expected:
            _shape(kept, expected, "rows, trained positions, and maybe more", f"kept[{name!r}]")


def _advantages(found: Any, rewards_PG: Tensor) -> None:
    _shape(found, tuple(rewards_PG.shape), "prompts, responses to each")


def _weights(found: Any, rows: Rows) -> None:
    _shape(found, tuple(rows.sequences.mask_BK.shape), "rows, trained positions")


def _in_order(found: Any, rows: Rows) -> None:
    """Not which rows: to look would have a GPU wait."""
    whole = isinstance(found, Tensor) and found.dtype == torch.long and found.ndim == 1
    if not whole or not 0 < len(found) <= len(rows.domains):
        given = f"a tensor of shape {list(found.shape)}, {found.dtype}" if isinstance(found, Tensor) else str(found)
        raise _Unfit(f"{given}; expected the numbers of 1 to {len(rows.domains)} rows, a tensor of torch.int64")


def _surrogate(found: Any, log_probs_BK: Tensor, *_: Any) -> None:
    _shape(found, tuple(log_probs_BK.shape), "rows, trained positions")


def _token_loss(found: Any, policy: Any, hidden_BKH: Tensor, rows: Rows) -> None:
    _kind(found, TokenLoss)
    _shape(found.loss_BK, tuple(hidden_BKH.shape[:2]), "rows, trained positions", "loss_BK")
    _figures(found.figures, tuple(hidden_BKH.shape[:2]))


def _update(found: Any, policy: Any, rows: Rows, weights_BK: Tensor) -> None:
    _kind(found, Updated)
    _shape(found.loss, (), "one number, with its gradient", "loss")
    if not found.loss.requires_grad:
        raise _Unfit("a loss without a gradient; expected one that depends on the policy's weights")
    if not isinstance(found.mask_BK, Tensor):
        _shape(found.mask_BK, tuple(rows.sequences.mask_BK.shape), "rows, trained positions", "mask_BK")
    _figures(found.figures, tuple(found.mask_BK.shape))


def _figures(figures: dict[str, Tensor], expected: Shape) -> None:
    for name, value in figures.items():
        _shape(value, expected, "rows, trained positions", f"the figure {name!r}")


CHECKS: dict[str, Callable[..., None]] = {
    "answers": _answers,
    "useful": _useful,
    "prepare": _prepare,
    "advantages": _advantages,
    "weights": _weights,
    "in_order": _in_order,
    "surrogate": _surrogate,
    "token_loss": _token_loss,
    "update": _update,
}
"""Function of a method, or of the parts that recipes of policy gradients are made of → what looks at its answer."""
