"""SFT: supervised fine-tuning on given demonstrations (as in InstructGPT, Ouyang et al. 2022, arXiv 2203.02155 §3.5).

Signal: a demonstration for each item, with the end that the domain asks of a response. Loss: −(1/Σ_i |y_i|) Σ_i Σ_t
log π_θ(y_it | x_i, y_i<t), the mean over the response tokens of an optimizer step's texts; prompts are read only.
"""

from thicket.config.shown import DEMONSTRATION
from thicket.domains.item import Item
from thicket.methods.texts import Text
from thicket.sampling.environment import Environment
from thicket.sampling.prompts import Tokenizer, chat_text
from thicket.sampling.unknown import say, unknown_characters


def demonstrations(tokenizer: Tokenizer, environment: Environment) -> list[Text]:
    """The items' demonstrations; left out are items that have none, those too long for the domain's window, and those
    with characters that the tokenizer doesn't know: a model would learn to write the token that stands for them.

    Raises: ValueError where a demonstration holds the stop character, or none is left.
    """
    domain, items = environment.domain, environment.items
    unknown = unknown_characters(tokenizer, (item.demonstration for item in items))
    given = [
        (item, prompt) for item, prompt in zip(items, environment.prompts, strict=True) if item.demonstration.strip()
    ]
    texts = [
        Text(prompt, written(tokenizer, item, domain.stop, domain.name), domain.name, DEMONSTRATION)
        for item, prompt in given
        if not unknown & set(item.demonstration)
    ]
    fitting = [text for text in texts if len(text.response) <= domain.window.response]
    which = f", {len(texts)} of them in characters that the model's tokenizer knows" if unknown else ""
    having = f"of {len(items)} train items, {len(given)} have a demonstration{which}"
    if not fitting:
        raise ValueError(
            f"domain {domain.name}: there is nothing to imitate: {having}, and none fits domain.window.response "
            f"({domain.window.response} tokens)"
        )
    if unknown:
        say(f"domain {domain.name}: {having}")
    return fitting


def written(tokenizer: Tokenizer, item: Item, stop: str | None, domain: str) -> list[int]:
    """Token ids of a demonstration and its end: the stop character, what closes the assistant's turn in a chat, or
    the end-of-sequence token. It is encoded on its own, since a model writes token by token after the prompt.

    Raises: ValueError where it holds the stop character, at which a response would be cut, or is not what the chat
    template makes of it.
    """
    raw = isinstance(item.prompt, str)
    text = item.demonstration.rstrip() if raw else item.demonstration.strip()  # text goes on as examples do
    if stop is not None and stop in text:
        raise ValueError(f"domain {domain}: item {item.id}: its demonstration holds the stop {stop!r}: {text[:80]!r}")
    if stop is not None:
        return tokenizer(text + stop, add_special_tokens=False)["input_ids"]
    if not isinstance(item.prompt, str):
        chat = [*item.prompt, {"role": "assistant", "content": text}]
        whole = chat_text(tokenizer, chat, asking=False)
        asked = chat_text(tokenizer, item.prompt, asking=True)
        answer = whole.removeprefix(asked)
        if not (whole.startswith(asked) and answer.startswith(text)):
            raise ValueError(
                f"domain {domain}: item {item.id}: the chat template rewrites the demonstration {text[:80]!r}"
            )
        text = answer.rstrip()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids if ids[-1] in tokenizer.all_special_ids else [*ids, tokenizer.eos_token_id]
