"""Stage *evaluate*: a model's score on every domain, with intervals over prompts."""

import json
from pathlib import Path

from thicket import ranks
from thicket.config.answering import Answering
from thicket.config.never_right import as_noted
from thicket.config.places import SCORED_MODEL, TEST
from thicket.config.stages import EvaluateStage
from thicket.evaluation.cache import ScoreCache
from thicket.evaluation.evaluator import Evaluator, score
from thicket.evaluation.scored import identity
from thicket.evaluation.tables import summary, write_items_csv, write_scores_csv
from thicket.evaluation.tested import noted_test
from thicket.evaluation.way import Way, way_of, weights_folders
from thicket.models.answering import read_answering
from thicket.models.folder import active_parameter_count, load_model, load_tokenizer, weights_hash
from thicket.models.pooled import Pooled
from thicket.sampling.environment import Environment, count_never_right, load_environment
from thicket.sampling.faithful import check_faithful
from thicket.sampling.prompts import Tokenizer
from thicket.sampling.rollout_log import RolloutLog
from thicket.sampling.sampler import sampler_of
from thicket.stages.outcome import Places
from thicket.training.ledger import Ledger


def evaluate(config: EvaluateStage, places: Places) -> None:
    """Writes metrics.json, scores.csv and items.csv; scores of equal weights, data and settings come from a cache.

    Which weights they are of stands in model.json, and on which tests in test.json: the model's folder may hold others
    later on, and the domains may be judged in another way.
    """
    folder = places.root / config.source if config.source else places.models / config.name
    answering = read_answering(folder) or Answering()
    weights, way = weights_folders(folder, answering, places.models), way_of(answering, config.evaluation)
    scored, tokenizer = identity(folder, weights_hash(folder)), load_tokenizer(weights[0])
    environments = [
        load_environment(domain, places.data / domain.name, config.evaluation.split, tokenizer, way.template)
        for domain in config.domains
    ]
    cache = ScoreCache(places.resume.parent / "scores", " ".join(map(weights_hash, weights)), way, config)
    known = ranks.told({environment.domain.name: cache.get(environment) for environment in environments})
    missing = [environment for environment in environments if known[environment.domain.name] is None]
    if missing:
        module = _evaluator(config, weights, way, tokenizer, missing, places.resume)
        try:
            known |= score(module, config.trainer, f"evaluate {config.name}")
        finally:  # what is finished when the run is broken off is not scored again
            for environment in missing:
                if ranks.first() and len(rows := module.scores[environment.domain.name]) == len(environment.items):
                    cache.put(environment, rows)
    scores = {name: rows or [] for name, rows in known.items()}
    metrics = summary(scores, config.evaluation, config.seed, way, _flops_a_token(weights))
    metrics |= as_noted(count_never_right(environments))
    (places.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    (places.out / SCORED_MODEL).write_text(json.dumps(scored, indent=1) + "\n", encoding="utf-8")
    tests = {environment.domain.name: noted_test(environment, config.code) for environment in environments}
    (places.out / TEST).write_text(json.dumps(tests, indent=1) + "\n", encoding="utf-8")
    write_items_csv(places.out / "items.csv", scores)
    write_scores_csv(places.out / "scores.csv", config.name, metrics)
    for name, figures in metrics["domains"].items():
        low, high = figures["pass@1_low"], figures["pass@1_high"]
        print(f"evaluate {config.name}  {name}: pass@1 {figures['pass@1']:.3f} [{low:.3f}, {high:.3f}]", flush=True)


def _evaluator(
    config: EvaluateStage,
    weights: list[Path],
    way: Way,
    tokenizer: Tokenizer,
    environments: list[Environment],
    resume: Path,
) -> Evaluator:
    models, samples = [load_model(folder) for folder in weights], config.evaluation.samples
    if config.source:  # Bases were looked at when they were taken, and the pipeline's other models are made of them.
        check_faithful(models[0], tokenizer, config.source)
    model = Pooled(models, way.shares, len(tokenizer)) if way.shares else models[0]
    sampler = sampler_of(config.sampler, RolloutLog(resume))
    return Evaluator(model, tokenizer, environments, way, samples, True, config.seed, sampler)


def _flops_a_token(weights: list[Path]) -> float:
    """Of a token that is read or generated, as the ledgers count it."""
    ledger = Ledger(sum(map(active_parameter_count, weights)))
    ledger.forward(tokens=1)
    return ledger.flops
