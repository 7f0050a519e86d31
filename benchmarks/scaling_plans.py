"""Arithmetic for larger machines and models: memory, traffic and time of a step, out of shapes, links and rates.

The formulas stand in `docs/scaling.md`. Rates come from a run of `scaling.py`, or are assumptions that say so. Nothing
here has been run at that scale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scaling_fits import STEP, Line, axes, read, times

GB, TB = 1e9, 1e12
STATES = 16
"""Bytes a weight while it is trained: float32 weight, gradient and two moments (16 in arXiv 1910.02054 §3.1, too)."""
HALF = 2
"""Bytes of a bfloat16."""
PER_TOKEN = 6
"""FLOPs a weight and token, forward and backward."""


@dataclass(frozen=True)
class Model:
    """What counts of a model's shape."""

    name: str
    weights: float
    active: float
    """Weights that a token meets."""
    layers: int
    width: int
    words: int
    cached: float
    """Bytes of keys and values a token, over all layers."""
    served: float = HALF
    """Bytes a weight in rollouts."""


QWEN_7B = Model("7B", 7.62e9, 7.62e9, 28, 3584, 152_064, cached=2 * 28 * 4 * 128 * HALF)
"""Qwen2.5-7B (arXiv 2412.15115, and its config): 28 layers, 4 key-value heads of 128."""
V4_CACHED = (30 * (512 + 128) / 4 + 31 * 512 / 128) * HALF
"""About: half of the layers keep a key of 512 (and 128 for the indexer) for every 4 tokens, half one for every 128."""
V4_PRO = Model("V4-Pro", 1.6e12, 49e9, 61, 7168, 129_280, cached=V4_CACHED, served=1)
"""DeepSeek-V4-Pro (arXiv 2606.19348): 1.6 T weights, 49 B active; the rollouts' copy counted at FP8."""


@dataclass(frozen=True)
class Plan:
    """A rollout batch on so many GPUs."""

    name: str
    model: Model
    gpus: int
    rows: int
    prompt: int
    response: int
    teachers: int
    """0: GRPO. Each reads the responses of its own domain."""
    group: int
    """Responses to a prompt."""
    shards: int
    """GPUs that share one copy of the training's states."""
    together: int = 1
    """GPUs that hold one copy of the weights for rollouts."""
    readers: int = 8
    """GPUs that read a teacher together, each a share of it."""
    micro: int = 8
    """Rows of a micro-batch on each GPU."""

    @property
    def tokens(self) -> float:
        """That an update reads."""
        return self.rows * (self.response + self.prompt / self.group)


PLANS = (
    Plan("GRPO, 8 GPUs", QWEN_7B, 8, 1024, 512, 2048, 0, 8, shards=8),
    Plan("OPD of 10 teachers, 8 GPUs", QWEN_7B, 8, 1024, 512, 2048, 10, 1, shards=8),
    Plan("OPD of 10 teachers, 64 GPUs", QWEN_7B, 64, 4096, 512, 2048, 10, 1, shards=8),
    Plan("V4-Pro, OPD of 10, 1024 GPUs", V4_PRO, 1024, 8192, 1024, 16_384, 10, 1, 1024, 32, 1024, micro=1),
)


@dataclass(frozen=True)
class Machine:
    """H200s, eight to a host: NVIDIA's data sheets, one direction, a GPU."""

    memory: float = 141 * GB
    copied: float = 4.8 * TB
    product: float = 989e12
    within: float = 450 * GB
    """NVLink, to the GPUs of the same host."""
    across: float = 50 * GB
    """400 Gb/s, to other hosts."""
    node: int = 8


@dataclass(frozen=True)
class Rates:
    """What one GPU makes of thicket's code."""

    source: str
    update: float
    """FLOP/s of forward and backward passes."""
    reading: float
    """FLOP/s of forward passes over whole rows."""
    launched: float
    """Seconds of a decode step with no weights."""
    weight: float
    """Seconds of a decode step for each weight in bfloat16."""
    cached: float
    """Bytes of keys and values a second."""
    loaded: float
    """Bytes a second from the host to a GPU."""


def assumed() -> Rates:
    """Until there is a run: 40 and 50 % of an H200's matrix rate, 80 % of its memory's, 20 ms of launches a step."""
    machine = Machine()
    copied = 0.8 * machine.copied
    return Rates(
        "assumed: 40 and 50 % of 989 TFLOP/s, 80 % of 4.8 TB/s, 20 ms of launches a step, 10 GB/s from pageable memory",
        update=0.4 * machine.product,
        reading=0.5 * machine.product,
        launched=0.02,
        weight=HALF / copied,
        cached=copied,
        loaded=10 * GB,
    )


def from_run(found: dict[str, Any]) -> Rates:
    """What the update of a run's largest model reached, and its decode steps' line; what was not measured is assumed.

    A larger model waits less for launches than the largest that was measured, so that its rates err downwards. Forward
    passes alone are taken to reach what the update does: `divergence`, which has them too, spends more on its passes
    over the vocabulary.
    """
    usual, of, missing = assumed(), axes(read(found)), []
    points = of.get(("update", "model size"), [])
    if points and points[-1].flops is not None:
        update = reading = points[-1].flops / points[-1].median
    else:
        missing.append("update")
        update, reading = usual.update, usual.reading
    line = times(of.get(("decode", f"{STEP}, weights in bfloat16"), []))
    if line is None:
        missing.append("decode")
        line = Line(usual.launched, usual.weight * 1e6, None, 0.0)
    copied = found["rates"]["copy"]
    return Rates(
        f"of the run, on {found['machine']}" + "".join(f"; {stage}: assumed" for stage in missing),
        update=update,
        reading=reading,
        launched=max(0.0, line.a),
        weight=max(HALF / copied, line.b / 1e6),  # No weight is read faster than it is copied.
        cached=copied,
        loaded=found["rates"]["to device"],
    )


@dataclass(frozen=True)
class Needed:
    """Of one GPU, in bytes; of one step, in bytes a GPU and in seconds."""

    states: float
    layer: float
    serving: float
    cache: float
    teacher: float
    hidden: float
    activations: float
    gathered: float
    averaged: float
    synchronised: float
    teachers: float
    writing: float
    judging: float
    updating: float
    sending: float
    loading: float

    @property
    def memory(self) -> float:
        """At the worst of three times: rollouts are written, teachers read them, weights are updated."""
        updating = 2 * self.layer + self.hidden + self.activations
        return self.states + max(self.serving + self.cache, self.teacher + self.hidden, updating)

    @property
    def seconds(self) -> float:
        """One after the other, with nothing hidden behind anything."""
        return self.writing + self.judging + self.updating + self.sending + self.loading


def needed(plan: Plan, rates: Rates, machine: Machine) -> Needed:
    """What a plan comes to. Rollouts, readings and updates use the same GPUs, one after the other."""
    model, gpus = plan.model, plan.gpus
    rows = plan.rows / gpus
    micros = max(1.0, rows / plan.micro)
    judged = plan.teachers > 0
    whole = plan.rows * (plan.prompt + plan.response)
    # Of a mixture a batch meets every expert, so that a step of the decode reads all weights; sums go on meanwhile.
    moved = rates.weight * model.weights / plan.together * model.served / HALF
    step = rates.launched + max(moved, 2 * model.active * rows / rates.reading)
    step += rows * (plan.prompt + plan.response / 2) * model.cached / rates.cached
    # Two gathers and one reduce-scatter of bfloat16 for each micro-batch (arXiv 1910.02054 §7).
    gathered = 3 * HALF * model.weights * micros
    averaged = 2 * (1 - plan.shards / gpus) * 4 * model.weights / plan.shards
    link = machine.within if plan.shards <= machine.node else machine.across
    synchronised = model.served * model.weights / plan.together
    synchronising = synchronised / (machine.within if plan.together == 1 else machine.across)
    loaded = plan.teachers * HALF * model.weights / plan.readers
    return Needed(
        states=STATES * model.weights / plan.shards,
        layer=HALF * model.weights / model.layers,
        serving=model.served * model.weights / plan.together,
        cache=rows * (plan.prompt + plan.response) * model.cached,
        teacher=judged * HALF * model.weights / plan.together,
        hidden=judged * rows * plan.response * model.width * HALF,
        # With checkpoints of each layer's input: those, and one layer's own (34·H bytes a token; arXiv 2205.05198).
        activations=plan.micro * (plan.prompt + plan.response) * model.width * (HALF * model.layers + 34),
        gathered=gathered,
        averaged=averaged,
        synchronised=synchronised,
        teachers=loaded,
        writing=plan.response * step,
        judging=judged * 2 * model.active * whole / gpus / rates.reading,
        # A layer is computed again in the backward pass.
        updating=(PER_TOKEN + 2) * model.active * plan.tokens / gpus / rates.update,
        sending=gathered / link + averaged / machine.across + synchronising,
        loading=loaded / rates.loaded,
    )


def table_of_plans(rates: Rates) -> str:
    """The plans side by side."""
    machine = Machine()
    found = [needed(plan, rates, machine) for plan in PLANS]

    def row(name: str, value: Callable[[Needed], float], unit: float, form: str) -> str:
        return f"| {name} | " + " | ".join(f"{value(one) / unit:{form}}" for one in found) + " |"

    def memory(name: str, value: Callable[[Needed], float]) -> str:
        return row(f"{name}, GB a GPU", value, GB, ",.1f")

    def traffic(name: str, value: Callable[[Needed], float]) -> str:
        return row(f"{name}, GB a GPU and step", value, GB, ",.0f")

    def seconds(name: str, value: Callable[[Needed], float]) -> str:
        return row(f"{name}, s a step", value, 1.0, ",.0f")

    tokens = " | ".join(f"{plan.rows * plan.response / 1e6:.1f} M" for plan in PLANS)
    batches = " | ".join(f"{plan.rows:,} × ({plan.prompt:,} + {plan.response:,})" for plan in PLANS)
    lines = [
        "| | " + " | ".join(plan.name for plan in PLANS) + " |",
        "|" + "---|" * (1 + len(PLANS)),
        f"| rows × (prompt + response) | {batches} |",
        f"| response tokens a step | {tokens} |",
        memory("weights, gradient, moments", lambda one: one.states),
        memory("a layer, gathered", lambda one: one.layer),
        memory("rollouts' copy of the weights", lambda one: one.serving),
        memory("keys and values", lambda one: one.cache),
        memory("a teacher", lambda one: one.teacher),
        memory("teachers' hidden states", lambda one: one.hidden),
        memory("activations, with checkpoints", lambda one: one.activations),
        memory("**at the peak**", lambda one: one.memory),
        f"| fits into {machine.memory / GB:.0f} GB | "
        + " | ".join("yes" if one.memory < machine.memory else "**no**" for one in found)
        + " |",
        traffic("gathered and scattered", lambda one: one.gathered),
        traffic("averaged over copies", lambda one: one.averaged),
        traffic("weights to rollouts", lambda one: one.synchronised),
        traffic("teachers from the host", lambda one: one.teachers),
        seconds("rollouts", lambda one: one.writing),
        seconds("teachers read", lambda one: one.judging),
        seconds("update", lambda one: one.updating),
        seconds("links", lambda one: one.sending),
        seconds("teachers' loading", lambda one: one.loading),
        seconds("**all, one after the other**", lambda one: one.seconds),
        row("100 steps, h", lambda one: 100 * one.seconds, 3600, ",.1f"),
    ]
    return f"Rates {rates.source}.\n\n" + "\n".join(lines)
