"""What imitation trains on: a prompt with a response to it, and the samples that such responses are chosen from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Text:
    """A prompt and the response that is imitated, as token ids."""

    prompt: list[int]
    response: list[int]
    domain: str
    writer: str
    """Who wrote the response: a model's name, or DEMONSTRATION (`thicket.config.shown`)."""
    correct: bool | None = None
    """The verifier's word on it; None where it was not asked."""


@dataclass(frozen=True)
class Sample:
    """A response of the frozen start."""

    tokens: list[int]
    """The token that stopped it included."""
    text: str
    """The text before the stop."""
    correct: bool | None = None
    """The verifier's word; None where it was not asked."""
    judging: float = 0.0
    """FLOPs of the model that judged it, where one did."""
