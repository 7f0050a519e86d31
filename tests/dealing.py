"""Work that is dealt out, to as many processes as it has items, which have their turns in this one."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from thicket import ranks


@dataclass
class Dealings:
    """What was dealt out."""

    shares: list[list[int]] = field(default_factory=list)
    """Of each dealing, the bytes of what its shares handed round."""
    within: bool = False
    """Whether a share is worked at: there nothing is dealt out, as in `ranks.spread`."""

    def spread(self, items: Sequence[Any], work: Callable[[Sequence[Any]], Sequence[Any]]) -> list[Any]:
        if self.within:
            return list(work(items))
        self.within = True
        handed = [pickle.dumps(work([item])) for item in items]
        self.within = False
        self.shares.append(list(map(len, handed)))
        return [made for share in handed for made in pickle.loads(share)]


def dealt(monkeypatch: pytest.MonkeyPatch) -> Dealings:
    """From here on every item is a share of its own, which is handed round."""
    dealings = Dealings()
    monkeypatch.setattr(ranks, "spread", dealings.spread)
    return dealings
