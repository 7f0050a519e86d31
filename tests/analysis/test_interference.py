"""Interference: a prompt's gradient against a loop, parts in closed form, and domains whose cosine is known."""

import json
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from in_memory import SEED, TOKENIZER, WORDS, case_of, environment, model, texts, written
from matplotlib.backends.backend_agg import FigureCanvasAgg

from thicket.analysis.found import Found
from thicket.analysis.gradients import SKETCH, Reader, _key
from thicket.analysis.interference import REPLICATES, Gradients, _prompt, analyze, pair
from thicket.config.analysis import Interference
from thicket.ops import sketch
from thicket.reporting.jsonfile import plain
from thicket.reporting.pictures.interference import picture
from thicket.sampling.environment import Environment
from thicket.statistics.resamples import resamples, whole

ITEMS = 48


def late(text: str) -> bool:
    """A letter from the second half of the alphabet comes first."""
    return text[:1] >= "m"


def early(text: str) -> bool:
    return not late(text)


def analysed(*environments: Environment, batch: int = 16, **values: Any) -> Found:
    config = Interference.model_validate({"type": "interference", "group": 6, **values})
    return analyze(config, case_of({"tiny": model(1, 2.0)}, environments, batch))


def only(found: Found) -> dict[str, Any]:
    (row,) = found.tables["cosines"]
    return dict(row)


def ends(found: Found, key: str) -> tuple[float, float]:
    """Of the central 95 % of the resamples that have a value."""
    assert len(found.figures["replicates"][key]) == REPLICATES
    known = [value for value in found.figures["replicates"][key] if value is not None]
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)


def test_a_prompts_gradient() -> None:
    """Response by response, token by token, (R − mean)/(G·length) times the gradient of log π, in float64."""
    small = model(0)
    prompt, responses, correct = TOKENIZER("odd 31=")["input_ids"], [[9, 10, 2], [11], [4, 4]], [True, False, False]
    exact = model(0).double()
    objective = torch.zeros((), dtype=torch.float64)
    for response, reward in zip(responses, correct, strict=True):
        ids = torch.tensor([prompt + response])
        log_probs = exact(ids).logits[0, :, :WORDS].log_softmax(dim=-1)
        for place, token in enumerate(response):
            advantage = float(reward) - 1 / 3
            objective = objective + advantage / (3 * len(response)) * log_probs[len(prompt) - 1 + place, token]
    objective.backward()
    expected_M = torch.zeros(SKETCH, dtype=torch.float64)
    for name, parameter in exact.named_parameters():
        assert parameter.grad is not None
        sketch.add(expected_M, parameter.grad, _key(SEED, name))
    reader = Reader(small, WORDS, SEED)
    found_M = _prompt(reader, prompt, responses, np.array(correct))
    torch.testing.assert_close(found_M.double(), expected_M, rtol=1e-4, atol=1e-5 * float(expected_M.norm()))
    assert all(parameter.grad is None for parameter in small.parameters())
    assert not _prompt(reader, prompt, responses, np.array([True] * 3)).any(), "equal rewards say nothing"


def planted(domain: str, mean: np.ndarray, prompts: int, noise: float, seed: int, first: int = 0) -> Gradients:
    """Gradients around a mean."""
    sketches = mean + noise * np.random.default_rng(seed).normal(size=(prompts, len(mean)))
    times = np.concatenate([whole(prompts), resamples(prompts, 200, [seed])])
    ids = [str(first + place) for place in range(prompts)]
    return Gradients(domain, ids, sketches, np.ones((prompts, 2), dtype=bool), times)


@pytest.mark.parametrize("halves", [2, 3])
def test_the_closed_form_is_the_mean_over_ways_to_part_the_items(halves: int) -> None:
    """Against 400 random partitions of both domains, and the cosines of their parts' sums."""
    direction = np.random.default_rng(0).normal(size=(2, 300))
    one = planted("a", direction[0], 24, 3.0, 1)
    other = planted("b", direction[0] + direction[1], 24, 3.0, 2, first=100)
    generator, within, between = np.random.default_rng(3), list[float](), list[float]()
    for _ in range(400):
        sums = []
        for gradients in (one, other):
            parts = generator.permutation(24).reshape(halves, -1)
            made = np.stack([gradients.sketches_NM[part].sum(axis=0) for part in parts])
            sums.append(made / np.linalg.norm(made, axis=1, keepdims=True))
        within += [sums[0][p] @ sums[0][q] for p, q in permutations(range(halves), 2)]
        between += [sums[0][p] @ sums[1][q] for p in range(halves) for q in range(halves)]
    assert one.within_R(halves)[0] == pytest.approx(np.mean(within), abs=0.01)
    found = pair(one, other, halves)
    assert found.raw_R[0] == pytest.approx(np.mean(between), abs=0.01)
    assert found.corrected_R[0] == pytest.approx(2**-0.5, abs=0.1), "the cosine of the expectations"
    assert found.raw_R[0] < 0.9 * found.corrected_R[0]
    for values_R in (found.raw_R, found.corrected_R):
        low, high = np.quantile(values_R[1:], [0.1, 0.9])
        assert low < values_R[0] < high, "resamples lie around the value"


def test_a_domain_with_itself() -> None:
    same = [environment(name, texts(ITEMS), late) for name in ("a", "b")]
    row = only(analysed(*same))
    assert row["corrected"] == pytest.approx(1.0)
    assert row["raw"] == pytest.approx(row["ceiling"])
    assert 0.1 < row["raw"] < 0.9


def test_opposite_rewards_on_the_same_prompts() -> None:
    row = only(analysed(environment("a", texts(ITEMS), late), environment("b", texts(ITEMS), early)))
    assert row["corrected"] == pytest.approx(-1.0)
    assert row["raw"] == pytest.approx(-row["ceiling"])


def test_other_prompts_with_the_same_and_with_opposite_rewards() -> None:
    """No prompt is shared: the corrected cosine is 1 and −1 but for chance, as its interval says."""
    for correct, sign in ((late, 1), (early, -1)):
        found = analysed(environment("a", texts(ITEMS), late), environment("b", texts(ITEMS, 50), correct))
        values = found.figures["values"]
        assert 0.7 < sign * values["corrected:tiny:a~b"] < 1.4
        low, high = ends(found, "corrected:tiny:a~b")
        assert low < sign < high
        low, high = ends(found, "cosine:tiny:a~b")
        assert low < values["cosine:tiny:a~b"] < high
        assert np.sign(low) == np.sign(high) == sign
        for kind in ("cosine", "ceiling", "corrected"):
            assert values[f"{kind}:tiny:mean"] == pytest.approx(values[f"{kind}:tiny:a~b"])


def test_what_is_asked_does_not_depend_on_the_batch() -> None:
    asked = [environment("a", texts(6), late), environment("b", texts(6, 20), early)]
    one, other = analysed(*asked), analysed(*asked, batch=7)
    assert one == analysed(*asked)
    assert one.statistics == other.statistics
    assert only(one)["raw"] == pytest.approx(only(other)["raw"], abs=1e-6)


def test_a_domain_without_a_gradient() -> None:
    found = analysed(environment("a", texts(6), late), environment("b", texts(6), lambda text: True))
    row = only(found)
    assert row["raw"] is None
    assert row["corrected"] is None
    assert found.figures["values"]["norm:tiny:b"] == 0.0
    assert found.figures["values"]["within:tiny:b"] is None
    json.dumps(plain(found.figures), allow_nan=False)
    useful = {one.domain: one.amounts_U for one in found.statistics if one.name == "useful"}
    assert sum(useful["a"]) > 0
    assert sum(useful["b"]) == 0
    reward = {one.domain: one.amounts_U for one in found.statistics if one.name == "reward"}
    assert reward["b"] == [1.0] * 6


def test_one_domain_has_no_pairs() -> None:
    found = analysed(environment("a", texts(6), late))
    assert found.tables["cosines"] == []
    assert set(found.figures["values"]) == {"within:tiny:a", "norm:tiny:a"}


def test_the_picture_shows_every_pair_of_every_model() -> None:
    """A domain whose rewards are all equal has no cosines."""
    asked = [
        environment("a", texts(8), late),
        environment("b", texts(8, 20), early),
        environment("c", texts(4, 40), lambda text: True),
    ]
    case = case_of({"tiny": model(1, 2.0), "grown": model(2, 2.0)}, asked)
    found = analyze(Interference(type="interference", group=6), case)
    _, *matrices = picture(*written(found, case)).axes
    assert [axes.get_title(loc="left") for axes in matrices] == ["tiny", "grown"]
    for name, axes in zip(("tiny", "grown"), matrices, strict=True):
        cells = {text.get_position(): text.get_text() for text in axes.texts}
        assert len(cells) == 9
        assert cells[2, 0] == cells[0, 2] == cells[2, 2] == "–"
        assert float(cells[1, 0]) == pytest.approx(found.figures["values"][f"cosine:{name}:a~b"], abs=0.006)
        assert float(cells[0, 0]) == pytest.approx(found.figures["values"][f"within:{name}:a"], abs=0.006)


def test_the_picture_has_room_for_long_names() -> None:
    asked = [environment("a-domain-of-a-long-name", texts(8), late), environment("b", texts(8, 20), early)]
    case = case_of({"tiny": model(1, 2.0)}, asked)
    figure = picture(*written(analyze(Interference(type="interference", group=6), case), case))
    FigureCanvasAgg(figure).draw()
    labels = [label.get_window_extent() for label in figure.axes[1].get_yticklabels()]
    assert len(labels) == 2
    assert all(box.x0 >= 0 for box in labels)
