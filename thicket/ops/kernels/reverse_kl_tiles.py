"""Tiles of logits of student and teachers, made of their hidden states, never in memory: what reverse KL needs of them.

One warp loads pieces of hidden states and heads through a ring of buffers, and goes on to the next product and the next
tile while the others still work on the last one. These multiply, and do with a tile's logits what is to be done while
they are in registers. The sum of the teachers' logits waits for the student's in shared memory, in float32: a thread
only ever reads there what it wrote itself. That leaves room for four short pieces.

For Hopper, whose matrix units read shared memory and write registers. Legend: N tokens, V vocabulary, K teachers.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from triton.experimental import gluon  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon import language as gl  # pyright: ignore[reportMissingImports]
from triton.experimental.gluon.language.nvidia.hopper import (  # pyright: ignore[reportMissingImports]
    fence_async_shared,
    mbarrier,
    tma,
    warpgroup_mma,
    warpgroup_mma_init,
    warpgroup_mma_wait,
)
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor  # pyright: ignore[reportMissingImports]

from thicket.ops.chunks import TILE
from thicket.ops.from_hidden import SUMMED, TOGETHER, WORDS
from thicket.ops.head import Head

all_here = getattr(gl, "barrier", None) or gl.thread_barrier
"""The threads of a group wait for one another; Triton 3.6 calls it by another name than later releases."""
UNIT = gl.constexpr(SUMMED)
LOG2E = gl.constexpr(1.4426950408889634)
WARPS = 8
"""That multiply: each has 16 tokens of a tile."""
REGISTERS = 168
"""Of a thread where twelve warps start (the loading one counts for four); those that multiply then get 240."""
SWIZZLED = 1024
"""Bytes that the copy engine's patterns repeat after: where it reads begins at a multiple of them."""
NOTHING = gl.constexpr(-1e30)
"""The logit of what is no word. Finite, so that nothing times it is nothing."""
HALF_MAX = gl.constexpr(65504.0)
COLUMNS = gl.constexpr(WORDS)
QUARTERS = gl.constexpr(4)
"""Parts of a tile's columns that are gone over one after another."""
QUARTER = gl.constexpr(WORDS // 4)
HEADS = gl.constexpr(TOGETHER + 1)


INNER, STAGES = 32, 4
"""Steps along the hidden width that are loaded at once, and buffers of the ring."""


def _stash_bases(columns: int) -> list[list[int]]:
    """Where elements lie: what a thread has side by side, then thread beside thread, then warps and what is left."""
    in_thread, in_warp = [[0, 1], [8, 0]], [[0, 2], [0, 4], [1, 0], [2, 0], [4, 0]]
    warps = [[row, 0] for row in (16, 32, 64)]
    return in_thread + in_warp + warps + [[0, column] for column in (8, 16, 32, 64) if column < columns]


def _constants() -> dict[str, Any]:
    """What the kernel is compiled for."""
    return {
        "WIDE": gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, WORDS, 16]),
        "NARROW": gl.NVMMADistributedLayout([3, 0], [WARPS, 1], [16, QUARTER.value, 16]),
        "STASH": gl.SharedLinearLayout(_stash_bases(QUARTER.value), alignment=SWIZZLED),
        "num_warps": WARPS,
        "maxnreg": REGISTERS,
    }


@gluon.jit
def _exp2(x):
    """As the chip gives it: 0 where it would be below the least normal number."""
    return gl.inline_asm_elementwise("ex2.approx.ftz.f32 $0, $1;", "=f,f", [x], gl.float32, is_pure=True, pack=1)


@gluon.jit
def _here(x):
    """The same, but the compiler makes what needs it no earlier than here."""
    return gl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], gl.int32, is_pure=False, pack=1)


@gluon.jit
def _next(stage, phase, STAGES: gl.constexpr):
    """The buffer after this one, and whether its barrier's turn is odd."""
    stage += 1
    return gl.where(stage == STAGES, 0, stage), gl.where(stage == STAGES, phase ^ 1, phase)


@gluon.jit
def _before(stage, STAGES: gl.constexpr):
    """The buffer before this one. Counted back: a variable that is set to another one's value stays what it was before
    the loop (Triton 3.6)."""
    return gl.where(stage == 0, STAGES - 1, stage - 1)


@gluon.jit
def _load(hidden, weight, width, row, column, left, right, full, empty, stage, phase):
    """What a product reads, piece by piece, each as soon as its buffer is free."""
    STAGES: gl.constexpr = right.shape[0]
    INNER: gl.constexpr = right.shape[2]
    BYTES: gl.constexpr = (left.shape[1] + COLUMNS) * INNER * 2
    for h in range(0, width, INNER):
        bar = full.index(stage)
        mbarrier.wait(empty.index(stage), phase ^ 1)
        mbarrier.expect(bar, BYTES)
        tma.async_copy_global_to_shared(hidden, [row, h], bar, left.index(stage))
        tma.async_copy_global_to_shared(weight, [column, h], bar, right.index(stage))
        stage, phase = _next(stage, phase, STAGES)
    return stage, phase


@gluon.jit
def _multiply(width, left, right, full, empty, stage, phase, WIDE: gl.constexpr):
    """A product, of which the next piece is always under way while one is waited for."""
    STAGES: gl.constexpr = right.shape[0]
    INNER: gl.constexpr = right.shape[2]
    ROWS: gl.constexpr = left.shape[1]
    mbarrier.wait(full.index(stage), phase)  # here, lest zeros are made while the last tile still takes all registers
    made = warpgroup_mma_init(gl.zeros([ROWS, COLUMNS], gl.float32, WIDE))
    for h in range(0, width, INNER):
        mbarrier.wait(full.index(stage), phase)
        made = warpgroup_mma(left.index(stage), right.index(stage).permute((1, 0)), made, use_acc=h > 0, is_async=True)
        made = warpgroup_mma_init(warpgroup_mma_wait(1, deps=(made,)))
        mbarrier.arrive(empty.index(_before(stage, STAGES)), pred=h > 0)
        stage, phase = _next(stage, phase, STAGES)
    made = warpgroup_mma_wait(0, deps=(made,))
    mbarrier.arrive(empty.index(_before(stage, STAGES)))
    return made, stage, phase


@gluon.jit
def _halves(x):
    """Left and right columns."""
    return x.reshape([x.shape[0], 2, x.shape[1] // 2]).permute(0, 2, 1).split()


@gluon.jit
def _quarters(x, NARROW: gl.constexpr):
    """Four parts of the columns: each thread has its own part of each."""
    left, right = _halves(x)
    a, b = _halves(left)
    c, d = _halves(right)
    return (
        gl.convert_layout(a, NARROW, assert_trivial=True),
        gl.convert_layout(b, NARROW, assert_trivial=True),
        gl.convert_layout(c, NARROW, assert_trivial=True),
        gl.convert_layout(d, NARROW, assert_trivial=True),
    )


@gluon.jit
def _logits(made, bias, scale, cap, column, words):
    """Some columns of logits as the model gives them."""
    v = column + gl.arange(0, QUARTER, gl.SliceLayout(0, made.type.layout))
    if bias is not None:
        of_bias = _here(v)
        made += gl.load(bias + of_bias, mask=of_bias < words, other=0.0).to(gl.float32)[None, :]
    if scale is not None:
        made *= scale
    if cap is not None:
        made = cap * (2 / (1 + _exp2(made * (-2 * LOG2E / cap))) - 1)
    if column + QUARTER > words:
        made = gl.where((_here(v) < words)[None, :], made, NOTHING)
    if bias is not None or cap is not None:
        all_here()  # what is live for one part is not yet for the next: else registers spill
    return made


@gluon.jit
def _top(parts):
    """The maximum of each token, times log2 e."""
    of_left = gl.maximum(gl.max(parts[0], axis=1), gl.max(parts[1], axis=1))
    of_right = gl.maximum(gl.max(parts[2], axis=1), gl.max(parts[3], axis=1))
    return gl.maximum(of_left, of_right) * LOG2E


@gluon.jit
def _pooled_at(pooled, stride, row, column, rows, part, NARROW: gl.constexpr, ROWS: gl.constexpr):
    """Where a quarter of a tile of the pooled logits lies, and what of it is there."""
    n = row + gl.arange(0, ROWS, gl.SliceLayout(1, NARROW))
    v = column + part * QUARTER + gl.arange(0, QUARTER, gl.SliceLayout(0, NARROW))
    return pooled + n[:, None].to(gl.int64) * stride + v[None, :], (n < rows)[:, None] & (v < stride)[None, :]


@gluon.jit
def _teach(
    parts, share, figures, mask, stash, pooled, stride, row, column, rows,
    FIRST: gl.constexpr, ADDS: gl.constexpr, NARROW: gl.constexpr,
):  # fmt: skip
    """Adds a teacher's logits to the sum; what normalises them goes to its figures."""
    top = _top(parts)
    total = gl.zeros_like(top)
    for part in gl.static_range(QUARTERS):
        total += gl.sum(_exp2(parts[part] * LOG2E - top[:, None]), axis=1)
        t = parts[part] * share
        if not FIRST:
            t += stash.index(part).load(NARROW)
        elif ADDS:
            at, there = _pooled_at(pooled, stride, row, column, rows, part, NARROW, stash.shape[1])
            t += gl.load(at, mask=there, other=0.0)
        stash.index(part).store(t)
    gl.store(figures, top + gl.log2(total), mask=mask)


@gluon.jit
def _compare(parts, figures, size, mask, stash, exps_out, gaps_out, row, column, NARROW: gl.constexpr):
    """Figures and halves of a tile of the student. The halves leave from where the teachers' sum was."""
    top = _top(parts)
    total = gl.zeros_like(top)
    of_s, of_gap = total, total
    for part in gl.static_range(QUARTERS):
        exps = _exp2(parts[part] * LOG2E - top[:, None])
        total += gl.sum(exps, axis=1)
        of_s += gl.sum(exps * parts[part], axis=1)
        of_gap += gl.sum(exps * (parts[part] - stash.index(part).load(NARROW)), axis=1)
    norm, mean = top + gl.log2(total), of_gap / total
    gl.store(figures, norm, mask=mask)
    gl.store(figures + size, mean, mask=mask)
    gl.store(figures + 2 * size, of_s / total, mask=mask)
    for part in gl.static_range(QUARTERS):
        gap = parts[part] - stash.index(part).load(NARROW) - mean[:, None]
        gap = gl.minimum(gl.maximum(gap, -HALF_MAX), HALF_MAX).to(gl.float16)
        exps = _exp2(parts[part] * LOG2E - (norm - UNIT)[:, None]).to(gl.float16)
        all_here()  # the sum has been read
        out = stash.index(part)._reinterpret(gl.float16, [2, stash.shape[1], QUARTER], exps_out.layout)
        out.index(0).store(exps)
        out.index(1).store(gap)
        fence_async_shared()
        all_here()
        tma.async_copy_shared_to_global(exps_out, [row, column + part * QUARTER], out.index(0))
        tma.async_copy_shared_to_global(gaps_out, [row, column + part * QUARTER], out.index(1))


@gluon.jit
def _producer(
    heads, left, right, full, empty, row_tiles, tiles, TEACHERS: gl.constexpr, COMPARES: gl.constexpr
):  # fmt: skip
    """Loads everything that the program's tiles multiply, in that order."""
    ROWS: gl.constexpr = left.shape[1]
    stage, phase = 0, 0
    for at in range(gl.program_id(0), row_tiles * tiles, gl.num_programs(0)):
        row, column = at % row_tiles * ROWS, at // row_tiles * COLUMNS
        for k in gl.static_range(HEADS):
            if k < TEACHERS or (k == HEADS - 1 and COMPARES):
                stage, phase = _load(
                    heads[k][0], heads[k][1], heads[k][3], row, column, left, right, full, empty, stage, phase
                )


@gluon.jit
def _consumer(
    heads, shares, left, right, full, empty, stash, pooled, stride, exps_out, gaps_out, figures, of_teachers,
    rows, row_tiles, tiles, words, TEACHERS: gl.constexpr, COMPARES: gl.constexpr, ADDS: gl.constexpr,
    WIDE: gl.constexpr, NARROW: gl.constexpr,
):  # fmt: skip
    """Some tokens of the program's tiles: the teachers' logits and then the student's, the last of the heads."""
    ROWS: gl.constexpr = left.shape[1]
    stage, phase = 0, 0
    for tile_at in range(gl.program_id(0), row_tiles * tiles, gl.num_programs(0)):
        tile = tile_at // row_tiles
        row, column = tile_at % row_tiles * ROWS, tile * COLUMNS
        n = row + gl.arange(0, ROWS, gl.SliceLayout(1, NARROW))
        at, size, mask = n * tiles + tile, rows * tiles, n < rows
        for k in gl.static_range(HEADS):
            if k < TEACHERS or (k == HEADS - 1 and COMPARES):
                made, stage, phase = _multiply(
                    heads[k][3], left, right, full, empty, stage, phase, WIDE
                )  # fmt: skip
                raw = _quarters(made, NARROW)
                parts = (
                    _logits(raw[0], heads[k][2], heads[k][4], heads[k][5], column, words),
                    _logits(raw[1], heads[k][2], heads[k][4], heads[k][5], column + QUARTER, words),
                    _logits(raw[2], heads[k][2], heads[k][4], heads[k][5], column + 2 * QUARTER, words),
                    _logits(raw[3], heads[k][2], heads[k][4], heads[k][5], column + 3 * QUARTER, words),
                )
                if k == 0:
                    tma.store_wait(0)  # the halves of the tile before have left the place of the sum
                    all_here()
                if k == HEADS - 1:
                    _compare(parts, figures + at, size, mask, stash, exps_out, gaps_out, row, column, NARROW)
                else:
                    _teach(
                        parts, shares[k], of_teachers + k * size + at, mask, stash, pooled, stride, row, column, rows,
                        k == 0, ADDS, NARROW,
                    )  # fmt: skip
        if not COMPARES:
            for part in gl.static_range(QUARTERS):
                place, there = _pooled_at(pooled, stride, row, column, rows, part, NARROW, ROWS)
                gl.store(place, stash.index(part).load(NARROW), mask=there)
    tma.store_wait(0)


@gluon.jit(
    do_not_specialize=["stride", "rows", "row_tiles", "tiles", "words"],
    do_not_specialize_on_alignment=["figures", "of_teachers"],
)
def _tiles(
    hidden_a, weight_a, bias_a, width_a, scale_a, cap_a, share_a,
    hidden_b, weight_b, bias_b, width_b, scale_b, cap_b, share_b,
    hidden_c, weight_c, bias_c, width_c, scale_c, cap_c, share_c,
    hidden_d, weight_d, bias_d, width_d, scale_d, cap_d, share_d,
    hidden, weight, bias, width, scale, cap, pooled, stride, exps_out, gaps_out, figures, of_teachers,
    rows, row_tiles, tiles, words, TEACHERS: gl.constexpr, COMPARES: gl.constexpr, ADDS: gl.constexpr,
    STAGES: gl.constexpr, WIDE: gl.constexpr, NARROW: gl.constexpr, STASH: gl.constexpr,
):  # fmt: skip
    """Up to four teachers, and the student beside them where it is given; else their sum goes to the pooled logits."""
    heads = (
        (hidden_a, weight_a, bias_a, width_a, scale_a, cap_a),
        (hidden_b, weight_b, bias_b, width_b, scale_b, cap_b),
        (hidden_c, weight_c, bias_c, width_c, scale_c, cap_c),
        (hidden_d, weight_d, bias_d, width_d, scale_d, cap_d),
        (hidden, weight, bias, width, scale, cap),
    )
    shares = (share_a, share_b, share_c, share_d)
    ROWS: gl.constexpr = hidden_a.block_shape[0]
    INNER: gl.constexpr = hidden_a.block_shape[1]
    left = gl.allocate_shared_memory(gl.bfloat16, [STAGES, ROWS, INNER], hidden_a.layout)
    right = gl.allocate_shared_memory(gl.bfloat16, [STAGES, COLUMNS, INNER], weight_a.layout)
    stash = gl.allocate_shared_memory(gl.float32, [QUARTERS, ROWS, QUARTER], STASH)
    full = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    empty = gl.allocate_shared_memory(gl.int64, [STAGES, 1], mbarrier.MBarrierLayout())
    for stage in gl.static_range(STAGES):
        mbarrier.init(full.index(stage), count=1)
        mbarrier.init(empty.index(stage), count=1)
    gl.warp_specialize(
        [
            (_consumer, (
                heads, shares, left, right, full, empty, stash, pooled, stride, exps_out, gaps_out, figures,
                of_teachers, rows, row_tiles, tiles, words, TEACHERS, COMPARES, ADDS, WIDE, NARROW,
            )),
            (_producer, (heads, left, right, full, empty, row_tiles, tiles, TEACHERS, COMPARES)),
        ],
        [1],
        [24],
    )  # fmt: skip


_KERNEL: Any = _tiles


def read_tiles(
    teachers: Sequence[tuple[Tensor, Head]],
    shares: Sequence[float],
    student: tuple[Tensor, Head] | None,
    halves: tuple[Tensor, Tensor],
    pooled_NV: Tensor | None,
    figures: Tensor,
    of_teachers: Tensor,
    words: int,
    adds: bool,
) -> None:
    """Figures and halves of the student beside at most `TOGETHER` teachers; without a student their pooled logits.

    With `adds` the teachers come on top of what is pooled already. Figures of each tile, of rows and tiles: those of
    the student, and one of each teacher.
    """
    rows = len(teachers[0][0])
    row_tiles, tiles = -(-rows // TILE), -(-words // WORDS)
    asked = [(*_read(*teacher), share) for teacher, share in zip(teachers, shares, strict=True)]
    taught = tuple(chain.from_iterable(asked)) + (None,) * (len(asked[0]) * (TOGETHER - len(asked)))
    read = (None,) * (len(asked[0]) - 1) if student is None else _read(*student)
    out = (None, None) if student is None else tuple(_written(half) for half in halves)
    programs = torch.cuda.get_device_properties(figures.device).multi_processor_count
    _KERNEL[(min(programs, row_tiles * tiles),)](
        *taught, *read, pooled_NV, halves[0].stride(0), *out, figures, of_teachers, rows, row_tiles, tiles, words,
        TEACHERS=len(teachers), COMPARES=student is not None, ADDS=adds, STAGES=STAGES, **_constants(),
    )  # fmt: skip


def _read(hidden_NH: Tensor, head: Head) -> tuple[Any, ...]:
    """Hidden states and head as the copy engine takes them, and what else makes logits of them."""
    hidden = _tiled(hidden_NH, [TILE, INNER], gl.bfloat16)
    weight = _tiled(head.weight_VH, [WORDS, INNER], gl.bfloat16)
    return hidden, weight, head.bias_V, hidden_NH.shape[1], None if head.scale == 1 else head.scale, head.cap


def _written(half_NV: Tensor) -> Any:
    """What the copy engine writes a part of a tile to."""
    return _tiled(half_NV, [TILE, QUARTER.value], gl.float16)


def _tiled(matrix: Tensor, block: list[int], dtype: Any) -> Any:
    return TensorDescriptor.from_tensor(matrix, block, gl.NVMMASharedLayout.get_default_for(block, dtype))
