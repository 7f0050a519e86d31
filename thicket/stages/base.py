"""Stage *base*: pretrained in the pipeline, or taken from a GGUF file, a folder or the hub."""

from typing import TYPE_CHECKING, Any

from thicket.config.base import FolderBase, GgufBase, HubBase, PretrainedBase
from thicket.config.run import Trainer
from thicket.config.stages import BaseStage
from thicket.stages.outcome import Outcome, Places

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from thicket.sampling.prompts import Tokenizer


def make_base(config: BaseStage, places: Places) -> Outcome:
    """Makes the base model's folder.

    Raises: ValueError where a model from elsewhere is not there or can't serve as a base.
    """
    if isinstance(config.base, PretrainedBase):
        return _pretrain(config.base, config.seed, config.trainer, places)
    return _take(config.base, config.name, places)


def _take(base: GgufBase | FolderBase | HubBase, name: str, places: Places) -> Outcome:
    from thicket.models.folder import save_model
    from thicket.sampling.faithful import check_faithful

    if isinstance(base, GgufBase):
        from thicket.models.gguf import load_gguf

        model, tokenizer = load_gguf(base, places.root)
    else:
        from thicket.models.elsewhere import load_elsewhere

        model, tokenizer = load_elsewhere(base, places.root)
    check_fit(name, model, tokenizer, base.context)
    check_faithful(model, tokenizer, f"base {name}")
    save_model(model, tokenizer, places.out, base.dtype)
    print(f"base {name}: {model.num_parameters():,} parameters, saved in {base.dtype}", flush=True)
    return Outcome()


def check_fit(name: str, model: "PreTrainedModel", tokenizer: "Tokenizer", context: int) -> None:
    """Raises: ValueError where the context is longer than the model's, a token has no embedding, or there is no end."""
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", context)
    if context > longest:
        raise ValueError(f"base {name}: base.context is {context}, but the model was made for {longest} tokens")
    embedding: Any = model.get_input_embeddings().weight
    rows, tokens = embedding.shape[0], max(tokenizer.get_vocab().values()) + 1
    if tokens > rows:
        raise ValueError(f"base {name}: the tokenizer knows {tokens} tokens, but the model embeds only {rows}")
    if tokenizer.eos_token_id is None:
        raise ValueError(f"base {name}: the tokenizer has no end-of-sequence token, which ends a response")


def _pretrain(base: PretrainedBase, seed: int, trainer: Trainer, places: Places) -> Outcome:
    from thicket.models.characters import character_tokenizer
    from thicket.models.folder import save_model
    from thicket.models.scratch import fresh_model
    from thicket.training.loop import fit
    from thicket.training.pretrain import Pretraining

    tokenizer = character_tokenizer()
    module = Pretraining(fresh_model(base.architecture, tokenizer, seed), tokenizer, base, seed)
    fit(module, trainer, places.resume, places.progress("base", base))
    save_model(module.model, tokenizer, places.out)
    return Outcome(ledger=module.ledger, seconds=module.seconds, steps=module.step, rows=module.rows)
