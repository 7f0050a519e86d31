"""How stages run: the Trainer, the sampler and the evaluation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.fields import Count, NonNegative, Positive, Share, Strict


class Trainer(Strict):
    """The one Trainer configuration of every stage that trains or evaluates (Lightning)."""

    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    """Where tensors live; `auto`: a GPU if there is one."""
    strategy: Literal["single", "ddp", "fsdp"] = "single"
    """How devices share the work. `ddp`: each holds the whole model, and takes a share of the rollouts, of the members
    of a search, of the scored items, and of an update's micro-batches, whose gradients are summed. `fsdp`: the
    optimizer's state is dealt out besides. The result is that of one device but for the order of sums."""
    devices: Positive = 1
    """GPUs of this machine, or processes on its CPU; of all machines, where torchrun or srun starts them on several. A
    run that breaks off can be gone on with on another number."""
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    """Lightning's precision: `bf16-mixed` computes in bfloat16 over float32 weights."""
    checkpoint_every: Positive = 20
    """Steps between two checkpoints to resume from; where a search scores candidates together, at most so many or the
    candidates of one pass. They lie outside the artifact and go when it is published."""

    @model_validator(mode="after")
    def _devices_have_a_strategy(self) -> "Trainer":
        if self.devices > 1 and self.strategy == "single":
            raise ValueError(f"`devices` = {self.devices} need a `strategy` to share the work: ddp or fsdp")
        return self

    @property
    def on_one_device(self) -> "Trainer":
        """What of it the result depends on."""
        return self.model_copy(update={"strategy": "single", "devices": 1})


class Sampling(Strict):
    """What every sampler has."""

    batch: Positive = 256
    """Responses decoded at once; it changes memory and speed, and the samples by no more than rounding does."""


class TorchSampling(Sampling):
    """Thicket's own decode loop, for every model and on any device."""

    type: Literal["torch"]


class VllmSampling(Sampling):
    """vLLM (Kwon et al. 2023, arXiv 2309.06180): an engine beside the model, on its GPU, which is given the model's
    weights whenever they have changed. `pip install -e '.[vllm]'` installs it.

    It writes the rollouts, the samples to imitate, and what evaluations and checkpoints are scored by; its draws are
    not those of `torch`. Three things stay with thicket's own loop whatever the sampler: analyses and searches of
    weights, which ask many neighbours in one pass or compare models draw by draw, and judges with a model of their own.
    It can't write for models that choose each token together (method `ensemble`), nor for models of two architectures
    in one stage.
    """

    type: Literal["vllm"]
    gpu_memory: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """Share of the GPU's memory that the engine takes at its start and keeps, for its copy of the weights and for what
    it has read; training has the rest (TRL's default where both are on one GPU)."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """The type that it computes in. Training reads the responses again in `trainer.precision`: where the two differ,
    rollouts are a little off-policy, for which `method.importance_cap` corrects (2.0, say). `float32` is slower, and
    not for every GPU."""
    eager: bool = False
    """Whether it does without compiled graphs: it starts sooner and writes more slowly."""


Sampler = Annotated[TorchSampling | VllmSampling, Field(discriminator="type")]
"""What turns prompts into responses, for rollouts and for evaluation."""


class Evaluation(Strict):
    """How models are scored."""

    samples: Positive
    """Responses a prompt, n of the unbiased pass@k (Chen et al. 2021, arXiv 2107.03374 eq. 1)."""
    ks: Annotated[list[Positive], Field(min_length=1)]
    """The k of pass@k."""
    temperature: NonNegative = 1.0
    """Sampling temperature."""
    top_k: Count = 0
    """Sample among the k likeliest tokens; 0: all."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Sample among the likeliest tokens that hold this share of the probability."""
    resamples: Positive = 2000
    """Bootstrap resamples over prompts."""
    confidence: Share = 0.95
    """Coverage of the intervals."""
    split: Literal["selection", "test"] = "test"
    """Which items are scored."""

    @model_validator(mode="after")
    def _k_within_samples(self) -> "Evaluation":
        most = max(self.ks)
        if most > self.samples:
            raise ValueError(f"`ks` asks for pass@{most}, which needs {most} `samples` (there are {self.samples})")
        if 1 not in self.ks:
            raise ValueError("`ks` has to hold 1: pass@1 is the score of every table")
        return self
