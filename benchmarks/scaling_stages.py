"""The work of each stage that `scaling.py` measures, by the code that the stage itself runs, and its FLOPs.

A `Group` is a model and what is measured on it. The update and distillation run inside a training step of Lightning, as
they do in a stage, on rollouts that are given; whatever reads alone runs under the trainer's precision. Legend: B rows,
P prompt tokens, T response tokens, L layers, H hidden width, V vocabulary.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from common import random_llama
from divergence import BATCH, CANDIDATES, PROMPT, SAMPLES, responses
from randopt import PROMPT as ASKED
from randopt import Search
from torch.utils.data import DataLoader

from thicket.analysis.positions import measure
from thicket.config.distillation import Opd as OpdConfig
from thicket.config.domain import TrainedDomain, Window
from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import Grpo as GrpoConfig
from thicket.config.run import Trainer
from thicket.config.stages import Teacher
from thicket.config.verifier import ExactVerifier
from thicket.domains.verdict import Verdict
from thicket.engine import make_trainer
from thicket.methods.grpo import Grpo
from thicket.methods.method import Method
from thicket.methods.opd import Opd
from thicket.models.flops import BACKWARD, FORWARD
from thicket.models.teachers import Teachers, Voice
from thicket.ops import draws
from thicket.sampling.decode import Decoding, Rows, decode
from thicket.sampling.environment import Environment
from thicket.sampling.rollouts import Response
from thicket.sampling.sampler import TorchSampler
from thicket.training.asking import Arena
from thicket.training.curves import Row
from thicket.training.policy import Budget, PolicyTraining, Rollout

Shape = dict[str, Any]
Work = Callable[[], Any]
ROWS, TOKENS, WEIGHTS, MEMBERS = "rows", "tokens of a response", "M weights", "members"
"""What an axis counts."""
KEPT = ", weights in bfloat16"


@dataclass(frozen=True)
class Extent:
    """How large a stage's work is, and how far each axis goes while the others stay."""

    prompt: int
    rows: int
    tokens: int
    """Of a response."""
    along_rows: tuple[int, ...] = ()
    along_tokens: tuple[int, ...] = ()
    along_many: tuple[int, ...] = ()
    """Teachers, or members."""
    sizes: tuple[str, ...] = ()
    micro: int = 16
    """Rows of a micro-batch."""
    short: int = 0
    """Response tokens of a second run of the decode loop at each size: between the two lie its steps alone."""


@dataclass(frozen=True)
class Point:
    """A piece of work at one place of an axis."""

    axis: str
    unit: str
    x: float
    work: Work
    flops: float | None = None
    """What the computation asks for; nothing is counted twice that is computed twice."""


class Run(Protocol):
    """Measures points."""

    @property
    def over(self) -> bool:
        """Whether no more are to be begun."""
        ...

    def __call__(self, points: Sequence[Point]) -> None: ...


@dataclass(frozen=True)
class Group:
    """Points that share a model. `made` builds them, and runs them where they can be run."""

    name: str
    made: Callable[[Run], None]


@dataclass(frozen=True)
class Cost:
    """FLOPs of a model: 2 a weight and token forward (arXiv 2001.08361 §2.1), the attention's products beside them."""

    trunk: int
    """Weights of the layers."""
    head: int
    """V·H."""
    attention: int
    """FLOPs of a token and a place that it attends to: two products over all heads' widths, in every layer."""
    weights: int = field(default=0)

    @classmethod
    def of(cls, model: Any) -> "Cost":
        config, weights = model.config, sum(parameter.numel() for parameter in model.parameters())
        head = config.vocab_size * config.hidden_size
        trunk = weights - head * (1 if config.tie_word_embeddings else 2)
        return cls(trunk, head, 4 * config.num_hidden_layers * config.hidden_size, weights)

    def forward(self, prompts: int, prompt: int, rows: int, tokens: int, predicted: int) -> float:
        """Prompts are read once each, rows go on from them, and the head sees what is predicted."""
        attended = prompts * prompt * (prompt + 1) / 2 + rows * (tokens * prompt + tokens * (tokens + 1) / 2)
        read = prompts * prompt + rows * tokens
        return FORWARD * (self.trunk * read + self.head * predicted) + self.attention * attended


def built(kind: str, shape: Shape, seed: int = 0, dtype: torch.dtype = torch.float32) -> Any:
    """A random model, whose weights are drawn on its device."""
    with torch.device(kind):
        return random_llama(kind, dtype, seed, **shape)


@contextmanager
def reading(kind: str) -> Iterator[None]:
    """The trainer's precision around what has no gradients (`thicket.sampling.piecewise`)."""
    with torch.no_grad(), torch.autocast(kind, torch.bfloat16, enabled=kind == "cuda", cache_enabled=False):
        yield


def texts(rows: int, tokens: int, words: int, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(words) for _ in range(tokens)] for _ in range(rows)]


# -- decode ------------------------------------------------------------------------------------------------------------


def decoding(kind: str, extent: Extent, sizes: dict[str, Shape]) -> Iterator[Group]:
    """A prompt a row; no response ends before its last token. On a GPU also with weights that need no cast."""

    def point(model: Any, axis: str, unit: str, x: float, rows: int, tokens: int) -> Point:
        prompts = texts(rows, extent.prompt, model.config.vocab_size)
        keys_R, asked = draws.keys_tensor(list(range(rows)), kind), Rows(prompts, range(rows), rows)
        work = partial(decode, model, asked, keys_R, Decoding(1.0, most=tokens), [])
        # The last token is drawn and not read.
        flops = Cost.of(model).forward(rows, extent.prompt, rows, tokens - 1, rows * tokens)
        return Point(axis, unit, x, work, flops)

    def made(name: str, half: bool, run: Run) -> None:
        model = built(kind, sizes[name], dtype=torch.bfloat16 if half else torch.float32)
        kept, millions = KEPT * half, Cost.of(model).weights / 1e6
        points = [
            point(model, f"model size, {tokens} tokens{kept}", WEIGHTS, millions, extent.rows, tokens)
            for tokens in (extent.short, extent.tokens)
        ]
        if name == extent.sizes[0] and not half:
            points += [point(model, "length", TOKENS, n, extent.rows, n) for n in extent.along_tokens]
            points += [point(model, "rows", ROWS, n, n, extent.tokens) for n in extent.along_rows]
        if half:
            run(points)
            return
        with reading(kind):
            run(points)

    for name in extent.sizes:
        yield Group(f"decode, {name}", partial(made, name, False))
    for name in extent.sizes if kind == "cuda" else ():
        yield Group(f"decode, {name}{KEPT}", partial(made, name, True))


# -- updates -----------------------------------------------------------------------------------------------------------


class Inside(PolicyTraining):
    """A training whose one step does what it is told."""

    todo: Work

    def take_step(self) -> Row:
        self.model.eval()
        self.todo()
        # Lightning would carry weights and moments to the host when the training ends.
        for parameter in self.parameters():
            parameter.data, parameter.grad = parameter.data.new_empty(0), None
        optimizer: Any = self.optimizers()
        optimizer.state.clear()
        return {"step": 1}


def arena(name: str, prompt: int, tokens: int) -> Arena:
    verifier = ExactVerifier(type="exact")
    domain = TrainedDomain(name=name, verifier=verifier, window=Window(prompt=prompt, response=tokens))
    nothing = Environment(domain, [], [], [], lambda _: [])
    return Arena(domain, nothing, nothing)


def rollouts(arenas: Sequence[Arena], prompts: int, group: int, prompt: int, tokens: int, words: int) -> list[Rollout]:
    """Responses of one length, every other one right; prompts are dealt to the arenas in equal runs."""
    asked, answered = texts(prompts, prompt, words), texts(prompts * group, tokens, words, seed=1)
    return [
        Rollout(
            asked[row // group],
            Response(answer, [0.0] * tokens, True, ""),
            arenas[row // group * len(arenas) // prompts],
            Verdict(row % 2 == 0),
            None,
        )
        for row, answer in enumerate(answered)
    ]


def in_a_step(kind: str, model: Any, config: Any, method: Method, work: Callable[[Inside], None]) -> None:
    """Does the work within a training step, as `trainer: gpu` trains on a GPU and `trainer: default` on a CPU."""
    half = kind == "cuda"
    module = Inside(model, None, [], config, method, Budget(steps=1), 0, TorchSampler(1))  # type: ignore[arg-type]
    module.todo = partial(work, module)
    frame = Trainer(accelerator="gpu" if half else "cpu", precision="bf16-mixed" if half else "32-true")
    make_trainer(frame, 1, []).fit(module, DataLoader([0], batch_size=None))  # type: ignore[arg-type]


GROUP = 4
"""Responses to a prompt, in the update."""


def updating(kind: str, extent: Extent, sizes: dict[str, Shape]) -> Iterator[Group]:
    """One optimizer step of GRPO: forward and backward passes of micro-batches, clipping, AdamW."""

    def made(name: str, run: Run) -> None:
        model = built(kind, sizes[name])
        config = GrpoConfig(
            type="grpo",
            prompts=extent.rows // GROUP,
            group=GROUP,
            steps=1,
            micro_batch=extent.micro,
            optimizer=Optimizer(lr=1e-6),
        )
        cost, words = Cost.of(model), model.config.vocab_size

        def point(module: Inside, axis: str, unit: str, x: float, rows: int, tokens: int) -> Point:
            here = arena("numbers", extent.prompt, tokens)
            given = rollouts([here], rows // GROUP, GROUP, extent.prompt, tokens, words)
            flops = cost.forward(rows // GROUP, extent.prompt, rows, tokens - 1, rows * tokens)
            return Point(axis, unit, x, partial(module._learn, given), flops * (1 + BACKWARD / FORWARD))

        def work(module: Inside) -> None:
            points = [point(module, "model size", WEIGHTS, cost.weights / 1e6, extent.rows, extent.tokens)]
            if name == extent.sizes[0]:
                points += [point(module, "length", TOKENS, n, extent.rows, n) for n in extent.along_tokens]
                points += [point(module, "rows", ROWS, n, n, extent.tokens) for n in extent.along_rows]
            run(points)

        in_a_step(kind, model, config, Grpo(config, lambda: model), work)

    for name in extent.sizes:
        yield Group(f"update, {name}", partial(made, name))


def distilling(kind: str, extent: Extent, sizes: dict[str, Shape]) -> Iterator[Group]:
    """A rollout batch of OPD: the teachers read it one after the other, then the student's optimizer step.

    All teachers have the weights of one folder, which are read anew for each that takes its turn (from the system's
    cache of files, not from a disk).
    """

    def made(axis: str, name: str, routing: str, counts: Sequence[int], run: Run) -> None:
        case = Distilled(kind, extent, sizes[name], axis, routing, name == extent.sizes[0])
        with TemporaryDirectory() as folder:
            built(kind, sizes[name]).save_pretrained(folder)
            # The farthest place after the nearest: where time runs out, the line is as long as it can be.
            for count in [*counts[:1], *reversed(counts[1:])]:
                if not run.over:
                    distil(case, Path(folder), count, run)

    for name in extent.sizes:
        yield Group(f"opd, {name}", partial(made, "model size", name, "domain", (1,)))
    for routing in ("domain", "all"):
        axis = f"teachers, routing {routing}"
        yield Group(f"opd, {axis}", partial(made, axis, extent.sizes[0], routing, extent.along_many))


@dataclass(frozen=True)
class Distilled:
    """A student, and the axis that it is measured along."""

    kind: str
    extent: Extent
    shape: Shape
    axis: str
    routing: str
    first: bool
    """Whether it is of the size at which the other axes are measured."""


def distil(case: Distilled, folder: Path, count: int, run: Run) -> None:
    """Points of so many teachers of as many domains."""
    kind, extent, axis, routing = case.kind, case.extent, case.axis, case.routing
    model = built(kind, case.shape)
    values = {"type": "opd", "group": 1, "steps": 1, "micro_batch": extent.micro, "routing": routing}
    config = OpdConfig.model_validate({**values, "prompts": extent.rows, "optimizer": {"lr": 1e-6}})
    names = [f"teacher-{place}" for place in range(count)]
    arenas = [arena(f"domain-{place}", extent.prompt, extent.tokens) for place in range(count)]
    taught = [
        Teacher(name=name, domain=here.domain.name, weight=1 / count) for name, here in zip(names, arenas, strict=True)
    ]
    cost, words = Cost.of(model), model.config.vocab_size
    method = Opd(config, taught, Teachers({name: Voice(folder) for name in names}), words)
    judges = count if routing == "all" else 1

    def point(module: Inside, axis: str, unit: str, x: float, rows: int, tokens: int) -> Point:
        given = rollouts(arenas, rows, 1, extent.prompt, tokens, words)
        forward = cost.forward(rows, extent.prompt, rows, tokens, rows * tokens)
        return Point(axis, unit, x, partial(module._learn, given), forward * (1 + BACKWARD / FORWARD + judges))

    def work(module: Inside) -> None:
        if axis != "model size":
            run([point(module, axis, "teachers", count, extent.rows, extent.tokens)])
            return
        points = [point(module, axis, WEIGHTS, cost.weights / 1e6, extent.rows, extent.tokens)]
        if case.first:
            points += [point(module, "length, 1 teacher", TOKENS, n, extent.rows, n) for n in extent.along_tokens]
            points += [point(module, "rows, 1 teacher", ROWS, n, n, extent.tokens) for n in extent.along_rows]
        run(points)

    in_a_step(kind, model, config, method, work)


# -- searches and analyses ---------------------------------------------------------------------------------------------


def searching(kind: str, extent: Extent, sizes: dict[str, Shape]) -> Iterator[Group]:
    """RandOpt's members, scored one after another or in one forward pass: perturb, decode greedily, put back."""

    def search(model: Any, members: int, together: int) -> Work:
        found = Search(kind, members, extent.rows, extent.tokens, extent.rows * together, model)
        found.together = together
        return found.thicket

    def made(name: str, run: Run) -> None:
        model = built(kind, sizes[name])
        cost = Cost.of(model)
        one = cost.forward(extent.rows, ASKED, extent.rows, extent.tokens - 1, extent.rows * extent.tokens)
        points = [Point("model size, 1 member", WEIGHTS, cost.weights / 1e6, search(model, 1, 1), one)]
        if name == extent.sizes[0]:
            for way in ("one by one", "stacked"):
                # One alone is never stacked.
                many = extent.along_many if way == "one by one" else extent.along_many[1:]
                points += [
                    Point(f"members, {way}", MEMBERS, n, search(model, n, n if way == "stacked" else 1), one * n)
                    for n in many
                ]
        run(points)

    for name in extent.sizes:
        yield Group(f"randopt, {name}", partial(made, name))


def diverging(kind: str, extent: Extent, sizes: dict[str, Shape]) -> Iterator[Group]:
    """Two models read the same responses: JS, both KL, entropies, ranks and overlaps of every response token."""

    def made(name: str, run: Run) -> None:
        models = [built(kind, sizes[name], seed) for seed in (0, 1)]
        cost, words = Cost.of(models[0]), models[0].config.vocab_size

        def point(axis: str, unit: str, x: float, tokens: int) -> Point:
            written = responses(tokens, words)
            rows, each = len(written), len(written[0].tokens)
            flops = 2 * cost.forward(rows // SAMPLES, PROMPT, rows, each - 1, rows * each)
            return Point(axis, unit, x, partial(measure, *models, written, words, CANDIDATES, BATCH), flops)

        points = [point("model size", WEIGHTS, cost.weights / 1e6, extent.tokens)]
        if name == extent.sizes[0]:
            points += [point("tokens", "response tokens", n, n) for n in extent.along_tokens]
        with reading(kind):
            run(points)

    for name in extent.sizes:
        yield Group(f"divergence, {name}", partial(made, name))


STAGES: dict[str, Callable[[str, Extent, dict[str, Shape]], Iterator[Group]]] = {
    "decode": decoding,
    "update": updating,
    "divergence": diverging,
    "randopt": searching,
    "opd": distilling,
}
"""In this order: the last one has the longest pieces, and what time is left."""
