"""How the models of a report were scored."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How the models were scored, and how the intervals were made."""

    samples: int
    ks: tuple[int, ...]
    temperature: float
    top_k: int
    top_p: float
    resamples: int
    confidence: float
    split: str
    seed: int
    """Seed of the resamples."""

    @property
    def bootstrap(self) -> tuple[int, float, int]:
        """Resamples, confidence and seed: the last arguments of every interval."""
        return self.resamples, self.confidence, self.seed
