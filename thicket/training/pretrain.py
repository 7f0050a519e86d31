"""Pretraining of a base model on generated documents. Legend: B documents, L tokens, V vocabulary."""

import torch
from torch import Tensor
from transformers import PreTrainedModel

from thicket import ranks
from thicket.config.base import PretrainedBase
from thicket.domains.corpus import Document, documents
from thicket.sampling.prompts import Tokenizer
from thicket.training.curves import Row
from thicket.training.loop import Steps
from thicket.training.optimizer import adamw, learning_rate


class Pretraining(Steps):
    """Lightning module: next-token prediction, answers weighing 1 and questions `question_weight`."""

    def __init__(self, model: PreTrainedModel, tokenizer: Tokenizer, config: PretrainedBase, seed: int):
        super().__init__(model)
        self.tokenizer, self.config, self.seed = tokenizer, config, seed

    @property
    def share_done(self) -> float:
        return self.step / self.config.steps

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw([self.model], self.config.optimizer)

    def take_step(self) -> Row:
        config = self.config
        written = documents(config.corpus, self.seed, self.step, config.batch)
        ids_BL, weights_BL, tokens = encode(self.tokenizer, written, config.corpus.question_weight)
        loss = self.gradients(ids_BL.to(self.device), weights_BL.to(self.device))
        self.ledger.trained(tokens)
        self.update(learning_rate(config.optimizer, self.step, config.steps), config.optimizer.clip)
        return {"step": self.step + 1, "flops": self.ledger.flops, "loss": loss}

    def gradients(self, ids_BL: Tensor, weights_BL: Tensor) -> float:
        """Adds up the gradients of the mean over all documents, of which each process reads its share; the loss."""
        total, loss = weights_BL[:, 1:].flatten().sum(), 0.0
        if mine := ranks.own(range(len(ids_BL))):
            if len(mine) < len(ids_BL):
                ids_BL, weights_BL = ids_BL[mine], weights_BL[mine]
            logits_BLV = self.model(input_ids=ids_BL[:, :-1], use_cache=False).logits
            targets_N, weights_N = ids_BL[:, 1:].flatten(), weights_BL[:, 1:].flatten()
            loss_N = torch.nn.functional.cross_entropy(logits_BLV.flatten(0, 1), targets_N, reduction="none")
            share = (loss_N * weights_N).sum() / total
            self.manual_backward(share)
            loss = float(share.detach())
        return ranks.summed({"loss": loss})["loss"]


def encode(tokenizer: Tokenizer, written: list[Document], question_weight: float) -> tuple[Tensor, Tensor, int]:
    """Documents as ids_BL, right-padded, the weight of each token in the loss, weights_BL, and the number of tokens."""
    texts = [text for document in written for problem in document for text in problem]
    parts = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    rows: list[tuple[list[int], list[float]]] = []
    for document in written:
        ids, weights = [tokenizer.bos_token_id], [0.0]
        for _ in document:
            asked, answer = next(parts), next(parts)
            ids += asked + answer
            weights += [question_weight] * len(asked) + [1.0] * len(answer)
        rows.append((ids, weights))
    longest = max(len(ids) for ids, _ in rows)
    ids_BL, weights_BL = torch.zeros((len(rows), longest), dtype=torch.long), torch.zeros((len(rows), longest))
    for row, (ids, weights) in enumerate(rows):
        ids_BL[row, : len(ids)], weights_BL[row, : len(ids)] = torch.tensor(ids), torch.tensor(weights)
    return ids_BL, weights_BL, sum(len(ids) for ids, _ in rows)
