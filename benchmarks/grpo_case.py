"""What a GRPO step is made of for `grpo_step.py`, as thicket's training and as TRL's trainer, and the two losses."""

import random
import time
import zlib
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import random_llama
from datasets import Dataset
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast, PrinterCallback
from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportMissingImports]

from thicket.config.domain import TrainedDomain, Window
from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import Grpo as Config
from thicket.config.project import Project
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item, item_id
from thicket.domains.registry import raw_items
from thicket.domains.verdict import Verdict
from thicket.methods.grpo import Grpo
from thicket.models.characters import character_tokenizer
from thicket.models.scratch import fresh_model
from thicket.plan.pipeline import pipeline
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import encode_prompts
from thicket.sampling.sampler import TorchSampler
from thicket.stages.data import item_of
from thicket.training.asking import Arena
from thicket.training.policy import Budget, PolicyTraining

ROOT = Path(__file__).parents[1]


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
    made = Tokenizer(WordLevel({"<pad>": 0, **{str(word): word for word in range(1, words)}}, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    model = random_llama("cpu", torch.float32)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", unk_token="<pad>")
    texts = [" ".join(str(draw.randrange(1, words)) for _ in range(prompt)) for _ in range(64)]
    items = [Item(item_id(text), text, "", 1) for text in texts]
    verifier = ExactVerifier(type="exact")
    domain = TrainedDomain(name="numbers", verifier=verifier, window=Window(prompt=prompt, response=256))
    rates = Optimizer(lr=1e-6)
    config = Config(type="grpo", prompts=64, group=4, steps=1, micro_batch=128, optimizer=rates)
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


def training(case: Case, model: Any, coin: Coin, steps: int) -> PolicyTraining:
    prompts = encode_prompts(case.tokenizer, case.items, case.domain.window.prompt, case.domain.name)
    train = Environment(case.domain, case.items, prompts, [case.tokenizer.eos_token_id], coin.judge)
    arena = Arena(case.domain, train, replace(train, items=case.items[:1], prompts=prompts[:1]))
    method, rows = Grpo(case.config, lambda: model), case.config.prompts * case.config.group
    return PolicyTraining(
        model, case.tokenizer, [arena], case.config, method, Budget(steps=steps), 0, TorchSampler(rows)
    )


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
    trainer = GRPOTrainer(model, coin.reward, settings, prompts, processing_class=deepcopy(case.tokenizer))
    trainer.remove_callback(PrinterCallback)
    return trainer


def losses(case: Case) -> dict[str, float]:
    """Both losses on the same tokens, behaviour log-probabilities and advantages, with the policy's weights moved."""
    half, model = case.device == "cuda", deepcopy(case.model).to(case.device)
    module = training(case, model, Coin(case.tokenizer), 1).to(case.device)
    rollouts, *_ = module._rollouts()
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
    return {
        "thicket": float(mine.detach()),
        "trl": float(theirs.detach()),
        "thicket in float32": exact,
        "gradients": float(gap),
    }


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
