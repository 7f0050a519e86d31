"""Where a base model comes from."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thicket.config.domain import Splits
from thicket.config.fields import Commit, Count, Positive, Share, Strict, form
from thicket.config.optimizer import Optimizer
from thicket.config.source import ProceduralSource


class Architecture(Strict):
    """A Llama-architecture decoder (RMSNorm, SwiGLU, rotary positions), made from scratch, dense or a mixture."""

    layers: Positive
    """Decoder blocks."""
    width: Positive
    """Size of the hidden states."""
    heads: Positive
    """Attention heads; each has width / heads dimensions."""
    mlp_width: Positive
    """Size of the gated MLP's inner layer; of a mixture, that of one expert."""
    context: Positive
    """Longest sequence, in tokens."""
    tied: bool = True
    """The output head is the input embedding."""
    experts: Count = 0
    """Experts in each layer (Qwen3's mixture of experts, arXiv 2505.09388); 0: a dense MLP."""
    active: Positive = 2
    """Experts that the router picks for each token, where there are any."""

    @model_validator(mode="after")
    def _experts_suffice(self) -> "Architecture":
        if 0 < self.experts < self.active:
            raise ValueError(f"`active` ({self.active}) can't be more than `experts` ({self.experts})")
        return self

    @model_validator(mode="after")
    def _heads_divide(self) -> "Architecture":
        if self.width % (2 * self.heads):
            raise ValueError(
                f"`width` ({self.width}) has to be a multiple of 2·`heads` ({2 * self.heads}): rotary pairs"
            )
        return self


class Corpus(Strict):
    """Documents by writers of mixed skill: each writer solves a task rightly or in one systematically wrong way."""

    tasks: Annotated[list[ProceduralSource], Field(min_length=1)]
    """The tasks that the documents are about, one task a document."""
    wrong_share: Share
    """Share of the writers who are wrong, in one of the task's systematic ways."""
    problems: Positive
    """Solved problems in one document, all by one writer."""
    question_weight: Share = 1.0
    """Weight of a question's tokens in the loss, against 1 for an answer's: what can't be predicted teaches little."""
    template: str = "{question}"
    """Text of a question, followed by its answer and a line break."""
    train_share: Share = Splits().train_share
    """Only questions in the train split of this share are written about, so that no test item is in the corpus."""

    @model_validator(mode="after")
    def _questions_are_written(self) -> "Corpus":
        if "{question}" not in self.template:
            raise ValueError("`template` needs {question}, the place where the question goes")
        return self


class PretrainedBase(Strict):
    """A base model pretrained in the pipeline on a generated corpus, with a character tokenizer.

    It knows the line break, the space, digits, `+`, `=` and the letters a to z, and no other character: `thicket check`
    refuses a local file of items none of whose answers can be right in these.
    """

    type: Literal["pretrain"]
    architecture: Architecture
    corpus: Corpus
    steps: Positive
    """Optimizer steps."""
    batch: Positive
    """Documents an optimizer step."""
    optimizer: Optimizer

    @property
    def context(self) -> int:
        return self.architecture.context


PackageName = Annotated[str, form(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and underscores, no digit first")]
"""Import name of a Python package, without dots: it is looked up, never imported."""
Digest = Annotated[str, form(r"^[0-9a-f]{64}$", "64 hexadecimal digits, in lower case")]


class _Taken(Strict):
    """A base model that exists already."""

    license: str | None = None
    """Licence of the weights as the hub names it (`apache-2.0`), for cards of what comes of them; null: unstated."""

    context: Positive
    """Longest sequence that the pipeline may use, in tokens (at most what the model was made for)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the base's saved weights; stages read them as float32, whatever it is."""


class GgufBase(_Taken):
    """A model inside a GGUF file, dequantised; the file may lie in an installed Python package."""

    type: Literal["gguf"]
    package: Annotated[list[PackageName], Field(min_length=1)] | None = None
    """The installed package that holds the file; several: a piece each, in this order; null: `file` is a path."""
    file: str
    """Path of the file, relative to the package's folder (a pattern is fine: `data/*.gguf`) or the project's root."""
    sha256: Digest | None = None
    """SHA-256 of the file, 64 hexadecimal digits: another file stops the stage. null: any file will do."""
    install: str | None = None
    """Command that installs what holds the file; shown where it is missing."""


class FolderBase(_Taken):
    """A model folder that `AutoModelForCausalLM.from_pretrained` can load (safetensors), trained elsewhere.

    Layers may attend, to all or to a window, or keep states (Qwen3.5, LFM2, Falcon-H1, Nemotron-H), and be mixtures.
    Its logits and what is written token by token are tried on a few texts against its own forward pass.
    """

    type: Literal["folder"]
    path: str
    """The folder, relative to the project's root or absolute."""


class HubBase(_Taken):
    """A Hugging Face causal language model."""

    type: Literal["hub"]
    id: str
    """Repository id, as in `Qwen/Qwen2.5-0.5B`."""
    revision: Commit
    """Commit of the repository (40 hexadecimal digits): a branch's name would change under the pipeline."""


Base = Annotated[PretrainedBase | GgufBase | FolderBase | HubBase, Field(discriminator="type")]
