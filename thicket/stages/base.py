"""Stage *base*: pretrained in the pipeline, or taken from a GGUF file, a folder or the hub."""

from thicket.config.base import FolderBase, GgufBase, PretrainedBase
from thicket.config.run import Trainer
from thicket.config.stages import BaseStage
from thicket.stages.outcome import Outcome, Places


def make_base(config: BaseStage, places: Places) -> Outcome:
    """Makes the base model's folder."""
    base = config.base
    if isinstance(base, PretrainedBase):
        return _pretrain(base, config.seed, config.trainer, places)
    if isinstance(base, GgufBase):
        from thicket.models.gguf import load_gguf

        model, tokenizer = load_gguf(base, places.root)
    else:
        from thicket.models.elsewhere import load_elsewhere

        model, tokenizer = load_elsewhere(base, places.root)
    from thicket.models.folder import save_model

    context = getattr(model.config, "max_position_embeddings", base.context)
    if base.context > context:
        raise ValueError(f"base {config.name}: context {base.context}, but the model was made for {context} tokens")
    save_model(model, tokenizer, places.out, base.dtype)
    source = base.path if isinstance(base, FolderBase) else base.file if isinstance(base, GgufBase) else base.id
    print(f"base {config.name}: taken from {source}", flush=True)
    return Outcome()


def _pretrain(base: PretrainedBase, seed: int, trainer: Trainer, places: Places) -> Outcome:
    from thicket.models.characters import character_tokenizer
    from thicket.models.folder import save_model
    from thicket.models.scratch import fresh_llama
    from thicket.training.loop import fit
    from thicket.training.pretrain import Pretraining
    from thicket.training.progress import Progress

    tokenizer = character_tokenizer()
    module = Pretraining(fresh_llama(base.architecture, tokenizer, seed), tokenizer, base, seed)
    fit(module, trainer, places.resume, Progress("base"))
    save_model(module.model, tokenizer, places.out)
    return Outcome(ledger=module.ledger, seconds=module.seconds, steps=module.step, rows=module.rows)
