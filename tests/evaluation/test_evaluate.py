"""The evaluation stage: equal models score equally, a known one is not scored again, and its verdicts are right."""

import json
import os
import signal
from pathlib import Path

import pytest
from toys import changed, run, stages, toy_project

from thicket.config.answering import Answering
from thicket.evaluation.scored import is_outdated
from thicket.models.answering import write_answering
from thicket.sampling.rollouts import Response
from thicket.sampling.sampler import TorchSampler
from thicket.signals import Interrupted
from thicket.stages.run import in_pipeline, run_stage


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "data-reverse", "base-tiny", "specialist-sort-grpo")
    return root


def scores_of(root: Path, name: str) -> dict:
    return json.loads((root / "build/evaluation" / name / "metrics.json").read_text())["domains"]


def test_counts_are_what_the_verifier_says_of_the_responses(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that answers right in every even sample, and right when greedy."""

    def respond(self, model, tokenizer, requests, decoding, *rest):
        for request in requests:
            asked = tokenizer.decode(request.prompt, skip_special_tokens=True)
            digits = asked.removeprefix("sort ").removesuffix("=")
            answer = "".join(sorted(digits)) if asked.startswith("sort") else "?"
            yield [
                Response([5] * (3 + g), [0.0] * (3 + g), stopped=g == 0, text=f" {answer}" if g % 2 == 0 else "x")
                for g in range(request.responses)
            ]

    monkeypatch.setattr(TorchSampler, "respond", lambda *given: list(respond(*given)))
    stage = changed(stages(project)["evaluate-tiny"], "seed", 77)  # a seed of its own: nothing of it is in the cache
    targets = in_pipeline(project, stage)
    run_stage(project, stage, targets)
    found = scores_of(project, "tiny")
    assert (found["sort"]["pass@1"], found["sort"]["pass@2"], found["sort"]["greedy"]) == (0.5, 1.0, 1.0)
    assert (found["reverse"]["pass@1"], found["reverse"]["greedy"]) == (0.0, 0.0)
    assert (found["sort"]["length"], found["sort"]["truncated"]) == (3.5, 0.5)


def test_which_model_was_scored(project: Path) -> None:
    run(project, "evaluate-sort-grpo")
    folder, scores = (project / f"build/{kind}/sort-grpo" for kind in ("models", "evaluation"))
    assert not is_outdated(scores, folder)
    assert is_outdated(scores, project / "build/models/tiny")
    assert is_outdated(scores, project / "build/models/gone")
    assert is_outdated(project / "build/evaluation/gone", folder)
    try:
        write_answering(folder, Answering(votes=2))  # the same weights, which are asked in another way
        assert is_outdated(scores, folder)
    finally:
        (folder / "answering.json").unlink()


def test_a_known_model_is_not_decoded_again(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(project, "evaluate-sort-grpo")
    first = (project / "build/evaluation/sort-grpo/metrics.json").read_bytes()

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("decoded a model whose scores are known")

    monkeypatch.setattr(TorchSampler, "respond", fail)
    run(project, "evaluate-sort-grpo")
    assert (project / "build/evaluation/sort-grpo/metrics.json").read_bytes() == first
    other = changed(stages(project)["evaluate-sort-grpo"], "evaluation.temperature", 0.5)
    with pytest.raises(AssertionError, match="scores are known"):
        run_stage(project, other, in_pipeline(project, other))


def test_what_answers_greedily_is_asked_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    respond = TorchSampler.respond

    def counted(self, model, tokenizer, requests, decoding, *rest):
        asked.extend([decoding.temperature] * len(requests))
        return respond(self, model, tokenizer, requests, decoding, *rest)

    monkeypatch.setattr(TorchSampler, "respond", counted)
    stage = changed(stages(project)["evaluate-tiny"], "evaluation.temperature", 0.0)
    run_stage(project, stage, in_pipeline(project, stage))
    assert asked == [0.0] * 12, "six items on two domains"
    assert all(scores["greedy"] == scores["pass@1"] for scores in scores_of(project, "tiny").values())


def test_scores_do_not_depend_on_the_batch(project: Path) -> None:
    stage = stages(project)["evaluate-sort-grpo"]
    found = []
    for batch in (3, 1_000):
        for path in (project / "build/resume/scores").iterdir():
            path.unlink()
        one = changed(stage, "sampler.batch", batch)
        run_stage(project, one, in_pipeline(project, one))
        found.append((project / "build/evaluation/sort-grpo/items.csv").read_text())
    assert found[0] == found[1]


def test_sigterm_ends_an_evaluation_before_its_next_batch(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = changed(changed(stages(project)["evaluate-tiny"], "seed", 78), "name", "stopped")
    (project / "build/models/stopped").symlink_to(project / "build/models/tiny")
    asked = []
    respond = TorchSampler.respond

    def terminate(*arguments: object):
        asked.append(arguments)
        os.kill(os.getpid(), signal.SIGTERM)
        return respond(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TorchSampler, "respond", terminate)
    with pytest.raises(Interrupted):
        run_stage(project, stage, in_pipeline(project, stage))
    assert len(asked) == 2  # the samples and the greedy responses of one batch
    assert not (project / "build/evaluation/stopped").exists()
    # One batch is all of `sort`: its scores are kept, and the next run asks on the other domain alone.
    asked.clear()
    monkeypatch.setattr(TorchSampler, "respond", lambda *given: (asked.append(given), respond(*given))[1])
    run_stage(project, stage, in_pipeline(project, stage))
    assert len(asked) == 2
