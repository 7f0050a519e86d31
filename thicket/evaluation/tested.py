"""Which test it was that scores are of: a domain's verifier and answers may be others by the next evaluation."""

import hashlib
import json
from pathlib import Path
from typing import Any

from thicket.config.plugins import is_plugin, module_of
from thicket.config.stages import Code
from thicket.config.verifier import Verifier
from thicket.domains.registry import VERIFIERS
from thicket.models.folder import weights_hash
from thicket.sampling.environment import Environment

Test = dict[str, str]
"""Hashes of what makes a test, by what people call it."""


def noted_test(environment: Environment, code: Code) -> Test:
    """What tells a domain's test from others on the same items; `code`: module → hash.

    The window and the instruction before a prompt are left out: a model that is made in an effort has its own.
    """
    domain, items = environment.domain, sorted(environment.items, key=lambda item: item.id)
    parts: dict[str, Any] = {
        "verifier": [*_declared(domain.verifier, code), judging_weights(domain.verifier)],
        "stop character": domain.stop,
        "prompts": [(item.id, item.prompt) for item in items],
        "answers": [(item.id, item.answer, item.reference) for item in items],
    }
    return {part: _hash(content) for part, content in parts.items()}


def judging_weights(verifier: Verifier) -> str | None:
    """Hash of the weights that judge, where a model of its own does."""
    judge = getattr(verifier, "judge", None)
    return weights_hash(Path(judge.folder)) if judge and judge.folder else None


def _declared(verifier: Verifier, code: Code) -> tuple[dict[str, Any], str | None]:
    """A verifier's config, and its code where it is the experimenter's own. Defaults are left out: a later version of
    thicket may have more of them."""
    own = code.get(module_of(VERIFIERS, verifier)) if is_plugin(verifier) else None
    return verifier.model_dump(mode="json", exclude_defaults=True), own


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
