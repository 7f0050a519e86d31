"""Low-rank adapters over a model (Hu et al. 2021, arXiv 2106.09685), by the package peft."""

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PreTrainedModel

from thicket import disk
from thicket.config.on_policy import Lora
from thicket.config.problems import nearest
from thicket.models.size import is_expert

ALL = "all-linear"
"""What `targets` says for every linear layer."""
ADAPTER = "adapter"
"""The folder of adapters within that of the model that they are merged into."""
ADAPTERS = "adapter_model.safetensors"


def adapt(model: PreTrainedModel, lora: Lora, seed: int) -> PreTrainedModel:
    """The model with fresh adapters, which alone are trained; at first it answers as before, since B is 0.

    `seed` draws the adapters' A. Raises: ValueError where no module has one of the names in `targets` or the head has,
    or where dropout is asked for on experts whose weights are one tensor.
    """
    from peft import LoraConfig, get_peft_model

    _check(model, lora)

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]
        lora_dropout=lora.dropout,
        target_modules=lora.targets,
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        # peft 0.21 asks transformers 5.23 by an old name.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        # What peft says of its own settings for stacked experts, where `targets` names none of them.
        warnings.filterwarnings("ignore", ".*(rank|alpha)_pattern keys.*", RuntimeWarning)
        torch.manual_seed(seed)
        return get_peft_model(model, config)  # type: ignore[return-value]


def _check(model: PreTrainedModel, lora: Lora) -> None:
    linear = sorted(
        {name.rpartition(".")[2] for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    )
    targets = [lora.targets] if isinstance(lora.targets, str) else lora.targets
    for target in targets:
        if target not in (ALL, *linear):
            close = nearest(target, linear)
            allowed = ", ".join([ALL, *linear]) + (f"; did you mean: {close}" if close else "")
            raise ValueError(f"method.lora.targets = {target}: the model has no such linear layer; allowed: {allowed}")
    head = model.get_output_embeddings()
    if any(module is head and name.rpartition(".")[2] in targets for name, module in model.named_modules()):
        raise ValueError("method.lora.targets: the head can't be adapted, since losses read its weights chunk by chunk")
    if lora.dropout > 0 and any(is_expert(name) for name, _ in model.named_parameters()):
        raise ValueError("method.lora.dropout: it has to be 0 on a mixture of experts, whose weights are one tensor")


def save_adapter(model: Any, start: str, folder: Path) -> None:
    """Writes a model's adapters, where it has any, as peft does; `start` is the name of what they go over."""
    if not hasattr(model, "merge_and_unload"):
        return
    for config in model.peft_config.values():
        config.base_model_name_or_path = start
    with disk.explained(folder, SafetensorError):
        model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)  # a form to fill in


def touches_head(folder: Path) -> bool:
    """Whether adapters of a folder go over the last layer too."""
    with safe_open(folder / ADAPTERS, framework="pt") as file:
        return any("lm_head" in key or "embed" in key for key in file.keys())  # noqa: SIM118


def with_adapter(model: Any, folder: Path, name: str) -> Any:
    """The model with the adapters of a folder at work, in the place of any others that it has."""
    from peft import PeftModel

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        if not isinstance(model, PeftModel):
            return PeftModel.from_pretrained(model, folder, adapter_name=name)
        if name not in model.peft_config:
            model.load_adapter(folder, adapter_name=name)
    model.set_adapter(name)
    return model


def merged(model: Any) -> PreTrainedModel:
    """The plain model with its adapters added into its weights; a model without adapters as it is."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
