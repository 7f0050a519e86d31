"""The bank: what is asked, what is kept, and that neither depends on how the work is dealt out."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from banks import TOKENIZER, even, odd, small_case
from transformers import PreTrainedModel

from thicket.analysis.bank import Bank, _alone_at, _Asking, judged, make_bank, perturbation
from thicket.analysis.case import Case, Subject
from thicket.config.analysis import Discordance
from thicket.config.verifier import WritingVerifier
from thicket.domains.registry import Answered
from thicket.domains.verdict import Verdict
from thicket.models.perturb import Direction, move
from thicket.sampling.decode import Decoding
from thicket.sampling.rollouts import Request
from thicket.sampling.sampler import TorchSampler

CONFIG = Discordance(type="discordance", perturbations=4, sigmas=[0.02, 0.05])


def same(one: Bank, other: Bank) -> bool:
    return all(
        np.array_equal(one.correct[name], other.correct[name]) and np.array_equal(one.own[name], other.own[name])
        for name in one.correct
    )


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Subject, device: str) -> None:
        raise AssertionError("the model is asked again")

    monkeypatch.setattr(Subject, "load", load)


def test_every_entry_is_a_model_of_its_own(tmp_path: Path) -> None:
    """A copy of the model, moved by the one direction, answers alone."""
    case = small_case(tmp_path)
    bank = make_bank(CONFIG, case)
    assert {name: correct.shape for name, correct in bank.correct.items()} == {"file": (2, 4, 12), "b": (2, 4, 9)}
    for asked, judge in zip(case.environments, (even, odd), strict=True):
        for sigma, n in ((None, 0), (0.02, 1), (0.05, 3)):
            model = case.models[0].load("cpu")
            if sigma is not None:
                move(model, [perturbation(5, n, sigma)])
            requests = [Request(prompt, 0) for prompt in asked.prompts]
            groups = TorchSampler(3).respond(model, TOKENIZER, requests, Decoding(0.0, most=6), asked.stop_ids, None)
            verdicts = judge([(response.text, item) for (response,), item in zip(groups, asked.items, strict=True)])
            expected = [verdict.correct for verdict in verdicts]
            name = asked.domain.name
            found = bank.own[name] if sigma is None else bank.correct[name][bank.sigmas.index(sigma), n]
            assert found.tolist() == expected
    assert len({tuple(row) for row in bank.correct["file"][1].tolist()}) > 2, "neighbours differ"


def test_counts_and_scores(tmp_path: Path) -> None:
    bank = make_bank(CONFIG, small_case(tmp_path))
    counts_ND = bank.counts_ND(1)
    assert counts_ND[3].tolist() == [bank.correct["file"][1, 3].sum(), bank.correct["b"][1, 3].sum()]
    np.testing.assert_allclose(bank.scores_ND(1) * [12, 9], counts_ND)
    np.testing.assert_array_equal(counts_ND - bank.more_ND(1), [[bank.own["file"].sum(), bank.own["b"].sum()]] * 4)


def test_a_step_of_no_length_changes_no_answer(tmp_path: Path) -> None:
    still, moved = judged(small_case(tmp_path), [[()], [(Direction(n, 0.0),) for n in range(3)]])
    for name, correct_KI in moved.items():
        assert correct_KI.tolist() == [still[name][0].tolist()] * 3


def test_it_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = small_case(tmp_path)
    bank = make_bank(CONFIG, case)
    assert not list(case.scratch.glob("*.partial"))
    forbid(monkeypatch)
    assert same(bank, make_bank(CONFIG, case))
    fewer = CONFIG.model_copy(update={"sigmas": [0.05]})
    assert np.array_equal(make_bank(fewer, case).correct["b"], bank.correct["b"][1:]), "another analysis, fewer widths"


def test_who_waits_finds_what_the_other_has_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = small_case(tmp_path)
    other = replace(case, scratch=tmp_path / "other")
    bank = make_bank(CONFIG, other)
    monkeypatch.delattr(_Asking, "ask")
    with ThreadPoolExecutor(1) as pool, ExitStack() as held:
        for path in other.scratch.glob("*.npz"):
            held.enter_context(_alone_at(case.scratch / path.name))
        waiting = pool.submit(make_bank, CONFIG, case)
        while not waiting.running():
            pass
        shutil.copytree(other.scratch, case.scratch, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.lock"))
        held.close()
        assert same(waiting.result(), bank)


def other_items(case: Case) -> Case:
    first, *rest = case.environments
    return replace(case, environments=[replace(first, items=first.items[:5], prompts=first.prompts[:5]), *rest])


def other_prompts(case: Case) -> Case:
    first, *rest = case.environments
    return replace(case, environments=[replace(first, prompts=[*first.prompts[1:], [5]]), *rest])


def other_window(case: Case) -> Case:
    first, *rest = case.environments
    window = first.domain.window.model_copy(update={"response": 3})
    return replace(
        case, environments=[replace(first, domain=first.domain.model_copy(update={"window": window})), *rest]
    )


def other_weights(case: Case) -> Case:
    model = case.models[0].load("cpu")
    move(model, [Direction(1, 0.5)])
    model.save_pretrained(case.models[0].folder)
    return case


def other_seed(case: Case) -> Case:
    return replace(case, seed=6)


@pytest.mark.parametrize("change", [other_items, other_prompts, other_window, other_weights, other_seed])
def test_it_is_asked_again_where_something_else_is_asked(
    tmp_path: Path, change: Callable[[Case], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = small_case(tmp_path)
    make_bank(CONFIG, case)
    changed = change(case)
    found = make_bank(CONFIG, changed)
    fresh = make_bank(CONFIG, replace(changed, scratch=tmp_path / "empty"))
    assert same(found, fresh)
    forbid(monkeypatch)
    assert same(found, make_bank(CONFIG, changed)), "and kept beside the other one"


def test_a_broken_file_is_made_anew(tmp_path: Path) -> None:
    case = small_case(tmp_path)
    bank = make_bank(CONFIG, case)
    files = sorted(case.scratch.glob("*.npz"))
    assert len(files) == 3
    content = files[0].read_bytes()
    for broken in (content[: len(content) // 2], b"", b"no such thing"):
        files[0].write_bytes(broken)
        assert same(bank, make_bank(CONFIG, case))
        assert len(files[0].read_bytes()) == len(content)


def test_batches_and_company_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = small_case(tmp_path)
    bank = make_bank(CONFIG, case)
    assert same(bank, make_bank(CONFIG, replace(case, batch=100, scratch=tmp_path / "batch")))
    monkeypatch.setattr(_Asking, "_together", lambda self: 2)
    assert same(bank, make_bank(CONFIG, replace(case, scratch=tmp_path / "stacked")))


def test_progress(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    make_bank(CONFIG, small_case(tmp_path, told))
    assert [share for share, _ in told] == pytest.approx([n / 9 for n in range(1, 10)])
    assert told[-1][1] == "9 of 9 neighbours"


def test_a_model_that_judges_itself_is_asked_for_its_verdict(tmp_path: Path) -> None:
    """The checks alone pass every answer; random weights reply with no score."""
    case = small_case(tmp_path)
    verifier = WritingVerifier.model_validate({"type": "writing", "judge": {"template": "{response}=", "tokens": 2}})
    first = case.environments[0]
    domain = first.domain.model_copy(update={"verifier": verifier})
    case = replace(case, environments=[replace(first, domain=domain, judge=always)])
    (still,) = judged(case, [[()]])
    assert not still["file"].all()
    assert _Asking(replace(case, device="cuda", models=[OnCpu("small", case.models[0].folder)]))._together() == 1


def always(answered: Sequence[Answered]) -> list[Verdict]:
    return [Verdict(True) for _ in answered]


class OnCpu(Subject):
    def load(self, device: str) -> PreTrainedModel:
        return super().load("cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_asks_several_at_once_and_finds_the_same(tmp_path: Path) -> None:
    bank = make_bank(CONFIG, small_case(tmp_path))
    case = replace(small_case(tmp_path, device="cuda"), batch=60, scratch=tmp_path / "gpu")
    assert _Asking(case)._together() == 5
    assert same(bank, make_bank(CONFIG, case))
