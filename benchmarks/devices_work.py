"""What `devices.py` measures: three trainings, a search in the weights and an evaluation, by the code of the stages.

Prompts are random tokens, and a verdict is a coin that the first word of a response decides, so that a token which
rounding changes late in a response changes no reward.
"""

import gc
import json
import random
import statistics
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from common import QWEN_1_5B, random_llama, timed

from thicket import ranks
from thicket.config.base import Optimizer
from thicket.config.distillation import Opd as OpdConfig
from thicket.config.domain import TrainedDomain, Window
from thicket.config.imitation import Ssd as SsdConfig
from thicket.config.policy_gradient import Grpo as GrpoConfig
from thicket.config.run import Trainer
from thicket.config.search import Randopt
from thicket.config.stages import Teacher
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item
from thicket.domains.verdict import Verdict
from thicket.engine import Progress
from thicket.evaluation.evaluator import Evaluator, score
from thicket.evaluation.way import Way
from thicket.methods.grpo import Grpo
from thicket.methods.opd import Opd
from thicket.methods.randopt import RandoptSearch
from thicket.methods.texts import Text
from thicket.models.teachers import Teachers, Voice
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import Environment
from thicket.sampling.sampler import TorchSampler
from thicket.training.asking import Arena
from thicket.training.curves import Row
from thicket.training.imitation import ImitationTraining
from thicket.training.ledger import Ledger
from thicket.training.loop import Steps, fit
from thicket.training.optimizer import take_gradients
from thicket.training.policy import Budget, PolicyTraining
from thicket.training.scoring import Scorer
from thicket.training.search import SearchTraining

Figures = dict[str, Any]
REPEATS = 5
"""Of what is measured by itself: sums of gradients, responses that go round."""
TEACHERS = 3
GROUP = 4
SIGMA = 1e-3
RATE = 1e-5


@dataclass(frozen=True)
class Extent:
    """How large the work is."""

    shape: dict[str, Any]
    """Of the model, beside SmolLM2-135M's."""
    rows: int
    """Of a training's step."""
    checked: int
    """Of a step whose losses are compared."""
    prompt: int
    response: int
    """Tokens."""
    micro: int
    members: int
    items: int
    """Of the search, whose members are scored on each."""
    together: int
    """Members of one forward pass."""
    written: int
    """Tokens of a response in the search and in the evaluation."""
    scored: int
    samples: int
    """Items of the evaluation, and responses to each."""
    batch: int
    """Responses of the evaluation that are written at once."""


EXTENTS: dict[str, Extent] = {
    "135M": Extent({}, 1024, 192, 128, 256, 64, 512, 200, 16, 64, 4096, 8, 2048),
    "1.5B": Extent(QWEN_1_5B, 256, 48, 128, 256, 16, 64, 64, 8, 32, 512, 4, 256),
    "tiny": Extent(
        {"vocab_size": 512, "hidden_size": 144, "intermediate_size": 288, "num_hidden_layers": 4},
        *(24, 24, 16, 24, 4, 16, 16, 1, 8, 64, 2, 32),
    ),
}
"""SmolLM2-135M's shape, Qwen2.5-1.5B's, and one that a CPU is done with in seconds."""


@dataclass(frozen=True)
class Case:
    """One number of devices, and what they are to do."""

    extent: Extent
    trainer: Trainer
    steps: int
    at_once: int
    """Responses of a training's step that each device writes at once."""

    @property
    def kind(self) -> str:
        return "cuda" if self.trainer.accelerator == "gpu" else "cpu"

    def model(self, seed: int = 0) -> Any:
        """Drawn on its device, which is faster."""
        with torch.device(self.kind):
            return random_llama(self.kind, torch.float32, seed, **self.extent.shape)


class Words:
    """A tokenizer as far as sampling uses one: a number for each token, and no end."""

    eos_token_id = None

    def batch_decode(self, ids: Sequence[Sequence[int]], **_: Any) -> list[str]:
        return [" ".join(map(str, of_row)) for of_row in ids]

    def decode(self, ids: Sequence[int], **_: Any) -> str:
        return " ".join(map(str, ids))


def coin(answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
    """A reward that the first word alone decides."""
    return [Verdict(zlib.crc32(text.partition(" ")[0].encode()) % 2 == 1) for text, _ in answered]


def numbers(case: Case, name: str, count: int, tokens: int, seed: int = 0) -> Environment:
    """Prompts of random tokens."""
    draw, words, asked = random.Random(f"{name} {seed}"), vocabulary(case), case.extent.prompt
    window = Window(prompt=asked, response=tokens)
    domain = TrainedDomain(name=name, verifier=ExactVerifier(type="exact"), window=window, stop=None)
    items = [Item(f"{place:016x}", "", "", 1) for place in range(count)]
    return Environment(domain, items, [[draw.randrange(1, words) for _ in range(asked)] for _ in items], [], coin)


def vocabulary(case: Case) -> int:
    return case.extent.shape.get("vocab_size", 49_152)


# -- trainings ---------------------------------------------------------------------------------------------------------


class Timed(Steps):
    """Keeps what each phase of each step took, and measures by itself what processes tell each other."""

    def take_step(self) -> Row:
        before, rows = dict(self.phases), list[Row]()
        seconds = timed(self.device.type, lambda: rows.append(super(Timed, self).take_step()))
        taken = {phase: total - before.get(phase, 0.0) for phase, total in self.phases.items()}
        self.taken = [*getattr(self, "taken", []), {**taken, "step": seconds}]
        return rows[0]

    def on_train_end(self) -> None:
        optimizer: Any = self.optimizers()
        self.sums, self.moves = list[float](), list[float]()
        for _ in range(REPEATS):
            for parameter in self.model.parameters():
                parameter.grad = torch.ones_like(parameter)
            self.sums.append(timed(self.device.type, lambda: take_gradients(optimizer.optimizer)))
            self.moves.append(timed(self.device.type, optimizer.optimizer.step))
            optimizer.zero_grad()
        self.peak = torch.cuda.max_memory_allocated() / 2**30 if self.device.type == "cuda" else 0.0


class TimedPolicy(Timed, PolicyTraining):
    """On rollouts."""


class TimedImitation(Timed, ImitationTraining):
    """On texts."""


def arenas(case: Case, count: int, prompts: int) -> list[Arena]:
    made = []
    for place in range(count):
        name, enough = f"numbers-{place}", prompts * (case.steps + 1)
        train = numbers(case, name, enough, case.extent.response)
        made.append(Arena(train.domain, train, numbers(case, name, 1, 1)))  # type: ignore[arg-type]
    return made


def grpo(case: Case, _: Path) -> Timed:
    prompts, optimizer = case.extent.rows // GROUP, Optimizer(lr=RATE)
    settings: dict[str, Any] = {"prompts": prompts, "group": GROUP, "micro_batch": case.extent.micro}
    config = GrpoConfig(type="grpo", steps=case.steps, optimizer=optimizer, select_samples=1, **settings)
    model = case.model()
    method, sampler = Grpo(config, lambda: model), TorchSampler(case.at_once)
    given = arenas(case, 1, prompts), config, method, Budget(steps=case.steps), 0, sampler
    return TimedPolicy(model, Words(), *given)  # type: ignore[arg-type]


def opd(case: Case, folder: Path) -> Timed:
    """Three teachers with the weights of one folder, each read anew when its turn comes, for a domain each."""
    here = arenas(case, TEACHERS, case.extent.rows // TEACHERS)
    values = {"type": "opd", "group": 1, "steps": case.steps, "prompts": case.extent.rows, "select_samples": 1}
    optimizer = {"lr": RATE}
    config = OpdConfig.model_validate({**values, "micro_batch": case.extent.micro, "optimizer": optimizer})
    names = [f"teacher-{place}" for place in range(TEACHERS)]
    taught = [
        Teacher(name=name, domain=arena.domain.name, weight=1 / TEACHERS)
        for name, arena in zip(names, here, strict=True)
    ]
    method = Opd(config, taught, Teachers({name: Voice(folder) for name in names}), vocabulary(case))
    given = here, config, method, Budget(steps=case.steps), 0, TorchSampler(case.at_once)
    return TimedPolicy(case.model(), Words(), *given)  # type: ignore[arg-type]


def ssd(case: Case, _: Path) -> Timed:
    """The update on texts: random tokens here, as a random model's own samples would be."""
    draw, rows = random.Random(1), case.extent.rows
    asked = numbers(case, "numbers", rows * 2, case.extent.response)
    words, tokens = vocabulary(case), range(case.extent.response)
    texts = [Text(prompt, [draw.randrange(1, words) for _ in tokens], "numbers", "nobody") for prompt in asked.prompts]
    settings: dict[str, Any] = {"batch": rows, "micro_batch": case.extent.micro, "select_samples": 1}
    config = SsdConfig(type="ssd", steps=case.steps, optimizer=Optimizer(lr=RATE), **settings)
    few = [numbers(case, "numbers", 1, 1)]
    given = texts, few, config, 1.0, 0, TorchSampler(case.at_once), Ledger()
    return TimedImitation(case.model(), Words(), *given)  # type: ignore[arg-type]


TRAININGS: dict[str, Callable[[Case, Path], Timed]] = {"grpo": grpo, "opd": opd, "ssd": ssd}


def train(case: Case, name: str, resume: Path, teacher: Path) -> Figures:
    """Medians over the steps but the first, which warms up; the curves; the peak of this process's memory."""
    gc.collect()  # a training before this one, which is in cycles of references
    if case.kind == "cuda":
        torch.cuda.reset_peak_memory_stats()
    module = TRAININGS[name](case, teacher)
    fit(module, case.trainer, resume / name, Progress(f"{name}, {case.trainer.strategy} on {case.trainer.devices}"))
    kept = module.taken[1:]
    found: Figures = {phase: statistics.median(one[phase] for one in kept) for phase in kept[0] if phase != "selection"}
    if name != "ssd":
        found["handing responses round"] = statistics.median(handed(case))
    return found | {
        "sum of gradients": statistics.median(module.sums),
        "move of the weights": statistics.median(module.moves),
        "GiB": module.peak,
        "losses": [row["loss"] for row in module.rows],
        "gradient norms": [row["gradient_norm"] for row in module.rows],
    }


def handed(case: Case) -> list[float]:
    """Seconds that it takes to give every process a step's responses."""
    row = list(range(case.extent.response)), [-1.5] * case.extent.response
    return [
        timed("cpu", lambda: ranks.spread(range(case.extent.rows), lambda mine: [row for _ in mine]))
        for _ in range(REPEATS)
    ]


# -- what has no gradients ---------------------------------------------------------------------------------------------


def search(case: Case, resume: Path, _: Path) -> Figures:
    """RandOpt's members; each device does blocks of them."""
    asked = numbers(case, "numbers", case.extent.items, case.extent.written)
    scorer = Scorer(Words(), asked.domain, asked, case.extent.together * case.extent.items)  # type: ignore[arg-type]
    model, scores, seconds = case.model(), list[float](), 0.0
    for members in (case.extent.together * case.trainer.devices, case.extent.members):  # the first ones warm up
        settings: dict[str, Any] = {
            "perturbations": members,
            "members": 1,
            "sigmas": [SIGMA],
            "items": len(asked.items),
        }
        config = Randopt(type="randopt", together=case.extent.together, **settings)
        module = SearchTraining(model, scorer, config, RandoptSearch(config, 0))
        started = time.perf_counter()
        fit(module, case.trainer, resume / f"search {members}", Progress("search"))
        seconds, scores = time.perf_counter() - started, module.scores
    return {"seconds": seconds, "a second": case.extent.members / seconds, "scores": digest(scores)}


def evaluate(case: Case, _resume: Path, _teacher: Path) -> Figures:
    """Responses at a temperature of 1; each device does pieces of a batch."""
    extent, seconds, found = case.extent, 0.0, dict[str, Any]()
    asked, model = numbers(case, "numbers", extent.scored, extent.written), case.model()
    for _ in range(2):  # the first time warms up
        way, sampler = Way(Decoding(1.0), None, 1, ()), TorchSampler(extent.batch)
        module = Evaluator(model, Words(), [asked], way, extent.samples, False, 0, sampler)  # type: ignore[arg-type]
        started = time.perf_counter()
        found = score(module, case.trainer, "evaluation")
        seconds = time.perf_counter() - started
    rows = [[row.item, row.correct, row.samples] for row in found["numbers"]]
    responses = extent.scored * extent.samples
    return {"seconds": seconds, "a second": responses / seconds, "scores": digest(rows)}


def digest(scores: Any) -> str:
    return f"{zlib.crc32(json.dumps(scores).encode()):08x}"


SCORINGS: dict[str, Callable[[Case, Path, Path], Figures]] = {"search": search, "evaluation": evaluate}
