"""What a plug-in gives is looked at: an error names the plug-in, the function, what was expected and what came."""

import json
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from torch import Tensor
from toys import run, toy_project

from thicket.config.plugins import with_part
from thicket.domains import registry
from thicket.domains.verdict import Verdict
from thicket.methods.checked import checked
from thicket.methods.grpo import Grpo
from thicket.methods.method import Rows, TokenLoss, Updated
from thicket.methods.texts import Sample
from thicket.stages import imitate, reinforce


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = toy_project(tmp_path_factory.mktemp("toy") / "project")
    run(root, "data-sort", "base-tiny", "specialist-sort-grpo")
    return root


def train_with(code: type[Grpo], project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The specialist, as if its method's class were a plug-in's."""
    monkeypatch.setattr(reinforce, "class_of", lambda *_: code)
    monkeypatch.setattr(reinforce, "is_plugin", lambda _: True)
    run(project, "specialist-sort-grpo")


class Sound(Grpo):
    def surrogate(self, log_probs_BK: Tensor, old_BK: Tensor, advantages_BK: Tensor, rows: Rows) -> Tensor:
        return super().surrogate(log_probs_BK, old_BK, advantages_BK=advantages_BK, rows=rows)


class WeightOfARow(Grpo):
    def weights(self, rows: Rows) -> Tensor:
        return super().weights(rows)[:, :1]


class AdvantageOfAPrompt(Grpo):
    def advantages(self, rewards_PG: Tensor) -> Tensor:
        return super().advantages(rewards_PG).mean(dim=1)


class NothingPrepared(Grpo):
    def prepare(self, rows: Rows, micro_batch: int) -> Any:
        super().prepare(rows, micro_batch)


class AdvantagesOfRows(Grpo):
    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        return replace(rows, advantages_BK=rows.rewards_B.unsqueeze(1))


class KeptOfRows(Grpo):
    def prepare(self, rows: Rows, micro_batch: int) -> Rows:
        return replace(super().prepare(rows, micro_batch), kept={"mine": rows.rewards_B})


class LossOfRows(Grpo):
    def surrogate(self, log_probs_BK: Tensor, old_BK: Tensor, advantages_BK: Tensor, rows: Rows) -> Tensor:
        return super().surrogate(log_probs_BK, old_BK, advantages_BK, rows).mean(dim=1, keepdim=True)


class FigureOfTheBatch(Grpo):
    def token_loss(self, policy: Any, hidden_BKH: Tensor, rows: Rows) -> TokenLoss:
        token = super().token_loss(policy, hidden_BKH, rows)
        return replace(token, figures={"entropy": token.figures["entropy"].mean()})


class LossOfTokens(Grpo):
    def update(self, policy: Any, rows: Rows, weights_BK: Tensor) -> Updated:
        return replace(super().update(policy, rows, weights_BK), loss=weights_BK)


class LossWithoutGradient(Grpo):
    def update(self, policy: Any, rows: Rows, weights_BK: Tensor) -> Updated:
        found = super().update(policy, rows, weights_BK)
        return replace(found, loss=found.loss.detach())


class OrderOfFloats(Grpo):
    def in_order(self, rows: Rows) -> Tensor:
        return super().in_order(rows).float()


class UsefulRows(Grpo):
    def useful(self, earned_PG: Tensor) -> Tensor:
        return earned_PG > 0


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            WeightOfARow,
            r"weights\(\) gave a tensor of shape \[16, 1\]; expected a tensor of shape \[16, \d+\] \(rows, ",
        ),
        (AdvantageOfAPrompt, r"advantages\(\) gave a tensor of shape \[4\]; expected a tensor of shape \[4, 4\]"),
        (NothingPrepared, r"prepare\(\) gave NoneType; expected thicket.methods.method.Rows"),
        (AdvantagesOfRows, r"prepare\(\) gave a tensor of shape \[16, 1\] as advantages_BK; expected .*\[16, \d+\]"),
        (KeptOfRows, r"prepare\(\) gave a tensor of shape \[16\] as kept\['mine'\]; expected"),
        (LossOfRows, r"surrogate\(\) gave a tensor of shape \[\d+, 1\]; expected a tensor of shape \[\d+, \d+\]"),
        (FigureOfTheBatch, r"token_loss\(\) gave a tensor of shape \[\] as the figure 'entropy'; expected"),
        (LossOfTokens, r"update\(\) gave a tensor of shape \[\d+, \d+\] as loss; expected a tensor of shape \[\]"),
        (LossWithoutGradient, r"update\(\) gave a loss without a gradient"),
        (OrderOfFloats, r"in_order\(\) gave a tensor of shape \[\d+\], torch.float32; expected the numbers of 1 to 16"),
        (UsefulRows, r"useful\(\) gave a tensor of shape \[4, 4\]; expected a tensor of shape \[4\] \(true or false"),
    ],
)
def test_a_methods_answer_of_the_wrong_shape(
    code: type[Grpo], words: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=f"^plug-in {__name__}, method grpo: {words}"):
        train_with(code, project, monkeypatch)


def test_a_sound_plug_in_trains_as_it_would_without_being_looked_at(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = project / "build/models/sort-grpo/model.safetensors"
    before, ledger = weights.read_bytes(), json.loads((project / "build/metrics/sort-grpo.json").read_text())
    train_with(Sound, project, monkeypatch)
    assert weights.read_bytes() == before
    assert json.loads((project / "build/metrics/sort-grpo.json").read_text()) == ledger


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([Verdict(True)], r"gave 1 verdicts; expected a list of 2, a Verdict for each response"),
        ((Verdict(True), Verdict(False)), "gave tuple; expected"),
        ([Verdict(True), True], "gave True among the verdicts; expected"),
        ([Verdict(True), None], "gave None among the verdicts; expected"),
    ],
)
def test_verdicts_of_the_wrong_number_or_kind(given: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("mine.rising")
    module.judge = lambda config, answered: given  # type: ignore[attr-defined]
    monkeypatch.setattr(registry, "code_of", lambda *_: module)
    judge = registry.judge_of(SimpleNamespace(type="rising"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=rf"^verifier rising \(mine.rising\): judge\(\) {words}"):
        judge([("1", None), ("2", None)])  # type: ignore[list-item]


@pytest.mark.parametrize("found", [None, [Sample([1], "other")], ["text"]])
def test_what_is_kept_is_some_of_the_samples(found: Any) -> None:
    method: Any = SimpleNamespace(type="longest")
    own = [Sample([1, 2], "a"), Sample([3], "b")]
    assert imitate._some_of(own[:1], own, method) == own[:1]
    with pytest.raises(
        ValueError, match=r"method longest: kept\(\) gave .*; expected a list of those of the 2 samples"
    ):
        imitate._some_of(found, own, method)


def test_who_answers_is_said_for_each_prompt() -> None:
    class Silent(Grpo):
        def answers(self, domain: str, places: Any) -> Any:
            return []

    method = Silent.__new__(Silent)
    with pytest.raises(
        ValueError, match=r"^mine: answers\(\) gave 0 answers; expected a list of 3, the name of a model"
    ):
        checked(method, "mine").answers("sort", [0, 1, 2])


def test_a_module_that_lacks_what_its_option_needs() -> None:
    option, module = SimpleNamespace(type="longest"), ModuleType("mine.longest")
    with pytest.raises(ValueError, match=r"^mine.longest: `longest` needs `kept` here$"):
        with_part(module, option, "kept")
