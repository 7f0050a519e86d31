"""Low-rank adapters over a model (Hu et al. 2021, arXiv 2106.09685), by the package peft."""

import warnings
from typing import Any

import torch
from transformers import PreTrainedModel

from thicket.config.on_policy import Lora


def adapt(model: PreTrainedModel, lora: Lora, seed: int) -> PreTrainedModel:
    """The model with fresh adapters, which alone are trained; at first it answers as before, since B is 0.

    `seed` draws the adapters' A. Raises: ValueError where no module has one of the names in `targets`.
    """
    from peft import LoraConfig, get_peft_model

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
        torch.manual_seed(seed)
        try:
            return get_peft_model(model, config)  # type: ignore[return-value]
        except ValueError as error:
            raise ValueError(f"method.lora.targets = {lora.targets}: {error}") from None


def merged(model: Any) -> PreTrainedModel:
    """The plain model with its adapters added into its weights; a model without adapters as it is."""
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model
