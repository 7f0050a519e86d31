"""What a training spends: tokens and FLOPs, which the seed fixes (time and memory are the machine's)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from thicket.domains.verdict import Verdict
from thicket.models.flops import BACKWARD, FORWARD


@dataclass
class Ledger:
    """Counts of tokens and floating-point operations.

    2 FLOPs a parameter and token forward, 4 backward (Kaplan et al. 2020, arXiv 2001.08361 §2.1): 2P for a token that
    is read or generated, 6P for one that is trained on. Attention's own share is left out, and so are scores on the
    selection items: every way has them. A control, or a merge that is chosen, has nothing else: they are its cost.
    The counts are the algorithm's: a prompt that is read once for all of its responses, or a response that is not read
    since it would give no gradient, saves time, and nothing here.
    """

    parameters: int = 0
    tokens_generated: int = 0
    tokens_trained: int = 0
    flops: float = 0.0

    def forward(self, tokens: int, passes: float = 1.0) -> None:
        """Tokens that are read: prompts, and trained tokens that another model judges."""
        self.flops += FORWARD * self.parameters * tokens * passes

    def generated(self, tokens: int) -> None:
        self.tokens_generated += tokens
        self.forward(tokens)

    def judged(self, verdicts: Sequence[Verdict]) -> None:
        """What the model took that judged, where one did."""
        self.flops += sum(verdict.flops for verdict in verdicts)

    def trained(self, tokens: int, models: float = 1.0) -> None:
        """Tokens that are trained on, by the policy and by whatever is trained beside it."""
        self.tokens_trained += tokens
        self.flops += (FORWARD + BACKWARD) * self.parameters * tokens * models

    def with_other(self, other: "Ledger") -> "Ledger":
        """Both together, with the parameters of this one."""
        generated = self.tokens_generated + other.tokens_generated
        trained = self.tokens_trained + other.tokens_trained
        return Ledger(self.parameters, generated, trained, self.flops + other.flops)

    def counts(self) -> dict[str, float]:
        """The figures that the seed fixes."""
        return asdict(self)
