"""Estimates: worked out by hand for one model, sane for a project, and silent where nothing is known."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Command

from thicket.config.analysis import (
    Capability,
    Connectivity,
    CrossSampling,
    Density,
    Estimators,
    Interference,
    Scalpel,
    SelfDistillation,
)
from thicket.config.base import Architecture, Corpus
from thicket.config.imitation import Rft
from thicket.config.project import Project
from thicket.config.search import BestPrompt, SelfConsistency
from thicket.config.source import ProceduralSource
from thicket.config.yamlfile import to_yaml
from thicket.plan import estimate
from thicket.plan.estimate import Estimate, Estimator, document_length, total
from thicket.plan.flops import analysis_flops, imitation_flops, search_flops
from thicket.plan.pipeline import resolve
from thicket.plan.recorded import hash_of
from thicket.plan.shapes import CHARACTER_VOCABULARY, Shape, fresh_shape, saved_shape

TOY = Architecture(layers=1, width=16, heads=2, mlp_width=32, context=48)


def test_shape_of_a_fresh_model_by_hand() -> None:
    # Four 16×16 projections, three of 16×32, two norms of 16; 44 embeddings of 16; the last norm.
    assert fresh_shape(TOY) == Shape(4 * 256 + 3 * 512 + 32 + 44 * 16 + 16, 44)
    assert fresh_shape(TOY.model_copy(update={"tied": False})).parameters - fresh_shape(TOY).parameters == 44 * 16


@pytest.mark.parametrize("update", [{}, {"tied": False}, {"layers": 3, "width": 32, "mlp_width": 20}])
def test_shape_is_that_of_the_model(update: dict[str, Any], tmp_path: Path) -> None:
    from thicket.models.characters import character_tokenizer
    from thicket.models.folder import save_model
    from thicket.models.scratch import fresh_model

    architecture, tokenizer = TOY.model_copy(update=update), character_tokenizer()
    model = fresh_model(architecture, tokenizer, seed=0)
    assert len(tokenizer) == CHARACTER_VOCABULARY
    assert fresh_shape(architecture).parameters == model.num_parameters()
    save_model(model, tokenizer, tmp_path / "model")
    assert saved_shape(tmp_path / "model") == fresh_shape(architecture)


def test_no_shape_where_nothing_is(tmp_path: Path) -> None:
    assert saved_shape(tmp_path) is None
    (tmp_path / "config.json").write_text('{"vocab_size": 3}', encoding="utf-8")
    assert saved_shape(tmp_path) is None


def test_a_document_is_not_longer_than_estimated() -> None:
    from thicket.domains.corpus import documents

    sort = ProceduralSource(type="procedural", task="sort", levels=[2, 3])
    corpus = Corpus(tasks=[sort], wrong_share=0.5, problems=2, template="{question}=")
    # Begin-of-sequence; twice "sort 123=", an answer as long as the question at most, and a line break.
    assert document_length(corpus) == 1 + 2 * (len("sort 123=") + len("sort 123") + 1)
    longest = max(sum(len(q) + len(a) for q, a in document) for document in documents(corpus, 0, 0, 50))
    assert longest < document_length(corpus)


@pytest.fixture
def estimates(sample: Path) -> Callable[..., dict[str, Estimate]]:
    """A function that estimates the sample's stages, after an edit of its params.yaml."""

    def found(edit: Callable[[dict[str, Any]], object] = bool, **saved: Shape) -> dict[str, Estimate]:
        path = sample / "params.yaml"
        declared = yaml.safe_load(path.read_text(encoding="utf-8"))
        edit(declared)
        path.write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
        estimator = Estimator(saved.get)
        return {made.id: estimator.estimate(made) for made in resolve(Project(sample))}

    return found


def flops(figures: Estimate) -> float:
    assert figures.seconds is not None
    return (figures.seconds - estimate.START_SECONDS) * estimate.FLOPS_PER_SECOND


def test_flops_by_hand(estimates: Callable[..., dict[str, Estimate]]) -> None:
    found, parameters = estimates(), fresh_shape(TOY).parameters
    # Four steps of eight documents of 48 tokens, the context; 6 FLOPs a parameter and token.
    assert flops(found["base-tiny"]) == pytest.approx(6 * parameters * 4 * 8 * 48)
    # Three steps of four prompts (16 tokens) with four responses (6): read, generated, trained on.
    grpo = parameters * 3 * 4 * (2 * (16 + 4 * 6) + 6 * 4 * (16 + 6))
    assert flops(found["specialist-sort-grpo"]) == pytest.approx(grpo)
    # Two steps of four prompts with one response, which one teacher reads besides.
    opd = parameters * 2 * 4 * (2 * (16 + 6) + 8 * (16 + 6))
    assert flops(found["student-opd"]) == pytest.approx(opd)
    assert flops(found["student-mixed"]) == pytest.approx(2 * grpo + opd)
    assert flops(found["student-soup"]) == pytest.approx(0)
    # Six items on two domains: read twice, four sampled responses and the greedy one.
    assert flops(found["evaluate-opd"]) == pytest.approx(2 * parameters * 2 * 6 * (2 * 16 + 5 * 6))


@pytest.mark.parametrize(
    ("values", "readings"), [({"updates": 2}, 0), ({"updates": 2, "signal": {"type": "sampled_token"}}, 1)]
)
def test_the_old_student_reads_its_tokens_where_something_is_estimated(
    estimates: Callable[..., dict[str, Estimate]], values: dict[str, Any], readings: int
) -> None:
    before = estimates()["student-opd"]
    after = estimates(lambda declared: declared["values"]["method"].update(opd=values))["student-opd"]
    assert flops(after) - flops(before) == pytest.approx(readings * 2 * fresh_shape(TOY).parameters * 2 * 4 * (16 + 6))


@pytest.mark.parametrize(
    ("values", "scored"),
    [
        ({"method.type": "greedy_soup"}, 3),
        ({"method.type": "ties", "method.scales": [0.5, 1.0]}, 2),
        ({"method.type": "ties", "method.scales": [0.5]}, 0),
    ],
)
def test_a_merge_costs_what_its_candidates_answer(
    estimates: Callable[..., dict[str, Estimate]], values: dict[str, Any], scored: int
) -> None:
    """Of two teachers; each candidate samples four answers to the selection items of both domains."""
    found = estimates(lambda declared: declared["students"]["soup"].update(set=values))["student-soup"]
    assert flops(found) == pytest.approx(scored * 2 * fresh_shape(TOY).parameters * 2 * 4 * (16 + 4 * 6))
    assert found.memory_bytes == estimate.PROCESS_BYTES + 2 * 4 * fresh_shape(TOY).parameters


def test_the_penalty_to_the_start_costs_a_forward_pass(estimates: Callable[..., dict[str, Estimate]]) -> None:
    before = estimates()["specialist-sort-grpo"]
    after = estimates(lambda declared: declared["values"]["method"]["grpo"].update(kl=0.1))["specialist-sort-grpo"]
    parameters = fresh_shape(TOY).parameters
    assert flops(after) - flops(before) == pytest.approx(2 * parameters * 3 * 4 * 4 * 22)
    assert after.memory_bytes is not None
    assert before.memory_bytes is not None
    assert after.memory_bytes - before.memory_bytes == 4 * parameters  # the start policy's weights


def test_what_frozen_models_read_is_counted_each_time(estimates: Callable[..., dict[str, Estimate]]) -> None:
    """The start reads for the penalty and to choose tokens, as the ledger counts it; it is in memory once."""
    chosen = {"kl": 0.1, "top": {"share": 0.5, "against": "start"}}
    before = estimates()["specialist-sort-grpo"]
    after = estimates(lambda declared: declared["values"]["method"]["grpo"].update(chosen))["specialist-sort-grpo"]
    parameters = fresh_shape(TOY).parameters
    assert flops(after) - flops(before) == pytest.approx(2 * 2 * parameters * 3 * 4 * 4 * 22)
    assert after.memory_bytes == (before.memory_bytes or 0) + 4 * parameters


def test_flops_of_analyses_by_hand() -> None:
    """A prompt of 10 tokens, a response of 6: 2 FLOPs a parameter and token read, 4 more where a gradient is taken."""
    density = Density(type="density", perturbations=10, sigmas=[1e-3, 2e-3], slice=3)
    assert analysis_flops(density, 1, 10, 6) == (1 + 2 * 10 + 9) * 2 * 16
    lines = Connectivity(type="connectivity", points=5, samples=1, random_directions=2)
    assert (
        analysis_flops(lines, 3, 10, 6) == (3 * 5 + 3 * 3) * 2 * 16
    )  # three pairs; each model, and two places beside it
    assert analysis_flops(Scalpel(type="scalpel", samples=4), 3, 10, 6) == 3 * (2 * (10 + 4 * 6) + 2 * 4 * 2 * 16)
    steps = CrossSampling(type="cross_sampling", thresholds=[0.1, 0.01], samples=2, controls=["random"])
    assert analysis_flops(steps, 2, 10, 6) == 2 * (1 + 2 * 2 * 2) * 2 * (10 + 2 * 6)
    gradients = Estimators(type="estimators", resamples=8, samples=1)
    assert analysis_flops(gradients, 2, 10, 6) == 2 * 16 + (3 + 8) * 6 * 16
    assert analysis_flops(Interference(type="interference", group=4), 2, 10, 6) == 2 * (2 * (10 + 4 * 6) + 4 * 6 * 16)
    base = Capability(type="capability", ks=[1, 8], samples=4)
    assert analysis_flops(base, 2, 10, 6) == 2 * (10 + 8 * 6) + 2 * (10 + 4 * 6)
    ssd = SelfDistillation(type="self_distillation", train_temperature=1.6, samples=2, score_samples=4)
    assert analysis_flops(ssd, 2, 10, 6) == 2 * (10 + 2 * 6) + 2 * 2 * 2 * 16 + 3 * 2 * (10 + 4 * 6)


def test_a_bank_of_perturbations_is_scored_once(sample: Path, estimates: Callable[..., dict[str, Estimate]]) -> None:
    names = ("discordance", "overlap")
    for name in names:
        values = f"type: {name}\nperturbations: 5\nsigmas: [5e-3, 1e-2]\nitems: 4\n"
        (sample / f"conf/analysis/{name}.yaml").write_text(values, encoding="utf-8")
    found = estimates(
        lambda declared: declared.update(analyses={name: {"analysis": name, "models": ["tiny"]} for name in names})
    )
    # Four items of two domains, at the base and at five perturbations for each of two σ.
    scored = 2 * fresh_shape(TOY).parameters * 2 * 4 * (1 + 2 * 5) * (16 + 6)
    assert flops(found["analyze-discordance"]) == pytest.approx(scored)
    assert flops(found["analyze-overlap"]) == pytest.approx(scored / 11), "the model itself"
    assert found["analyze-overlap"].memory_bytes == found["analyze-discordance"].memory_bytes


def test_flops_of_searches_and_samples_by_hand() -> None:
    few = {"items": 3, "flops": None}
    voted = SelfConsistency(type="self_consistency", votes=5, temperatures=[0.5, 1.0], **few)
    assert search_flops(voted, 10, 6, selection=64) == 2 * 2 * 3 * (10 + 5 * 6)
    assert search_flops(voted, 10, 6, selection=2) == 2 * 2 * 2 * (10 + 5 * 6)
    asked = BestPrompt(type="best_prompt", samples=1, temperatures=[0.0], templates=["{prompt}"], **few)
    assert search_flops(asked, 10, 6, selection=64) == 2 * 3 * (10 + 6)
    optimizer: dict[str, Any] = {"lr": 1e-4}
    rft = Rft.model_validate({"type": "rft", "samples": 5, "steps": 2, "batch": 4, "optimizer": optimizer})
    trained = 6 * 2 * 4 * (10 + 6)
    assert imitation_flops(rft, 10, 6, [(12, 1), (8, 1)]) == trained + 2 * 20 * (10 + 5 * 6)
    # Each member reads the prompt that it answers.
    assert imitation_flops(rft, 10, 6, [(20, 3)]) == trained + 2 * 20 * (3 * 10 + 5 * 6)


def test_memory_and_disk(estimates: Callable[..., dict[str, Estimate]]) -> None:
    found, parameters = estimates(), fresh_shape(TOY).parameters
    logits = 3 * 4 * 16 * 6 * 44  # three float32 copies, 16 responses of 6 tokens, 44 words
    assert found["specialist-sort-grpo"].memory_bytes == estimate.PROCESS_BYTES + 4 * 4 * parameters + logits
    assert found["student-opd"].disk_bytes == 4 * parameters
    assert found["data-sort"].disk_bytes == estimate.ITEM_BYTES * 26


def test_a_model_from_elsewhere_is_unknown_until_it_is_there(
    sample: Path, estimates: Callable[..., dict[str, Estimate]]
) -> None:
    (sample / "conf/base/folder.yaml").write_text("{type: folder, path: far, context: 48}\n", encoding="utf-8")
    unknown = estimates(lambda declared: declared["bases"]["tiny"].update(base="folder"))
    models = [name for name in unknown if not name.startswith(("data", "report", "evaluate"))]
    assert {unknown[name] for name in models} == {Estimate()}
    assert unknown["evaluate-opd"].seconds is None
    known = estimates(tiny=Shape(1_000_000, 50_000))
    assert flops(known["student-opd"]) == pytest.approx(1_000_000 * 2 * 4 * (2 * 22 + 8 * 22))
    assert known["base-tiny"].disk_bytes == 4_000_000


def test_total() -> None:
    assert total([Estimate(1.0, 10.0, 2.0), Estimate(3.0, 30.0, 5.0)]) == Estimate(4.0, 30.0, 7.0)
    assert total([]) == Estimate(0.0, 0.0, 0.0)


def test_plan_prints_them(sample: Path, command: Command) -> None:
    lines = command("plan").out.splitlines()
    assert lines[0].split() == ["stage", "time", "memory", "disk"]
    assert [line.split()[0] for line in lines[1:16]] == [made.id for made in resolve(Project(sample))]
    assert lines[16].startswith("all (memory: the most)")


def test_plan_says_what_of_it_is_to_do(sample: Path, command: Command) -> None:
    """With the code's hashes, as `status` has it: here of two stages whose recorded runs are those of now."""
    command("plan")
    command("compose")
    command("run", "build/config/data/sort.yaml")
    recorded(sample, "data-sort", "build/config/data/sort.yaml", "build/data/sort")
    rows = {line.split()[0]: line.split() for line in command("plan").out.splitlines()}
    assert rows["stage"][-1] == "done"
    assert [name for name, row in rows.items() if row[-1] == "✓"] == ["data-sort"]
    lines = command("plan").out.splitlines()
    to_do, whole = (re.split(r"\s{2,}", line) for line in lines[16:18])
    assert (to_do[0], whole[0]) == ("to do: 14 of 15 stages", "all (memory: the most)")
    seconds = [int(row[1].removesuffix(" s")) for row in (to_do, whole)]
    assert seconds[0] == pytest.approx(seconds[1] - estimate.LIGHT_SECONDS, abs=1)
    assert lines[-1].endswith("`dvc repro` builds what is not done.")
    (sample / "build/data/sort/test.jsonl").unlink()
    assert "to do" not in command("plan").out


def recorded(root: Path, stage: str, config: str, artifact: str) -> None:
    """Writes dvc.lock as DVC would have after the run of a stage that reads nothing."""
    files = sorted((root / artifact).iterdir())
    out = {"path": artifact, "md5": hash_of(root / artifact), "size": sum(file.stat().st_size for file in files)}
    params = {config: yaml.safe_load((root / config).read_text(encoding="utf-8"))}
    made = {"cmd": f"exec thicket run {config}", "params": params, "outs": [{**out, "nfiles": len(files)}]}
    (root / "dvc.lock").write_text(to_yaml({"schema": "2.0", "stages": {stage: made}}), encoding="utf-8")


def test_plan_where_dvc_lock_can_not_be_read(sample: Path, command: Command) -> None:
    (sample / "build").mkdir()
    conflict = "schema: '2.0'\nstages:\n  data-sort:\n<<<<<<< ours\n    cmd: x\n"
    (sample / "dvc.lock").write_text(conflict, encoding="utf-8")
    said = command("plan")
    assert said.status == 0
    assert "Note: dvc.lock can't be read" in said.out
    assert "to do: " not in said.out


def test_the_default_experiment_is_a_matter_of_minutes() -> None:
    root = Path(__file__).parents[2]
    estimator = Estimator()
    found = {made.id: estimator.estimate(made) for made in resolve(Project(root))}
    seconds = total(list(found.values())).seconds
    assert seconds is not None
    assert 120 < seconds < 1800
    mixed, opd = found["student-mixed"].seconds, found["student-opd"].seconds
    assert mixed is not None
    assert opd is not None
    assert mixed > opd
