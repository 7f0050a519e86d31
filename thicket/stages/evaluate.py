"""Stage *evaluate*: a model's score on every domain, with intervals over prompts."""

import json

from thicket.config.stages import EvaluateStage
from thicket.evaluation.cache import ScoreCache
from thicket.evaluation.evaluator import evaluate_domains
from thicket.evaluation.tables import summary, write_items_csv, write_scores_csv
from thicket.models.folder import load_tokenizer, weights_hash
from thicket.sampling.environment import load_environment
from thicket.stages.outcome import Places


def evaluate(config: EvaluateStage, places: Places) -> None:
    """Writes metrics.json, scores.csv and items.csv; scores of equal weights, data and settings come from a cache."""
    folder = places.models / config.name
    tokenizer = load_tokenizer(folder)
    environments = [
        load_environment(domain, places.data / domain.name, config.evaluation.split, tokenizer)
        for domain in config.domains
    ]
    cache = ScoreCache(places.resume.parent / "scores", weights_hash(folder), config)
    known = {environment.domain.name: cache.get(environment) for environment in environments}
    missing = [environment for environment in environments if known[environment.domain.name] is None]
    if missing:
        for name, scores in evaluate_domains(config, folder, tokenizer, missing).items():
            known[name] = scores
        for environment in missing:
            cache.put(environment, known[environment.domain.name] or [])
    scores = {name: rows or [] for name, rows in known.items()}
    metrics = summary(scores, config.evaluation, config.seed)
    (places.out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    write_items_csv(places.out / "items.csv", scores)
    write_scores_csv(places.out / "scores.csv", config.name, metrics)
    for name, figures in metrics["domains"].items():
        low, high = figures["pass@1_low"], figures["pass@1_high"]
        print(f"evaluate {config.name}  {name}: pass@1 {figures['pass@1']:.3f} [{low:.3f}, {high:.3f}]", flush=True)
