"""Wrong keys, types and ranges in conf/: each gets one message: where, what, what is allowed, what was meant."""

from pathlib import Path

import pytest
from broken import (
    BASE,
    EVALUATED,
    EVALUATION,
    GRPO,
    OPD,
    SORT,
    TRAINED,
    Broken,
    Change,
    broken,
    expect,
    keys,
    kinds,
    words,
)
from commands import Command

from thicket.config.optimizer import Optimizer
from thicket.config.policy_gradient import Grpo
from thicket.config.source import ProceduralSource, TaskName
from thicket.config.verifier import Verifier

USERS = {
    BASE: "used by: base tiny",
    EVALUATION: EVALUATED,
    GRPO: TRAINED,
    OPD: "used by: student opd",
    SORT: "used by: domain sort",
}
"""File → who has to do with it."""
OPEN = "interpolations (${…}) are not resolved here: write the value itself"


def fault(name: str, change: Change, said: str, allowed: str = "", meant: str = "") -> Broken:
    """A change of one file, and the message: its place there and what is wrong, then what would do and who needs it."""
    hints = [f"allowed: {allowed}"] * bool(allowed) + [f"did you mean: {meant}"] * bool(meant)
    return broken(name, change, "\n    ".join([f"{change[0]}:{said}", *hints, USERS[change[0]]]))


CASES = [
    fault(
        "typo in a key", (GRPO, "group: 4", "gruop: 4"), "4: method.gruop = 4: unknown key", keys(Grpo), meant="group"
    ),
    fault(
        "typo in a nested key",
        (GRPO, "{lr: 1e-3}", "{rl: 1e-3}"),
        "5: method.optimizer.rl = 0.001: unknown key",
        keys(Optimizer),
        meant="lr",
    ),
    fault(
        "typo in an element of a list",
        (BASE, "task: sort, levels", "task: sort, level"),
        "5: base.corpus.tasks[0].level = [2, 3]: unknown key",
        keys(ProceduralSource),
        meant="levels",
    ),
    fault(
        "key a level too high",
        (GRPO, "group: 4", "group: 4\nlr: 1e-4"),
        "5: method.lr = 0.0001: unknown key",
        keys(Grpo),
        meant="optimizer.lr",
    ),
    fault(
        "a corpus without its questions",
        (BASE, 'template: "{question}="', 'template: "question="'),
        "7: base.corpus.template = 'question=': `template` needs {question}, the place where the question goes",
    ),
    fault(
        "typo in one of a few words",
        (GRPO, "publish: best", "publish: bset"),
        "6: method.publish = 'bset': not one of the options",
        "last, best",
        meant="best",
    ),
    fault(
        "typo in a task",
        (SORT, "task: sort", "task: srot"),
        "2: domain.source.task = 'srot': not one of the options",
        words(TaskName),
        meant="sort",
    ),
    fault(
        "typo in a type",
        (SORT, "type: exact", "type: exat"),
        "5: domain.verifier.type = 'exat': not one of the options, "
        "nor a plug-in installed in this environment (thicket.verifiers: none)",
        kinds(Verifier),
        meant="exact",
    ),
    fault("no type", (SORT, "{type: exact}", "{}"), "5: domain.verifier.type: a value is missing", kinds(Verifier)),
    fault(
        "text for a number",
        (GRPO, "prompts: 4", "prompts: many"),
        "3: method.prompts = 'many': wrong type: it is text",
        "a whole number",
    ),
    fault(
        "number in quotes",
        (GRPO, "lr: 1e-3", 'lr: "1e-4"'),
        "5: method.optimizer.lr = '1e-4': wrong type: it is text",
        "a number",
        meant="1e-4, without quotes",
    ),
    fault(
        "fraction for a whole number",
        (GRPO, "prompts: 4", "prompts: 4.5"),
        "3: method.prompts = 4.5: wrong type: it is a number",
        "a whole number",
    ),
    fault(
        "true for a whole number",
        (GRPO, "group: 4", "group: true"),
        "4: method.group = true: wrong type: it is true or false",
        "a whole number",
    ),
    fault(
        "number for text",
        (SORT, 'stop: "\\n"', "stop: 3"),
        "6: domain.stop = 3: wrong type: it is a whole number",
        "text",
    ),
    fault(
        "list for a mapping",
        (GRPO, "{lr: 1e-3}", "[1e-3]"),
        "5: method.optimizer = [0.001]: wrong type: it is a list",
        "a mapping",
    ),
    fault(
        "nothing for a number",
        (GRPO, "group: 4", "group:"),
        "4: method.group = null: wrong type: it is no value",
        "a whole number",
    ),
    fault(
        "zero where one is the least",
        (GRPO, "select_samples: 2", "select_samples: 0"),
        "7: method.select_samples = 0: out of range",
        "at least 1",
    ),
    fault(
        "negative penalty",
        (SORT, "length_penalty: 0.1", "length_penalty: -0.1"),
        "8: domain.length_penalty = -0.1: out of range",
        "at least 0.0",
    ),
    fault("not a number", (GRPO, "lr: 1e-3", "lr: .nan"), "5: method.optimizer.lr = nan: not a finite number"),
    fault("infinite", (GRPO, "lr: 1e-3", "lr: .inf"), "5: method.optimizer.lr = inf: not a finite number"),
    fault(
        "share that is not a number",
        (BASE, "wrong_share: 0.5", "wrong_share: .nan"),
        "8: base.corpus.wrong_share = nan: out of range",
        "at most 1.0",
    ),
    fault(
        "empty list",
        (EVALUATION, "ks: [1, 2]", "ks: []"),
        "2: evaluation.ks = []: out of range",
        "at least 1 entries (there are 0)",
    ),
    fault("missing value", (OPD, "prompts: 4\n", ""), " method.prompts: a value is missing"),
    fault(
        "value left open",
        (OPD, "prompts: 4", "prompts: ???"),
        "3: method.prompts = '???': a value has to be given: the option leaves it open",
    ),
    fault(
        "interpolation in place of a number",
        (OPD, "prompts: 4", "prompts: ${seed}"),
        "3: method.prompts = '${seed}': " + OPEN,
    ),
    fault(
        "interpolation in a text",
        (SORT, '"{question}="', '"${oc.env:ASK}{question}="'),
        "3: domain.prompt.template = '${oc.env:ASK}{question}=': " + OPEN,
    ),
    fault(
        "code to run",
        (SORT, "{type: exact}", "{type: exact, _target_: os.system}"),
        "5: domain.verifier._target_ = 'os.system': a config holds values and can't name code to run",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)
