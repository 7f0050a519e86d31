"""The memory of distillation against the number of teachers: of a whole step, hidden states and loss.

    python benchmarks/teachers.py [--counts 1 2 10 --results FILE]

Writes a random model of SmolLM2-135M's shape in float32, links as many folders to its files as are wanted, and makes
steps of OPD on a CPU with them as teachers of ten domains (routing `domain`), each count in a process of its own, which
knows them by their folders alone and reads each anew. Printed: the peak of the process's memory (VmHWM: files that it
has mapped count as well), the student and its gradient among it, once the teachers have read the first rollouts and at
the end. Rows are few and short: what is left is models.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from common import SMOLLM2, about, random_llama, save

from thicket.config.distillation import Opd as Config
from thicket.config.optimizer import Optimizer
from thicket.config.stages import Teacher
from thicket.methods.method import Rows
from thicket.methods.opd import Opd
from thicket.models.teachers import Teachers, Voice
from thicket.sampling.rollouts import sequences

DOMAINS = [f"domain-{place}" for place in range(10)]
ROWS, TOKENS, STEPS = 20, 8, 2
"""Rows of a batch, tokens of a prompt and of a response, steps."""
LOGITS_MIB = 16
"""Memory for logits: little beside a model's."""
Figures = dict[str, int]


def peak() -> int:
    """MB of memory that this process has had at most."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) // 1000 for line in lines if line.startswith("VmHWM"))


def rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    prompts, responses = torch.randint(SMOLLM2["vocab_size"], (2, ROWS, TOKENS), generator=generator).tolist()
    batch, zeros_B = sequences(prompts, responses, "cpu"), torch.zeros(ROWS)
    domains = [DOMAINS[row % len(DOMAINS)] for row in range(ROWS)]
    return Rows(batch, domains, zeros_B, zeros_B, torch.zeros_like(batch.mask_BK))


def steps(folder: Path, count: int) -> None:
    """Prints the peaks of a process that learns from the first `count` models."""
    student = random_llama("cpu", torch.float32).requires_grad_()
    config = Config(type="opd", prompts=ROWS, group=1, steps=STEPS, optimizer=Optimizer(lr=1e-4), logits_mib=LOGITS_MIB)
    models = Teachers({str(place): Voice(folder / str(place)) for place in range(count)})
    judges = [Teacher(name=str(place % count), domain=domain) for place, domain in enumerate(DOMAINS)]
    method, read = Opd(config, judges, models, SMOLLM2["vocab_size"]), 0
    for _ in range(STEPS):
        batch = method.prepare(rows(), ROWS)
        read = read or peak()
        method.update(student, batch, method.weights(batch)).loss.backward()
        student.zero_grad()
    print(read, peak())


def measure(folder: Path, count: int) -> Figures:
    command = [sys.executable, __file__, "--in", str(folder), "--counts", str(count)]
    read, whole = map(int, subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split())
    print(f"{count:3} teachers: {read:6,} MB when they have read, {whole:6,} MB at most", flush=True)
    return {"teachers": count, "read MB": read, "MB": whole}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--counts", type=int, nargs="+", default=[1, 2, 10])
    parser.add_argument("--results", type=Path, help="a JSON file for the same figures")
    parser.add_argument("--in", type=Path, dest="folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder:
        steps(arguments.folder, *arguments.counts)
        return
    found = about("safetensors")
    with TemporaryDirectory() as folder:
        random_llama("cpu", torch.float32, seed=1).save_pretrained(Path(folder) / "0")
        for place in range(1, max(arguments.counts)):
            shutil.copytree(Path(folder) / "0", Path(folder) / str(place), copy_function=os.link)
        save(arguments.results, {**found, "cases": [measure(Path(folder), count) for count in arguments.counts]})


if __name__ == "__main__":
    main()
