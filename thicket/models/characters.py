"""A tokenizer of single characters, for models made from scratch."""

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

CHARACTERS = "\n 0123456789+=abcdefghijklmnopqrstuvwxyz"
BEGIN, END, PAD, UNKNOWN = "<s>", "</s>", "<pad>", "<unk>"


def character_tokenizer() -> PreTrainedTokenizerFast:
    """One token a character of `CHARACTERS`; a begin-of-sequence token goes before every text."""
    vocabulary = {text: index for index, text in enumerate([PAD, BEGIN, END, UNKNOWN, *CHARACTERS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")  # type: ignore[assignment]
    tokenizer.decoder = decoders.Fuse()  # type: ignore[assignment]
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{BEGIN} $A", special_tokens=[(BEGIN, vocabulary[BEGIN])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BEGIN,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        clean_up_tokenization_spaces=False,
    )
