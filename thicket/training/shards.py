"""AdamW whose state is dealt out to the processes of a stage (`trainer.strategy: fsdp`).

Each process holds a part of every parameter's moments, and the sum of its gradient, for that part alone; it moves its
part of the weights, and the parts are put together again after each update (ZeRO stage 2, Rajbhandari et al. 2019,
arXiv 1910.02054; FSDP calls it SHARD_GRAD_OP). The weights themselves stay whole: they write the next rollouts, token
by token. Checkpoints hold what one process's AdamW would write. Legend: R processes, N elements, S = ⌈N/R⌉ of a part.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from thicket import ranks

BUCKET = 2**24
"""Elements of parameters that are dealt out, or put together, at once."""
MOMENTS = ("exp_avg", "exp_avg_sq")
# Torch 2.13 calls them otherwise than those before it.
_sum_parts: Any = getattr(distributed, "reduce_scatter_single", distributed.reduce_scatter_tensor)
_gather_parts: Any = getattr(distributed, "all_gather_single", distributed.all_gather_into_tensor)


class DealtAdamW(torch.optim.AdamW):
    """AdamW over this process's parts of the parameters, which share the parameters' memory."""

    def __init__(self, groups: Sequence[dict[str, Any]], **settings: Any):
        self.whole: list[nn.Parameter] = [parameter for group in groups for parameter in group["params"]]
        of_whole = {parameter: nn.Parameter(_part(parameter)) for parameter in self.whole}
        dealt = [{**group, "params": [of_whole[parameter] for parameter in group["params"]]} for group in groups]
        self.parts = list(of_whole.values())
        super().__init__(dealt, **settings)

    @torch.no_grad()
    def deal_gradients(self) -> None:
        """Sums up the parameters' gradients over the processes; each keeps those of its parts."""
        pairs = [(whole, part) for whole, part in zip(self.whole, self.parts, strict=True)]
        has = ranks.somewhere([whole.grad is not None for whole, _ in pairs])
        for bucket in _buckets([pair for pair, there in zip(pairs, has, strict=True) if there]):
            given_RS = torch.cat([_in_parts(_gradient(whole)) for whole, _ in bucket], dim=1)
            for whole, _ in bucket:
                whole.grad = None
            own_S = torch.empty_like(given_RS[0])
            _sum_parts(own_S, given_RS.flatten())
            for (_, part), found in zip(bucket, own_S.split([_size(whole) for whole, _ in bucket]), strict=True):
                part.grad = found[: part.numel()]

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Moves the parts, and puts the parameters together again."""
        made = super().step(closure)
        for bucket in _buckets(list(zip(self.whole, self.parts, strict=True))):
            sizes = [_size(whole) for whole, _ in bucket]
            together_RS = _together([part for _, part in bucket], sizes)
            for (whole, _), of_R in zip(bucket, together_RS.split(sizes, dim=1), strict=True):
                whole.copy_(of_R.flatten()[: whole.numel()].view_as(whole))
        return made

    @torch.no_grad()
    def state_dict(self) -> dict[str, Any]:
        """That of an AdamW over the whole parameters, in every process."""
        saved = super().state_dict()
        for place, own in saved["state"].items():
            whole = self.whole[place]
            moments = {name: _together([own[name]], [_size(whole)]).flatten() for name in MOMENTS}
            moments = {name: moment[: whole.numel()].view_as(whole).cpu() for name, moment in moments.items()}
            saved["state"][place] = {**own, **moments}
        return saved

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes its parts of what an AdamW over the whole parameters has saved."""
        parts = {
            place: {**own, **{name: _part(own[name]).clone() for name in MOMENTS}}
            for place, own in state_dict["state"].items()
        }
        super().load_state_dict({**state_dict, "state": parts})


def _size(whole: Tensor) -> int:
    return -(-whole.numel() // ranks.count())


def _part(whole: Tensor) -> Tensor:
    """This process's elements, in the memory of all; the last processes may have fewer, or none."""
    first = ranks.number() * _size(whole)
    return whole.detach().view(-1)[first : first + _size(whole)]


def _gradient(whole: nn.Parameter) -> Tensor:
    return torch.zeros_like(whole) if whole.grad is None else whole.grad


def _in_parts(whole: Tensor) -> Tensor:
    """Everyone's elements, RS, with zeros at the end."""
    padding = _size(whole) * ranks.count() - whole.numel()
    return nn.functional.pad(whole.reshape(-1), (0, padding)).view(ranks.count(), -1)


def _together(parts: Sequence[Tensor], sizes: Sequence[int]) -> Tensor:
    """Everyone's parts, RS, those of a process one after the other."""
    own_S = torch.cat([nn.functional.pad(part, (0, size - len(part))) for part, size in zip(parts, sizes, strict=True)])
    together = own_S.new_empty(ranks.count() * len(own_S))
    _gather_parts(together, own_S)
    return together.view(ranks.count(), -1)


def _buckets(pairs: Sequence[tuple[nn.Parameter, nn.Parameter]]) -> Iterator[list[tuple[nn.Parameter, nn.Parameter]]]:
    """Runs of parameters of one type."""
    bucket: list[tuple[nn.Parameter, nn.Parameter]] = []
    for pair in pairs:
        many = sum(whole.numel() for whole, _ in [*bucket, pair]) > BUCKET
        if bucket and (many or pair[0].dtype != bucket[0][0].dtype):
            yield bucket
            bucket = []
        bucket.append(pair)
    if bucket:
        yield bucket
