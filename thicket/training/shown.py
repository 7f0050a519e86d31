"""Which responses of a training are kept for people to read: few, and more often in its beginning."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from thicket.config.shown import Shown
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollouts import Response
from thicket.training.asking import Arena

RESPONSES = 4
"""That are kept of a prompt."""
CHARACTERS = 2000
"""That are kept of a text."""


class _Rollout(Protocol):
    @property
    def prompt(self) -> list[int]: ...
    @property
    def response(self) -> Response: ...
    @property
    def arena(self) -> Arena: ...
    @property
    def own(self) -> bool: ...


AnyRollout = TypeVar("AnyRollout", bound=_Rollout)


def is_shown(step: int) -> bool:
    """Whether responses of a step, counted from 1, are kept: of the first, and as often as their number has doubled."""
    return step & (step - 1) == 0


def shown(
    step: int,
    rollouts: Sequence[AnyRollout],
    group: int,
    tokenizer: Tokenizer,
    reward: Callable[[AnyRollout], float] | None,
) -> list[Shown]:
    """The first responses to the first prompt of each domain; rollouts come in groups of one prompt."""
    kept: dict[str, list[Shown]] = {}
    for first in range(0, len(rollouts), group):
        name = rollouts[first].arena.domain.name
        if name in kept:
            continue
        kept[name] = [
            Shown(
                step=step,
                domain=name,
                prompt=_cut(tokenizer.decode(one.prompt, skip_special_tokens=True)),
                response=_cut(one.response.text),
                reward=None if reward is None else reward(one),
                tokens=len(one.response.tokens),
                own=one.own,
            )
            for one in rollouts[first : first + min(group, RESPONSES)]
        ]
    return [one for of_domain in kept.values() for one in of_domain]


def _cut(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}…"
