"""Two processes, each with a half of the tokens, sum up to one with all of them."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed
from torch.multiprocessing.spawn import spawn

from thicket.ops import distillation
from thicket.ops.chunked import chunked_loss
from thicket.ops.chunks import Setting, Teaching
from thicket.ops.head import Head

N, H, V = 12, 6, 29


def gradients(tokens: slice) -> list[Tensor]:
    """Of the loss of some tokens, weighted as in the whole batch: on the head and on a trunk of one matrix."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((N, 4), (4, H), (V, H), (N, H), (V, H))
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    inputs, trunk, weight, teacher, head = drawn
    for leaf in (trunk, weight):
        leaf.requires_grad_()
    hidden = inputs[tokens] @ trunk
    taught = Teaching(slice(0, len(hidden)), [Head(head)], [teacher[tokens]], torch.ones(1))
    setting = Setting(distillation.reverse_kl, None, V, chunk_bytes=1000)
    ids, weights = torch.zeros(len(hidden), dtype=torch.long), torch.full((len(hidden),), 1 / N, dtype=torch.float64)
    loss, _, _ = chunked_loss(hidden, Head(weight), [taught], ids, weights, setting)
    return list(torch.autograd.grad(loss, [trunk, weight]))


def work(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    summed = gradients(slice(0, 5) if rank == 0 else slice(5, N))
    for gradient in summed:
        distributed.all_reduce(gradient)
    torch.save(summed, f"{folder}/{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.skipif(not distributed.is_available(), reason="this torch has no distributed package")
def test_two_processes_equal_one(tmp_path: Path) -> None:
    spawn(work, (str(tmp_path),), nprocs=2)
    whole = gradients(slice(0, N))
    for rank in range(2):
        for found, expected in zip(torch.load(tmp_path / f"{rank}.pt"), whole, strict=True):
            torch.testing.assert_close(found, expected)
