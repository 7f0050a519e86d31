"""OPD: multi-teacher on-policy distillation with the exact full-vocabulary KL (DeepSeek-V4, arXiv 2606.19348 eq. 29).

Signal: at every token of the student's own responses, the whole next-token distribution of each teacher of the prompt's
domain. Loss: mean over response tokens of Σ_i w_i KL(π_θ ‖ π_Ei). No gradient flows through the sampling.
"""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket.config.method import Opd as Config
from thicket.config.stages import Teacher
from thicket.methods.method import OnRollouts, Passes, Rows, TokenLoss, stacked
from thicket.ops.divergence import reverse_kl
from thicket.ops.log_probs import entropy
from thicket.ops.policy_gradient import token_mean_weights
from thicket.sampling.rollouts import Sequences, logits_of


class Opd(OnRollouts):
    """The method `opd`."""

    needs_rewards = False

    def __init__(self, config: Config, teachers: list[Teacher], models: dict[str, PreTrainedModel]):
        """`models` are the teachers' models, frozen, by name."""
        super().__init__()
        self.config, self.models = config, models
        self.frozen = list(models.values())
        self.teachers = [teacher for teacher in teachers if teacher.weight > 0]
        judged = len({teacher.domain for teacher in self.teachers})
        self.passes = Passes(forward=len(self.teachers) / judged)

    def weights(self, rows: Rows) -> Tensor:
        return token_mean_weights(rows.sequences.mask_BK)

    def token_loss(self, logits_BKV: Tensor, rows: Rows) -> TokenLoss:
        log_probs_BKV = logits_BKV.log_softmax(dim=-1)
        kl_BK = torch.zeros_like(rows.sequences.mask_BK)
        for teacher in self.teachers:
            judged = [row for row, domain in enumerate(rows.domains) if domain == teacher.domain]
            if not judged:
                continue
            chosen = torch.tensor(judged, device=kl_BK.device)
            teacher_NKV = self._log_probs(teacher, rows.sequences.rows(chosen))
            kl_NK = reverse_kl(log_probs_BKV[chosen, : teacher_NKV.shape[1]], teacher_NKV)
            kl_BK = kl_BK.index_add(0, chosen, teacher.weight * stacked([kl_NK], kl_BK.shape[1]))
        figures = {"kl": kl_BK.detach(), "entropy": entropy(log_probs_BKV.detach())}
        return TokenLoss(kl_BK, figures)

    @torch.no_grad()
    def _log_probs(self, teacher: Teacher, batch: Sequences) -> Tensor:
        return logits_of(self.models[teacher.name], batch).log_softmax(dim=-1)
