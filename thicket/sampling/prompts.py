"""From items to padded token ids. Legend: U prompts, P the longest prompt's tokens."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from thicket.domains.item import Item, Message

Tokenizer = Any  # transformers' tokenizers share no typed base class for what is used here.


def encode_prompt(tokenizer: Tokenizer, item: Item) -> list[int]:
    """Token ids of an item's prompt: text as the tokenizer encodes it, or a chat up to the assistant's turn."""
    if isinstance(item.prompt, str):
        return tokenizer(item.prompt)["input_ids"]
    return tokenizer(chat_text(tokenizer, item.prompt, asking=True), add_special_tokens=False)["input_ids"]


def chat_text(tokenizer: Tokenizer, messages: list[Message], asking: bool) -> str:
    """A chat as the model's template writes it; `asking`: up to where the assistant answers.

    The template is the model's own text, which transformers runs in jinja's sandbox.
    Raises: ValueError where it fails, for instance since it reaches for what the sandbox doesn't give.
    """
    try:
        return tokenizer.apply_chat_template(messages, add_generation_prompt=asking, tokenize=False)
    except Exception as error:  # Whatever its expressions come to.
        raise ValueError(f"the model's chat template fails: {type(error).__name__}: {error}") from error


def encode_prompts(tokenizer: Tokenizer, items: list[Item], longest: int, domain: str) -> list[list[int]]:
    """Token ids of the prompts.

    Raises: ValueError where a prompt has more tokens than the domain's window or the tokenizer knows no chat.
    """
    if any(not isinstance(item.prompt, str) for item in items) and not getattr(tokenizer, "chat_template", None):
        raise ValueError(f"domain {domain}: prompts are chats, and the model's tokenizer has no chat template")
    encoded = [encode_prompt(tokenizer, item) for item in items]
    worst = max(encoded, key=len, default=[])
    if len(worst) > longest:
        raise ValueError(
            f"domain {domain}: a prompt has {len(worst)} tokens, and domain.window.prompt allows {longest}; "
            f"it begins: {tokenizer.decode(worst)[:80]!r}"
        )
    return encoded


def stop_ids(tokenizer: Tokenizer, stop: str | None) -> list[int]:
    """Tokens that end a response: end of sequence, and each token whose text holds the stop character."""
    ids = {tokenizer.eos_token_id}
    if stop is not None:
        texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
        ids |= {i for i, text in enumerate(texts) if stop in text}
    return sorted(ids)


def right_pad(prompts: Sequence[list[int]], device: torch.device | str) -> tuple[Tensor, Tensor]:
    """Prompts padded on the right to the longest, ids_UP, and their lengths_U."""
    ids_UP = torch.zeros((len(prompts), max(map(len, prompts))), dtype=torch.long)
    for row, ids in enumerate(prompts):
        ids_UP[row, : len(ids)] = torch.tensor(ids)
    return ids_UP.to(device), torch.tensor([len(ids) for ids in prompts], device=device)


def texts_of(responses: Sequence[list[int]], tokenizer: Tokenizer, stop: str | None) -> list[str]:
    """Token ids as text, up to the stop character."""
    whole = tokenizer.batch_decode(list(responses), skip_special_tokens=True)
    return [text.split(stop)[0] if stop else text for text in whole]
