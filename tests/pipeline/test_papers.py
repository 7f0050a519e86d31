"""The papers' own set-ups, on shrunken models of their families and stand-ins of their data."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_models import SIZES
from stand_ins import stand_in
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from toys import ROOT, run
from transformers import (
    Olmo2Config,
    Olmo2ForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from thicket.config.base import FolderBase
from thicket.config.domain import Domain
from thicket.config.library import Library
from thicket.config.project import Project
from thicket.config.stages import BaseStage, DataStage, SpecialistStage
from thicket.config.yamlfile import read_yaml, to_yaml
from thicket.models.folder import save_model
from thicket.plan.pipeline import pipeline

PAPERS = ("thickets", "sparse", "ssd", "scalpel")
END = "<|endoftext|>"
"""As the Qwen tokenizers, into which transformers turns any of such a model, want it."""
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SMALL: dict[str, Any] = {
    **SIZES,
    "vocab_size": 258,
    "head_dim": 8,
    "max_position_embeddings": 1024,
    "bos_token_id": 256,
    "eos_token_id": 257,
    "pad_token_id": 257,
}
MIXTURE: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 12}
FAMILIES: dict[str, Any] = {
    "qwen25": lambda: Qwen2ForCausalLM(Qwen2Config(**SMALL)),
    "qwen3-4b": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL)),
    "qwen3-30b": lambda: Qwen3MoeForCausalLM(Qwen3MoeConfig(**SMALL, **MIXTURE)),
    "olmo2": lambda: Olmo2ForCausalLM(Olmo2Config(**SMALL)),
}
FEW = {"train": 6, "selection": 2, "test": 3}
WINDOW = {"prompt": 700, "response": 80}
"""A token a byte: prompts of some hundreds, and answers that say nothing."""
TOY_METHODS: dict[str, dict[str, Any]] = {
    "grpo": {"steps": 1, "prompts": 2, "group": 2},
    "ppo": {"steps": 1, "prompts": 2, "group": 2},
    "simplerl": {"steps": 1, "prompts": 2, "group": 2, "updates": 2},
    "dapo": {"steps": 1, "prompts": 2, "group": 2, "updates": 2, "sampling_rounds": 1, "overlong_cache": 8},
    "dapo-high-kl": {"steps": 1, "prompts": 2, "group": 2, "updates": 2, "sampling_rounds": 1, "overlong_cache": 8},
    "dapo-low-kl": {"steps": 1, "prompts": 2, "group": 2, "updates": 2, "sampling_rounds": 1, "overlong_cache": 8},
    "sft": {"steps": 1, "batch": 2},
    "ssd": {"steps": 1, "batch": 2, "prompts": 2},
    "ssd-hot": {"steps": 1, "batch": 2, "prompts": 2},
    "randopt": {"perturbations": 3, "members": 2, "items": 3},
    "distil-ensemble": {"samples": 2},
    "es": {"steps": 1, "population": 2, "items": 3},
    "self-consistency": {"votes": 2, "temperatures": [1.0], "items": 2},
    "best-prompt": {"temperatures": [0.0], "templates": ["{prompt}"], "samples": 1, "items": 2},
}
NEEDS_A_SUCCESS = ("rft",)
"""Types of methods that imitate right answers alone: a random model gives none (test_every_method.py runs them)."""


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """A token a byte, with a chat template."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate([*alphabet, "<s>", END])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token=END, pad_token=END)
    fast.chat_template = CHAT
    return fast


def shrunk(root: Path, paper: str) -> dict[str, Any]:
    """Puts small models and domains in place of the paper's; returns params.yaml as it then is."""
    library = Library(root / "conf")
    params = read_yaml(root / f"conf/experiment/paper/{paper}.yaml", paper).value
    for node in params["bases"].values():
        family = next(name for name in FAMILIES if node["base"].startswith(name))
        folder = root / "small" / family
        if not folder.is_dir():
            model: PreTrainedModel = FAMILIES[family]()
            save_model(model, byte_tokenizer(), folder)
        path = root / f"conf/base/{node['base']}.yaml"
        path.write_text(to_yaml({"type": "folder", "path": f"small/{family}", "context": 1024}), encoding="utf-8")
    for name in params["domains"]:
        domain = dict(library.option("domain", name).value)
        few = {key: count for key, count in FEW.items() if domain["splits"].get("train_share", 1.0) or key == "test"}
        prompt = {**domain.get("prompt", {}), "shot_pool": 8}
        domain |= {"splits": {**domain["splits"], **few}, "window": WINDOW, "prompt": prompt}
        (root / f"conf/domain/{name}.yaml").write_text(to_yaml(domain), encoding="utf-8")
    for name, toy in TOY_METHODS.items():
        if name in params["values"]["method"]:
            params["values"]["method"][name].update({**toy, "flops": None} if name in ("randopt", "es") else toy)
    params["values"].setdefault("evaluation", {}).setdefault("default", {}).update(
        {"samples": 2, "ks": [1], "resamples": 20}
    )
    params["trainer"] = "default"
    return params


@pytest.mark.parametrize("paper", PAPERS)
def test_the_set_up_is_sound(paper: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    shutil.copy(ROOT / f"conf/experiment/paper/{paper}.yaml", tmp_path / "params.yaml")
    kinds = [planned.resolved.kind for planned in pipeline(Project(tmp_path))]
    assert kinds.count("evaluate") == kinds.count("base") + kinds.count("specialist")


def one_of_each(root: Path) -> list[str]:
    """The stages to run: all data and bases; of the specialists of one method, family and start, the first."""
    stages = [planned.resolved.stage for planned in pipeline(Project(root))]
    seen: set[tuple[str, str]] = set()
    chosen = []
    for stage in stages:
        if isinstance(stage, DataStage):
            chosen.append(f"data-{stage.name}")
        elif isinstance(stage, BaseStage):
            assert isinstance(stage.base, FolderBase)
            chosen.append(f"base-{stage.name}")
        elif isinstance(stage, SpecialistStage) and stage.method.type not in NEEDS_A_SUCCESS:
            first = (stage.method.type, "ensemble" if stage.method.type == "member" else stage.domain.name)
            if first not in seen:
                seen.add(first)
                chosen += [f"specialist-{stage.name}", f"evaluate-{stage.name}"]
    return chosen


@pytest.mark.parametrize("paper", PAPERS)
def test_it_runs_on_shrunken_models(paper: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    (tmp_path / "params.yaml").write_text(to_yaml(shrunk(tmp_path, paper)), encoding="utf-8")
    for name in one_of_each(tmp_path):
        kind, _, subject = name.partition("-")
        if kind == "data":
            value = Library(tmp_path / "conf").option("domain", subject).value
            stand_in(Domain.model_validate(value), tmp_path, monkeypatch)
        run(tmp_path, name)
        if kind == "evaluate":
            assert (tmp_path / f"build/evaluation/{subject}/metrics.json").is_file()
