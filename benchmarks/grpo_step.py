"""The time of one whole GRPO step, rollouts to update, against TRL's GRPOTrainer at equal work in the same run.

    python benchmarks/grpo_step.py --device cpu [--steps 10 --repeats 5 --results FILE]

`cpu`: the step of specialist `sort-grpo` of the project's own experiment, float32. `cuda`: a Llama of SmolLM2-135M's
shape, 64 prompts of 128 tokens with 4 responses of 256 each, bfloat16 over float32 weights. Both start from the same
random weights, read the same prompts, and no response ends before its window. Wants trl; runs take turns. First the two
losses and their gradients are compared on the same rollouts, under a policy that has moved since.
"""

import argparse
import gc
import importlib.metadata
import json
import random
import shlex
import statistics
import sys
import time
import warnings
import zlib
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import transformers
from datasets import Dataset
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportMissingImports]

from thicket.config.base import Optimizer
from thicket.config.domain import TrainedDomain, Window
from thicket.config.policy_gradient import Grpo as Config
from thicket.config.project import Project
from thicket.config.run import Trainer
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item, item_id
from thicket.domains.registry import raw_items
from thicket.domains.verdict import Verdict
from thicket.engine import Progress
from thicket.methods.grpo import Grpo
from thicket.models.characters import character_tokenizer
from thicket.models.scratch import fresh_model
from thicket.plan.pipeline import pipeline
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import encode_prompts
from thicket.stages.data import item_of
from thicket.stages.machine import commit, device
from thicket.training.asking import Arena
from thicket.training.loop import fit
from thicket.training.policy import Budget, PolicyTraining

ROOT = Path(__file__).parents[1]
GOALS = {"cpu": 1 / 3, "cuda": 1 / 5}
"""thicket's time as a share of TRL's, at most."""
WARM = 3
"""Steps of a run that aren't counted, beside its last one: there thicket scores the selection items."""
PHASES = ("rollouts", "verify", "updates")


@dataclass(frozen=True)
class Case:
    """What a step is made of."""

    device: str
    model: Any
    """Has the weights that both start from."""
    tokenizer: Any
    items: list[Item]
    """Every step has these prompts."""
    domain: TrainedDomain
    config: Config

    def autocast(self, half: bool) -> Any:
        return torch.autocast(self.device, torch.bfloat16, enabled=half)


def cpu_case() -> Case:
    stages: dict[str, Any] = {planned.resolved.id: planned.resolved.stage for planned in pipeline(Project(ROOT))}
    stage, data, tokenizer = stages["specialist-sort-grpo"], stages["data-sort"].domain, character_tokenizer()
    model = fresh_model(stages["base-tiny"].base.architecture, tokenizer, seed=0)
    raw = islice(raw_items(data.source, 0), stage.method.prompts)
    return endless("cpu", model, tokenizer, [item_of(data.prompt, [], one) for one in raw], stage.domain, stage.method)


def cuda_case() -> Case:
    words, prompt, draw = 49_152, 128, random.Random(0)
    made = Tokenizer(WordLevel({str(word): word for word in range(words)}, unk_token="0"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    heads = {"num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True}
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=words, **shape, **heads))  # type: ignore[arg-type]
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="0", unk_token="0")
    texts = [" ".join(str(draw.randrange(1, words)) for _ in range(prompt)) for _ in range(64)]
    items = [Item(item_id(text), text, "", 1) for text in texts]
    verifier = ExactVerifier(type="exact")
    domain = TrainedDomain(name="numbers", verifier=verifier, window=Window(prompt=prompt, response=256))
    rates = Optimizer(lr=1e-6)
    config = Config(type="grpo", prompts=64, group=4, steps=1, micro_batch=64, optimizer=rates)
    return endless("cuda", model, tokenizer, items, domain, config)


def endless(kind: str, model: Any, tokenizer: Any, items: list[Item], domain: TrainedDomain, config: Config) -> Case:
    """No response ends by itself: what would end it is a token for which the model has no logit."""
    tokenizer.add_special_tokens({"eos_token": "<never>"})
    assert tokenizer.eos_token_id == model.config.vocab_size
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    config = config.model_copy(update={"select_every": 0, "select_samples": 1})
    return Case(kind, model, tokenizer, items, domain.model_copy(update={"stop": None}), config)


class Coin:
    """A cheap reward, which the response's text alone decides, with what it took."""

    def __init__(self, tokenizer: Any):
        self.seconds, self.tokens, self.tokenizer = 0.0, 0, tokenizer

    def __call__(self, texts: Sequence[str]) -> list[bool]:
        started = time.perf_counter()
        found = [zlib.crc32(text.encode()) % 2 == 1 for text in texts]
        self.seconds += time.perf_counter() - started
        return found

    def judge(self, answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
        return [Verdict(correct) for correct in self([text for text, _ in answered])]

    def reward(self, completions: list[str], completion_ids: list[list[int]], **_: Any) -> list[float]:
        self.tokens += sum(map(len, completion_ids))
        return [float(correct) for correct in self(completions)]


class Clock:
    """Seconds of each step but the first, by phase, out of totals that grow."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.last: dict[str, float] = {}

    def tick(self, *phases: float) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = {"step": time.perf_counter(), **dict(zip(PHASES, phases, strict=True))}
        if self.last:
            self.steps.append({name: value - self.last[name] for name, value in now.items()})
        self.last = now


@dataclass(frozen=True)
class Ran:
    """One run: its steps that count, and the tokens that each generated."""

    steps: list[dict[str, float]]
    tokens: float


def training(case: Case, model: Any, coin: Coin, steps: int) -> PolicyTraining:
    prompts = encode_prompts(case.tokenizer, case.items, case.domain.window.prompt, case.domain.name)
    train = Environment(case.domain, case.items, prompts, [case.tokenizer.eos_token_id], coin.judge)
    arena = Arena(case.domain, train, replace(train, items=case.items[:1], prompts=prompts[:1]))
    method, rows = Grpo(case.config, lambda: model), case.config.prompts * case.config.group
    return PolicyTraining(model, case.tokenizer, [arena], case.config, method, Budget(steps=steps), 0, rows)


def thicket(case: Case, steps: int) -> Ran:
    coin, clock = Coin(case.tokenizer), Clock()

    class Watch(Progress):
        def on_train_start(self, trainer: Any, pl_module: Any) -> None:
            pass

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any) -> None:
            clock.tick(pl_module.phases["rollouts"], coin.seconds, pl_module.phases["updates"])

    module = training(case, deepcopy(case.model), coin, steps)
    half = case.device == "cuda"
    frame = Trainer(
        accelerator="gpu" if half else "cpu", precision="bf16-mixed" if half else "32-true", checkpoint_every=steps
    )
    with TemporaryDirectory() as folder:
        fit(module, frame, Path(folder), Watch(""))
    return Ran(clock.steps[WARM - 1 : -1], module.ledger.tokens_generated / steps)


def peer(case: Case, model: Any, coin: Coin, steps: int, cache: str | None, folder: str) -> Any:
    """TRL's trainer of the same step."""
    config = case.config
    optimizer, rows = config.optimizer, config.prompts * config.group
    settings = GRPOConfig(
        output_dir=folder,
        per_device_train_batch_size=min(config.micro_batch, rows),
        gradient_accumulation_steps=max(1, rows // config.micro_batch),
        num_generations=config.group,
        max_completion_length=case.domain.window.response,
        temperature=config.temperature,
        loss_type="grpo",
        beta=config.kl,
        epsilon=config.clip,
        max_steps=steps,
        learning_rate=optimizer.lr,
        lr_scheduler_type="constant",
        optim="adamw_torch_fused",
        adam_beta1=optimizer.betas[0],
        adam_beta2=optimizer.betas[1],
        weight_decay=optimizer.weight_decay,
        max_grad_norm=optimizer.clip,
        bf16=case.device == "cuda",
        use_cpu=case.device == "cpu",
        gradient_checkpointing=False,
        shuffle_dataset=False,
        cache_implementation=cache,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    prompts = Dataset.from_dict({"prompt": [item.prompt for item in case.items] * steps})
    return GRPOTrainer(model, coin.reward, settings, prompts, processing_class=deepcopy(case.tokenizer))


def trl(case: Case, steps: int, cache: str | None = None) -> Ran:
    coin, clock, spent = Coin(case.tokenizer), Clock(), {"rollouts": 0.0}

    class Watch(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            # All but the rollouts counts as the update here.
            clock.tick(spent["rollouts"], coin.seconds, time.perf_counter() - spent["rollouts"])

    with TemporaryDirectory() as folder:
        trainer = peer(case, deepcopy(case.model), coin, steps, cache, folder)
        made = trainer._generate_and_score_completions

        def rollouts(inputs: Any) -> Any:
            started = time.perf_counter()
            found = made(inputs)
            spent["rollouts"] += time.perf_counter() - started
            return found

        trainer._generate_and_score_completions = rollouts
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watch())
        trainer.train()
    return Ran(clock.steps[WARM - 1 : -1], coin.tokens / steps)


def losses(case: Case) -> dict[str, float]:
    """Both losses on the same tokens, behaviour log-probabilities and advantages, with the policy's weights moved."""
    half, model = case.device == "cuda", deepcopy(case.model).to(case.device)
    module = training(case, model, Coin(case.tokenizer), 1).to(case.device)
    rollouts, _ = module._rollouts()
    rows = module.method.prepare(module._rows(rollouts), case.config.micro_batch)
    rows = rows.rows(torch.arange(min(len(rows.domains), case.config.micro_batch), device=case.device))
    rows = replace(rows, old_log_probs_BK=module._old_log_probs(rows))
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * weight.std() * torch.randn_like(weight)

    def ours(half: bool) -> torch.Tensor:
        with case.autocast(half):
            return module.method.update(model, rows, module.method.weights(rows)).loss

    with TemporaryDirectory() as folder:
        trainer = peer(case, deepcopy(model), Coin(case.tokenizer), 1, None, folder)
        trainer.model.eval()
        theirs = trainer._compute_loss(trainer.model, inputs_of(rows, rollouts, case.tokenizer.pad_token_id))
    mine = ours(half)
    gradients = [
        torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(policy.parameters()))])
        for loss, policy in ((mine, model), (theirs, trainer.model))
    ]
    gap = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    exact = float(ours(half=False).detach())
    return {"thicket": float(mine), "trl": float(theirs), "thicket in float32": exact, "gradients": float(gap)}


def inputs_of(rows: Any, rollouts: list[Any], pad: int) -> dict[str, Any]:
    """The rows as TRL has them: prompts padded on the left, and responses, all of one length."""
    mask, count = rows.sequences.mask_BK > 0, len(rows.domains)
    prompts = [rollout.prompt for rollout in rollouts[:count]]
    longest = max(map(len, prompts))
    ids = torch.tensor([[pad] * (longest - len(one)) + one for one in prompts], device=mask.device)
    seen = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts], device=mask.device)
    responses = rows.sequences.targets_BK[mask].view(count, -1)
    return {
        "prompt_ids": ids,
        "prompt_mask": seen,
        "completion_ids": responses,
        "completion_mask": torch.ones_like(responses),
        "advantages": rows.advantages_BK.sum(dim=1) / mask.sum(dim=1),
        "old_per_token_logps": rows.old_log_probs_BK[mask].view(count, -1),
    }


def measure(case: Case, steps: int, repeats: int) -> dict[str, list[Ran]]:
    """The runs of each way, which take turns."""
    ways: dict[str, Callable[[Case, int], Ran]] = {
        "thicket": thicket,
        "trl": trl,
        "trl, static cache": lambda case, steps: trl(case, steps, "static"),
    }
    runs: dict[str, list[Ran]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            runs[name].append(way(case, WARM + steps + 1))
            gc.collect()
            torch.cuda.empty_cache()
    return runs


def summary(runs: list[Ran]) -> dict[str, Any]:
    steps = [step for run in runs for step in run.steps]
    taken = [step["step"] for step in steps]
    phases = {name: statistics.median(step[name] for step in steps) for name in PHASES}
    tokens = statistics.mean(run.tokens for run in runs)
    return {"seconds": statistics.median(taken), "range": [min(taken), max(taken)], **phases, "tokens": tokens}


def ratios(ours: list[Ran], theirs: list[Ran]) -> list[float]:
    """Time over time, of the medians of each pair of runs."""

    def middle(run: Ran) -> float:
        return statistics.median(step["step"] for step in run.steps)

    return [middle(mine) / middle(other) for mine, other in zip(ours, theirs, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=GOALS, required=True)
    parser.add_argument("--steps", type=int, default=10, help="steps of a run that count")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each")
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    case = cpu_case() if options.device == "cpu" else cuda_case()
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "lightning", "trl")}
    where = {"command": shlex.join(["python", *sys.argv]), "commit": commit(ROOT), "machine": device(), **versions}
    print("\n".join(f"{name}: {value}" for name, value in where.items()))
    loss = losses(case)
    gap = abs(loss["thicket"] - loss["trl"])
    print(f"loss: {', '.join(f'{name} {value:.7f}' for name, value in loss.items() if name != 'gradients')}")
    print(f"losses differ by {gap:.1e}, gradients by {loss['gradients']:.1e} of their norm")
    runs = measure(case, options.steps, options.repeats)
    found = {name: summary(of) for name, of in runs.items()}
    print("way                  s a step  range            rollouts  verify  updates  tokens a step  µs a token")
    for name, of in found.items():
        times = f"{of['seconds']:8.4f}  {of['range'][0]:.4f}–{of['range'][1]:.4f}"
        phases = f"{of['rollouts']:8.4f}  {of['verify']:6.4f}  {of['updates']:7.4f}"
        print(f"{name:20} {times}  {phases}  {of['tokens']:13.0f}  {1e6 * of['seconds'] / of['tokens']:10.1f}")
    against = {name: ratios(runs["thicket"], of) for name, of in runs.items() if name != "thicket"}
    for name, shares in against.items():
        least = found["thicket"]["range"][0] / found[name]["range"][0]
        print(
            f"thicket / {name}: {statistics.median(shares):.3f} [{min(shares):.3f}, {max(shares):.3f}], of the fastest "
            f"steps {least:.3f}; at most {GOALS[options.device]:.3f} is wanted"
        )
    if options.results:
        steps = {name: [run.steps for run in of] for name, of in runs.items()}
        result = {**where, "loss": loss, "ways": found, "ratios": against, "steps": steps}
        options.results.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
