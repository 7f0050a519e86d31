"""Scores by content: a model that has been scored on the same items in the same way is not scored again.

Adding a domain changes the evaluation of every model; with the cache only the new domain is decoded.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from thicket.config.stages import EvaluateStage
from thicket.disk import replaced
from thicket.evaluation.scores import ItemScore
from thicket.evaluation.tested import judging_weights
from thicket.evaluation.way import Way
from thicket.sampling.environment import Environment


class ScoreCache:
    """A folder of score files, named by a hash of all that a score depends on."""

    def __init__(self, folder: Path, weights: str, way: Way, config: EvaluateStage):
        self.folder, self.weights, self.way, self.config = folder, weights, way, config

    def _path(self, environment: Environment) -> Path:
        members = [(member.seed, member.sigma) for member in self.way.members]
        parts = [
            self.weights,
            asdict(self.way.decoding),
            self.way.votes,
            members,
            self.way.shares,
            self.config.evaluation.samples,
            self.config.seed,
            self.config.code,
            self.config.trainer.precision,
            self.config.sampler.model_dump(exclude={"batch", "gpu_memory", "eager"}),
            environment.domain.model_dump(),
            judging_weights(environment.domain.verifier),
            environment.prompts,
            [asdict(item) for item in environment.items],
        ]
        text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.json"

    def get(self, environment: Environment) -> list[ItemScore] | None:
        """The scores of a domain's items, or None where they are not known."""
        try:
            rows = json.loads(self._path(environment).read_text(encoding="utf-8"))
            return [ItemScore(**row) for row in rows]
        except (OSError, ValueError, TypeError):
            return None

    def put(self, environment: Environment, scores: list[ItemScore]) -> None:
        """Keeps the scores of a domain's items."""
        with replaced(self._path(environment), shared=True) as partial:
            partial.write_text(json.dumps([asdict(score) for score in scores]), encoding="utf-8")
