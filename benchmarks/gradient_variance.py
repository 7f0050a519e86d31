"""The variance of distillation's gradient, by signal: many resamples of the responses to one batch of prompts.

    python benchmarks/gradient_variance.py PROJECT STUDENT [--resamples 32 --prompts 128]

PROJECT: a project that has been built; STUDENT: one of its students by `opd`, whose teachers, domains and start count.
Responses are sampled from the start, anew for each resample, and every signal sees the same ones. Printed: E‖g − ḡ‖²
over ‖ḡ‖² (the noise of one step over its signal), with the range over halves of the resamples, and the cosine of the
mean gradient with that of the whole vocabulary's.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from thicket.config.distillation import FullVocab, SampledToken, Signal, Top1, TopK
from thicket.config.stages import StudentStage, read_stage
from thicket.methods.method import Rows
from thicket.methods.opd import Opd
from thicket.models.folder import load_model, load_tokenizer
from thicket.models.teachers import Teachers, Voice
from thicket.ops import draws
from thicket.sampling.decode import Decoding
from thicket.sampling.environment import load_environment
from thicket.sampling.rollouts import Request, sequences
from thicket.sampling.sampler import TorchSampler

SIGNALS: dict[str, Signal] = {
    "full vocabulary": FullVocab(type="full_vocab"),
    "top 8 and the rest": TopK(type="top_k", k=8),
    "top 1": Top1(type="top1"),
    "sampled token": SampledToken(type="sampled_token"),
    "sampled token, clip 1": SampledToken(type="sampled_token", clip=1.0),
}
STREAM = 97
"""Of draws, apart from those of training."""


class Batch:
    """A student's prompts, its start and its teachers."""

    def __init__(self, root: Path, stage: StudentStage, prompts: int, batch: int):
        self.stage, self.sampler = stage, TorchSampler(batch)
        folder = root / "build/models" / stage.base
        self.model, self.tokenizer = load_model(folder), load_tokenizer(folder)
        names = dict.fromkeys(teacher.name for teacher in stage.teachers)
        self.teachers = Teachers({name: Voice(root / "build/models" / name) for name in names})
        each = prompts // len(stage.domains)
        self.asked = [
            (load_environment(domain, root / "build/data" / domain.name, "train", self.tokenizer), each)
            for domain in stage.domains
        ]

    def rows(self, resample: int) -> Rows:
        prompts: list[list[int]] = []
        responses: list[list[int]] = []
        domains: list[str] = []
        for index, (environment, count) in enumerate(self.asked):
            keys = [draws.key(self.stage.seed, STREAM, resample, index, place) for place in range(count)]
            requests = [Request(prompt, key) for prompt, key in zip(environment.prompts[:count], keys, strict=True)]
            decoding = Decoding(1.0, most=environment.domain.window.response)
            stop = environment.domain.stop
            groups = self.sampler.respond(self.model, self.tokenizer, requests, decoding, environment.stop_ids, stop)
            responses += [response.tokens for (response,) in groups]
            prompts += environment.prompts[:count]
            domains += [environment.domain.name] * count
        made = sequences(prompts, responses, "cpu")
        zeros_B = torch.zeros(len(prompts))
        return Rows(made, domains, zeros_B, zeros_B, torch.zeros_like(made.mask_BK))

    def gradient(self, rows: Rows, signal: Signal) -> Tensor:
        config: Any = self.stage.method
        made = config.model_copy(update={"signal": signal})
        method = Opd(made, self.stage.teachers, self.teachers, len(self.tokenizer))
        rows = method.prepare(rows, config.micro_batch)
        self.model.zero_grad()
        method.update(self.model, rows, method.weights(rows)).loss.backward()
        given = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        return torch.cat([gradient.flatten().double() for gradient in given])


def noise(gradients_RD: Tensor) -> float:
    mean_D = gradients_RD.mean(dim=0)
    spread = (gradients_RD - mean_D).square().sum(dim=1).sum() / (len(gradients_RD) - 1)
    # The mean of R resamples holds an R-th of the variance itself.
    return float(spread / (mean_D.square().sum() - spread / len(gradients_RD)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("student")
    parser.add_argument("--resamples", type=int, default=32)
    parser.add_argument("--prompts", type=int, default=128)
    arguments = parser.parse_args()
    stage = read_stage(arguments.project / f"build/config/models/{arguments.student}.yaml")
    assert isinstance(stage, StudentStage)
    batch = Batch(arguments.project, stage, arguments.prompts, stage.sampler.batch)
    found: dict[str, list[Tensor]] = {name: [] for name in SIGNALS}
    for resample in range(arguments.resamples):
        rows = batch.rows(resample)
        for name, signal in SIGNALS.items():
            found[name].append(batch.gradient(rows, signal))
    whole_D = torch.stack(found["full vocabulary"]).mean(dim=0)
    for name, gradients in found.items():
        all_RD = torch.stack(gradients)
        halves = sorted((noise(all_RD[::2]), noise(all_RD[1::2])))
        cosine = torch.nn.functional.cosine_similarity(all_RD.mean(dim=0), whole_D, dim=0)
        print(
            f"{name:24} {noise(all_RD):8.2f} ({halves[0]:.2f}–{halves[1]:.2f})  cosine {float(cosine):.3f}", flush=True
        )


if __name__ == "__main__":
    main()
