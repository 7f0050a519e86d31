"""Compares a model's greedy scores by thicket with those by lm-evaluation-harness, on the same items and prompts.

    pip install 'lm-eval[hf]'
    python scripts/lm_eval_check.py MODEL [DOMAIN …]

The pipeline has to have evaluated the model (`dvc repro evaluate-MODEL`). thicket's verdicts are those of
build/evaluation/MODEL/items.csv. lm-eval loads build/models/MODEL through transformers, generates greedily with
`generate` up to the domain's stop and window, and judges by its own `exact_match`; so the domains have to have raw
prompts and the verifier `exact`. White space at the ends of a response counts in neither. Ends with 1 where an item
differs.
"""

import argparse
import csv
import json
import sys
import tempfile
from importlib import import_module
from typing import Any

from thicket.config.domain import ScoredDomain
from thicket.config.places import CONFIG, DATA, EVALUATION, MODELS
from thicket.config.stages import EvaluateStage, read_stage


def by_thicket(model: str, domain: str) -> dict[str, int]:
    """Item → whether the greedy response is correct."""
    with (EVALUATION / model / "items.csv").open(encoding="utf-8", newline="") as file:
        return {row["item"]: int(row["greedy"]) for row in csv.DictReader(file) if row["domain"] == domain}


def by_lm_eval(model: str, domain: ScoredDomain, begins: bool) -> dict[str, int]:
    """The same by lm-eval. `begins`: the tokenizer puts a token before every text."""
    harness: Any = import_module("lm_eval")  # no dependency of the project's
    transformers_model: Any = import_module("lm_eval.models.huggingface").HFLM
    manager = import_module("lm_eval.tasks").TaskManager()
    task: dict[str, Any] = {
        "task": f"thicket-{domain.name}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str((DATA / domain.name / "test.jsonl").resolve())}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {
            "until": [domain.stop] if domain.stop else [],
            "max_gen_toks": domain.window.response,
            "do_sample": False,
            "temperature": 0.0,
        },
        "filter_list": [
            {"name": "stripped", "filter": [{"function": "regex", "regex_pattern": r"^\s*([\s\S]*?)\s*$"}, TAKE_FIRST]}
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    loaded = transformers_model(
        pretrained=str(MODELS / model), device="cpu", dtype="float32", batch_size=32, add_bos_token=begins
    )
    with tempfile.TemporaryDirectory() as cache:
        task["dataset_kwargs"]["cache_dir"] = cache
        found = harness.simple_evaluate(loaded, tasks=[task], task_manager=manager, bootstrap_iters=0)
        (samples,) = found["samples"].values()
        return {sample["doc"]["id"]: int(sample["exact_match"]) for sample in samples}


TAKE_FIRST = {"function": "take_first"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("domains", nargs="*")
    options = parser.parse_args()
    from transformers import AutoTokenizer

    begins = bool(AutoTokenizer.from_pretrained(MODELS / options.model)("")["input_ids"])
    stage = read_stage(CONFIG / "evaluate" / f"{options.model}.yaml")
    assert isinstance(stage, EvaluateStage)
    if unknown := set(options.domains) - {domain.name for domain in stage.domains}:
        parser.error(f"{options.model} is not scored on {', '.join(sorted(unknown))}")
    differing = 0
    for domain in stage.domains:
        if options.domains and domain.name not in options.domains:
            continue
        if domain.verifier.type != "exact" or domain.prefix:
            print(f"{domain.name}: left out, its verifier is {domain.verifier.type}")
            continue
        ours, theirs = by_thicket(options.model, domain.name), by_lm_eval(options.model, domain, begins)
        wrong = [item for item in ours if ours[item] != theirs.get(item)]
        differing += len(wrong)
        right = f"thicket {sum(ours.values())}, lm-eval {sum(theirs.values())} of {len(ours)} correct"
        print(f"{options.model} on {domain.name}: {right}; items that differ: {json.dumps(wrong)}", flush=True)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
