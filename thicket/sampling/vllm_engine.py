"""vLLM's engine: started when it is first needed, and given a model's weights whenever they are not those that it has.

It runs in this process, so that tensors are handed over on the device where they lie.
"""

import os
from copy import deepcopy
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from thicket.config.run import VllmSampling
from thicket.models.fingerprint import fingerprint
from thicket.models.head import plain
from thicket.models.lora import merged

UNREAD = {"_name_or_path", "architectures", "dtype", "transformers_version", "use_cache"}
UNREAD |= {"bos_token_id", "eos_token_id", "pad_token_id"}
"""Of a model's config: what changes no logits."""


class Engine:
    """An engine for models of one architecture, which has the weights of one of them."""

    def __init__(self, config: VllmSampling):
        self._config = config
        self._llm: Any = None
        self._architecture: dict[str, Any] = {}
        self._held: tuple[list[int], list[str]] | None = None  # the fingerprint of the weights that it has

    def of(self, model: PreTrainedModel) -> Any:
        """vLLM's `LLM` with the model's weights.

        Raises: ValueError where it does not start, or where the model's architecture is not the first one's.
        """
        architecture = _architecture(model)
        if self._llm is None:
            self._llm, self._architecture = _started(model, self._config), architecture
        elif architecture != self._architecture:
            raise ValueError(
                "sampler vllm: models of two architectures answer in this process, and the engine is made for one; "
                "`sampler: torch` writes for both, and stages that run by themselves have engines of their own"
            )
        wanted = fingerprint(model)
        if wanted != self._held:
            self._give(model)
            self._held = wanted
        # A resumed run finds what an unbroken one does: nothing that was read before.
        self._llm.reset_prefix_cache()
        return self._llm

    def _give(self, model: PreTrainedModel) -> None:
        self._held = None  # Should it break off, nobody knows what the engine has.
        weights = iter(as_in_files(model).items())
        self._llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})


def as_in_files(model: PreTrainedModel) -> dict[str, Tensor]:
    """The weights under the names, and in the shapes, of a model folder's files; adapters are added in.

    Of a model with adapters, on a copy: to add them and take them away again would leave rounding in its own weights.
    """
    bare = merged(deepcopy(model)) if hasattr(model, "merge_and_unload") else model
    # Without the other names of tied weights, which files don't have either.
    named = dict(bare.named_parameters()) | dict(bare.named_buffers())
    state = {name: tensor for name, tensor in bare.state_dict().items() if name in named}
    return revert_weight_conversion(bare, state)


def _architecture(model: PreTrainedModel) -> dict[str, Any]:
    config = plain(model).config.to_dict()
    return {key: value for key, value in config.items() if key not in UNREAD}


def _started(model: PreTrainedModel, config: VllmSampling) -> Any:
    """A new engine without weights. Raises: ValueError where it does not start."""
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")  # Stages show their own progress.
    vllm = import_module("vllm")
    shape = deepcopy(plain(model).config)
    shape.architectures = [type(plain(model)).__name__]
    with TemporaryDirectory() as folder:
        shape.save_pretrained(folder)
        try:
            return vllm.LLM(
                model=folder,
                skip_tokenizer_init=True,
                generation_config="vllm",  # Its own defaults: every request brings all its settings.
                load_format="dummy",
                dtype=config.dtype,
                logprobs_mode="processed_logprobs",
                max_num_seqs=config.batch,
                max_model_len=-1,  # The model's own, or as much of it as there is room for.
                gpu_memory_utilization=config.gpu_memory,
                enforce_eager=config.eager,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ValueError(f"sampler vllm: the engine does not start: {error}") from error
