"""The kernel against plain torch, to the bit: on a GPU, and in Triton's interpreter wherever Triton is installed."""

import pytest
import torch
from interpreter import DEVICE, INTERPRETED, TYPES, on_kernel, outside, passes_interpreted
from small_models import random_llama
from torch import Tensor
from words import unmixed

from thicket.models.perturb import Direction, Neighbourhood, Weights, Writer, move
from thicket.ops import draws, noise

BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}
SHAPES = {"odd": (61, 151), "norm.weight": (7,), "long": (17_000,), "exact": (4, 2048), "one": (), "none": (0, 3)}
"""Elements that divide a stretch of the kernel and that don't, one program's and several's."""


@pytest.mark.slow
@outside
def test_interpreted() -> None:
    passes_interpreted(__file__)


def bits(values: Tensor) -> Tensor:
    return values.cpu().view(BITS[values.dtype])


def random(dtype: torch.dtype) -> Weights:
    """Weights on the CPU, among them zeros of both signs."""
    generator = torch.Generator().manual_seed(3)
    weights = {name: torch.randn(shape, generator=generator).mul_(0.02).to(dtype) for name, shape in SHAPES.items()}
    for values in weights.values():
        values.view(-1)[:3] = 0.0
        values.view(-1)[1:2] = -0.0
    return weights


def by_kernel(centre: Weights, neighbours: list[list[Direction]], in_place: bool = False) -> Weights:
    base = {name: values.to(DEVICE, copy=True) for name, values in centre.items()}
    out = {name: values.new_full((len(neighbours), *values.shape), 7.0) for name, values in base.items()}
    writer = Writer(base if in_place else out, base, len(neighbours))
    if INTERPRETED:
        writer._fits_kernel = lambda: True
    writer.write(neighbours)
    assert writer._launches
    if not in_place:
        assert all(bits(values).equal(bits(centre[name])) for name, values in base.items())
    return base if in_place else out


def by_torch(centre: Weights, neighbours: list[list[Direction]]) -> Weights:
    out = {name: values.new_empty(len(neighbours), *values.shape) for name, values in centre.items()}
    Writer(out, centre, len(neighbours)).write(neighbours)
    return out


@on_kernel
@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:overflow encountered")  # by the interpreter, which has to make infinities too
@pytest.mark.parametrize("dtype", TYPES, ids=str)
@pytest.mark.parametrize(
    "weights",
    [[1e-3], [], [-0.3], [1e-3, -7e-4, 0.1, 2.0, 1e-20, -1e-3], [2.0**-106, -(2.0**-100)], [3e38]],
    ids=["one", "still", "negative", "several", "tiny", "vast"],
)
def test_the_kernel_is_plain_torch_to_the_bit(dtype: torch.dtype, weights: list[float]) -> None:
    centre, steps = random(dtype), [Direction(seed, weight) for seed, weight in enumerate(weights)]
    found, expected = by_kernel(centre, [steps]), by_torch(centre, [steps])
    for name, values in expected.items():
        assert not values.isnan().any()
        assert bits(found[name]).equal(bits(values)), name


@on_kernel
@pytest.mark.gpu
def test_in_place() -> None:
    centre, steps = random(torch.float16), [Direction(5, 0.1), Direction(6, -0.2)]
    found, expected = by_kernel(centre, [steps], in_place=True), by_torch(centre, [steps])
    assert all(bits(found[name]).equal(bits(values[0])) for name, values in expected.items())


@on_kernel
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_neighbours_of_several_lengths_in_one_launch(dtype: torch.dtype) -> None:
    """The second's rows begin in the middle of 16 bytes; the third stays, with its zeros' signs."""
    rows = [[Direction(2**63 + 5, 0.01)], [Direction(1, -0.5), Direction(2, 0.25)], []]
    centre = random(dtype)
    found, expected = by_kernel(centre, rows), by_torch(centre, rows)
    for name, values in expected.items():
        assert bits(found[name]).equal(bits(values)), name
        assert bits(values[2]).equal(bits(centre[name]))


@on_kernel
@pytest.mark.gpu
def test_types_side_by_side() -> None:
    centre = {"norm": torch.ones(33), "weight": torch.ones(70, 30, dtype=torch.float16)}
    steps = [[Direction(8, 0.1)]]
    found, expected = by_kernel(centre, steps), by_torch(centre, steps)
    assert all(bits(found[name]).equal(bits(values)) for name, values in expected.items())


@on_kernel
@pytest.mark.gpu
def test_a_model_goes_to_its_neighbour_and_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    steps, expected, model = [Direction(1, 0.1), Direction(2, -0.2)], random_llama(), random_llama().to(DEVICE)  # type: ignore[arg-type]
    centre = {name: weight.detach().clone() for name, weight in expected.named_parameters()}
    move(expected, steps)
    neighbour = dict(expected.named_parameters())
    if INTERPRETED:
        monkeypatch.setattr(Writer, "_fits_kernel", lambda self: True)
    around = Neighbourhood(model)
    with around.at(*steps):
        assert all(weight.cpu().equal(neighbour[name]) for name, weight in model.named_parameters())
    assert all(weight.cpu().equal(centre[name]) for name, weight in model.named_parameters())
    around.walk(*steps)
    assert all(weight.cpu().equal(neighbour[name]) for name, weight in model.named_parameters())


@on_kernel
@pytest.mark.gpu
def test_elements_beyond_what_32_bits_count() -> None:
    """The last elements of a parameter of 2^33 and some: only they lie in memory."""
    from thicket.ops.kernels import noise as kernels

    part, size = 2**20, 5_000
    first = part * kernels.BLOCK * kernels.STRETCHES
    assert first == 2**33
    values = torch.zeros(size, device=DEVICE)
    at = values.data_ptr() - first * values.element_size()
    kernels._SHIFT[(1, 1)](
        torch.tensor([[at, at, first + size]], device=DEVICE),
        torch.tensor([[0, part]], dtype=torch.int32, device=DEVICE),
        noise.streams([9], draws.keys_tensor([noise.number_of("weight")])).to(DEVICE),
        torch.tensor([2.0**-noise.SCALE_BITS], device=DEVICE),
        torch.tensor([1], dtype=torch.int32, device=DEVICE),
        kernels.table(values.device),
        1,
        1,
        TYPE=kernels.TYPES[values.dtype],
        BLOCK=kernels.BLOCK,
        STRETCHES=kernels.STRETCHES,
        EVERY=True,
        enable_fp_fusion=False,
    )
    assert values.cpu().equal(noise.normal(noise.key_of(9, "weight"), first, first + size))


@on_kernel
@pytest.mark.gpu
def test_every_octave() -> None:
    """Words that no sample reaches, among them the table's ends: each is the only element of a parameter."""
    from thicket.ops.kernels.noise import Launch

    generator = torch.Generator().manual_seed(5)
    starts = torch.tensor([2**octave for octave in range(noise.OCTAVES)])
    inside = starts + (torch.rand(8, noise.OCTAVES, generator=generator, dtype=torch.float64) * starts).long()
    spare = torch.randint(0, 2**noise.SPARE_BITS, (10, noise.OCTAVES), generator=generator)
    word_N = (torch.cat([starts[None], 2 * starts[None] - 1, inside]) << noise.SPARE_BITS | spare).flatten()
    word_N[::2] |= -(2**63)
    keys_N = draws.keys_tensor([unmixed(word % 2**64) for word in word_N.tolist()])
    assert draws.mixed(keys_N).equal(word_N)
    base_P = list(torch.zeros(len(word_N), 1, device=DEVICE))
    streams_MDP2 = torch.stack([keys_N, torch.ones_like(keys_N)], dim=-1)[None, None]
    launch = Launch([""] * len(base_P), base_P, base_P, rows=1)
    launch.run(streams_MDP2, torch.ones(1, 1), torch.ones(1, dtype=torch.int32))
    assert bits(torch.cat(base_P)).equal(bits(0.0 + noise._quantile(word_N)))


@pytest.mark.skipif(INTERPRETED, reason="compiles")
@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
@pytest.mark.parametrize("every", [False, True])
def test_what_it_compiles_to(dtype: str, every: bool) -> None:
    """For an H100 or H200, without one: noise is made where its weights lie, once, and rounded at each step."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports]

    from thicket.ops.kernels import noise as kernels

    kernel = kernels._SHIFT
    sizes = {"BLOCK": kernels.BLOCK, "STRETCHES": kernels.STRETCHES}
    fixed = {"TYPE": triton.language.dtype(dtype), **sizes, "EVERY": every}
    types = {"places": "i64", "programs": "i32", "streams": "i64", "weights": "fp32", "counts": "i32", "table": "i64"}
    signature = {name: "constexpr" if name in fixed else "i32" for name in kernel.arg_names}
    signature |= {name: f"*{kind}" for name, kind in types.items()}
    source = triton.compiler.ASTSource(
        kernel, signature, fixed, {(kernel.arg_names.index(name),): [["tt.divisibility", 16]] for name in types}
    )
    options = {"num_warps": kernels.WARPS, "enable_fp_fusion": False}
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    fused = [line for line in compiled.asm["ptx"].splitlines() if "fma." in line]
    # Of a first direction and of others.
    assert compiled.asm["ttgir"].count("arith.uitofp") == 1 + every
    assert compiled.asm["ttgir"].count("ttg.convert_layout") == 1, "for a stretch that is not whole"
    assert bool(fused) == every
    assert all(line.endswith(", 0f00000000;") for line in fused), "with 0, that rounds as the product does"
    assert ".local" not in compiled.asm["ptx"]
