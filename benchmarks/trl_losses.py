"""The losses of TRL's GRPOTrainer beside those of the methods that docs/migrating.md names for them.

    python benchmarks/trl_losses.py

Both read the same responses, of unequal lengths, with the same advantages, under a policy that has moved since these
were drawn: the values, and the relative distance of the gradients. Wants trl.
"""

import zlib
from copy import deepcopy
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from datasets import Dataset
from pydantic import TypeAdapter
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer  # pyright: ignore[reportMissingImports]

from thicket.config.base import Architecture
from thicket.config.domain import TrainedDomain, Window
from thicket.config.method import SpecialistMethod
from thicket.config.verifier import ExactVerifier
from thicket.domains.item import Item, item_id
from thicket.domains.verdict import Verdict
from thicket.models.characters import character_tokenizer
from thicket.models.scratch import fresh_model
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import encode_prompts
from thicket.sampling.sampler import TorchSampler
from thicket.training.asking import Arena
from thicket.training.policy import Budget, PolicyTraining

PROMPTS, GROUP, ROWS = 4, 6, 24


@dataclass(frozen=True)
class Pair:
    """A method with its fields, and TRL's settings."""

    method: str
    trl: dict[str, Any]
    fields: dict[str, Any] = field(default_factory=dict)


GROUPED = {"advantage_epsilon": 1e-4}
PAIRS = (
    Pair("grpo", {"loss_type": "grpo"}, GROUPED),
    Pair("grpo", {"loss_type": "grpo", "beta": 0.5, "use_bias_correction_kl": False}, {**GROUPED, "kl": 0.5}),
    Pair("simplerl", {"loss_type": "dapo"}, {**GROUPED, "kl": 0.0}),
    Pair("dr_grpo", {"loss_type": "dr_grpo", "scale_rewards": "none"}),
    Pair(
        "gspo",
        {"loss_type": "grpo", "importance_sampling_level": "sequence"},
        {**GROUPED, "clip": 0.2, "clip_high": 0.2},
    ),
)


def judge(answered: Any) -> list[Verdict]:
    """A reward that tells equal prompts' responses apart."""
    return [Verdict(zlib.crc32(text.encode()) % 2 == 1) for text, _ in answered]


def training(pair: Pair, start: Any, model: Any, tokenizer: Any) -> PolicyTraining:
    """thicket's training of one step."""
    texts = [f"reverse {number}=" for number in range(111, 111 + PROMPTS)]
    items = [Item(item_id(text), text, "", 1) for text in texts]
    window = Window(prompt=16, response=24)
    domain = TrainedDomain(name="some", verifier=ExactVerifier(type="exact"), window=window, stop="\n")
    prompts = encode_prompts(tokenizer, items, window.prompt, domain.name)
    train = Environment(domain, items, prompts, [tokenizer.eos_token_id], judge)
    arena = Arena(domain, train, replace(train, items=items[:1], prompts=prompts[:1]))
    sizes = {"type": pair.method, "prompts": PROMPTS, "group": GROUP, "steps": 1, "optimizer": {"lr": 1e-6}}
    config: Any = TypeAdapter[Any](SpecialistMethod).validate_python({**sizes, **pair.fields})
    module = import_module(f"thicket.methods.{pair.method}")
    method = next(one for one in vars(module).values() if getattr(one, "__module__", "") == module.__name__)
    return PolicyTraining(
        model, tokenizer, [arena], config, method(config, lambda: start), Budget(steps=1), 0, TorchSampler(ROWS)
    )


def padded(values_BK: Tensor, mask_BK: Tensor, fill: float) -> Tensor:
    """The masked values of each row from the left on."""
    rows = [values[mask] for values, mask in zip(values_BK, mask_BK, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)


def inputs_of(rows: Any, rollouts: list[Any], start: Any, pad: Any) -> dict[str, Any]:
    """The rows as TRL has them: prompts padded on the left, responses on the right."""
    mask_BK = rows.sequences.mask_BK > 0
    longest = max(len(rollout.prompt) for rollout in rollouts)
    prompts = torch.tensor([[pad] * (longest - len(one.prompt)) + list(one.prompt) for one in rollouts])
    seen = torch.tensor([[0] * (longest - len(one.prompt)) + [1] * len(one.prompt) for one in rollouts])
    responses, counted = padded(rows.sequences.targets_BK, mask_BK, pad), padded(mask_BK.long(), mask_BK, 0)
    ids, attended = torch.cat([prompts, responses], dim=1), torch.cat([seen, counted], dim=1)
    with torch.no_grad():
        logits = start(input_ids=ids, attention_mask=attended).logits[:, longest - 1 : -1]
    return {
        "prompt_ids": prompts,
        "prompt_mask": seen,
        "completion_ids": responses,
        "completion_mask": counted,
        "advantages": rows.advantages_BK.sum(dim=1) / mask_BK.sum(dim=1),
        "old_per_token_logps": padded(rows.old_log_probs_BK, mask_BK, 0.0),
        "ref_per_token_logps": logits.log_softmax(dim=-1).gather(-1, responses.unsqueeze(-1)).squeeze(-1),
        "num_items_in_batch": mask_BK.sum(),
    }


def compared(pair: Pair, folder: Path) -> str:
    """One line about a pair."""
    tokenizer = character_tokenizer()
    start = fresh_model(Architecture(layers=2, width=32, heads=2, mlp_width=48, context=64), tokenizer, seed=0).eval()
    start.save_pretrained(folder / "start")
    tokenizer.save_pretrained(folder / "start")
    start.config._name_or_path = str(folder / "start")  # where TRL loads its reference from
    model = deepcopy(start)
    module = training(pair, start, model, tokenizer)
    rollouts, *_ = module._rollouts()
    rows = module.method.prepare(module._rows(rollouts), ROWS).rows(torch.arange(ROWS))
    rows = replace(rows, old_log_probs_BK=module._old_log_probs(rows))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.3 * weight.std() * torch.randn(weight.shape, generator=generator)
    mine = module.method.update(model, rows, module.method.weights(rows)).loss
    settings = GRPOConfig(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=ROWS,
        num_generations=GROUP,
        max_completion_length=24,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        **pair.trl,
    )
    data = Dataset.from_dict({"prompt": ["reverse 111="]})
    trainer = GRPOTrainer(deepcopy(model), lambda **_: [], settings, data, processing_class=tokenizer)
    trainer.model.eval()
    theirs = trainer._compute_loss(trainer.model, inputs_of(rows, rollouts, start, tokenizer.pad_token_id))
    ours, other = (
        torch.cat([one.flatten() for one in torch.autograd.grad(loss, list(policy.parameters()))])
        for loss, policy in ((mine, model), (theirs, trainer.model))
    )
    lengths, gap = (rows.sequences.mask_BK > 0).sum(dim=1), float((ours - other).norm() / ours.norm())
    return (
        f"{pair.method:9} {float(mine):+.7f}  TRL {float(theirs):+.7f}  gradients {gap:.1e}"
        f"  lengths {int(lengths.min())} to {int(lengths.max())}  {pair.trl}"
    )


if __name__ == "__main__":
    for pair in PAIRS:
        with TemporaryDirectory() as folder:
            print(compared(pair, Path(folder)), flush=True)
