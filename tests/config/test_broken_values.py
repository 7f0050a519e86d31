"""Wrong keys, types and ranges in conf/: each gets one message: where, what, what is allowed, what was meant."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path

import pytest
from broken import BASE, EVALUATED, EVALUATION, GRPO, OPD, SORT, TRAINED, Broken, broken, expect, keys, kinds, words
from commands import Command

from thicket.config.base import Optimizer
from thicket.config.policy_gradient import Grpo
from thicket.config.source import ProceduralSource, TaskName
from thicket.config.verifier import Verifier

CASES = [
    broken(
        "typo in a key",
        (GRPO, "group: 4", "gruop: 4"),
        f"""
        conf/method/grpo.yaml:4: method.gruop = 4: unknown key
            allowed: {keys(Grpo)}
            did you mean: group
            {TRAINED}
        """,
    ),
    broken(
        "typo in a nested key",
        (GRPO, "{lr: 1e-3}", "{rl: 1e-3}"),
        f"""
        conf/method/grpo.yaml:5: method.optimizer.rl = 0.001: unknown key
            allowed: {keys(Optimizer)}
            did you mean: lr
            {TRAINED}
        """,
    ),
    broken(
        "typo in an element of a list",
        (BASE, "task: sort, levels", "task: sort, level"),
        f"""
        conf/base/toy.yaml:5: base.corpus.tasks[0].level = [2, 3]: unknown key
            allowed: {keys(ProceduralSource)}
            did you mean: levels
            used by: base tiny
        """,
    ),
    broken(
        "key a level too high",
        (GRPO, "group: 4", "group: 4\nlr: 1e-4"),
        f"""
        conf/method/grpo.yaml:5: method.lr = 0.0001: unknown key
            allowed: {keys(Grpo)}
            did you mean: optimizer.lr
            {TRAINED}
        """,
    ),
    broken(
        "typo in one of a few words",
        (GRPO, "publish: best", "publish: bset"),
        f"""
        conf/method/grpo.yaml:6: method.publish = 'bset': not one of the options
            allowed: last, best
            did you mean: best
            {TRAINED}
        """,
    ),
    broken(
        "typo in a task",
        (SORT, "task: sort", "task: srot"),
        f"""
        conf/domain/sort.yaml:2: domain.source.task = 'srot': not one of the options
            allowed: {words(TaskName)}
            did you mean: sort
            used by: domain sort
        """,
    ),
    broken(
        "typo in a type",
        (SORT, "type: exact", "type: exat"),
        f"""
        conf/domain/sort.yaml:5: domain.verifier.type = 'exat': not one of the options
            allowed: {kinds(Verifier)}
            did you mean: exact
            used by: domain sort
        """,
    ),
    broken(
        "no type",
        (SORT, "{type: exact}", "{}"),
        f"""
        conf/domain/sort.yaml:5: domain.verifier.type: a value is missing
            allowed: {kinds(Verifier)}
            used by: domain sort
        """,
    ),
    broken(
        "text for a number",
        (GRPO, "prompts: 4", "prompts: many"),
        f"""
        conf/method/grpo.yaml:3: method.prompts = 'many': wrong type (text)
            allowed: a whole number
            {TRAINED}
        """,
    ),
    broken(
        "number in quotes",
        (GRPO, "lr: 1e-3", 'lr: "1e-4"'),
        f"""
        conf/method/grpo.yaml:5: method.optimizer.lr = '1e-4': wrong type (text)
            allowed: a number
            did you mean: 1e-4, without quotes
            {TRAINED}
        """,
    ),
    broken(
        "fraction for a whole number",
        (GRPO, "prompts: 4", "prompts: 4.5"),
        f"""
        conf/method/grpo.yaml:3: method.prompts = 4.5: wrong type (a number)
            allowed: a whole number
            {TRAINED}
        """,
    ),
    broken(
        "true for a whole number",
        (GRPO, "group: 4", "group: true"),
        f"""
        conf/method/grpo.yaml:4: method.group = true: wrong type (true or false)
            allowed: a whole number
            {TRAINED}
        """,
    ),
    broken(
        "number for text",
        (SORT, 'stop: "\\n"', "stop: 3"),
        """
        conf/domain/sort.yaml:6: domain.stop = 3: wrong type (a whole number)
            allowed: text
            used by: domain sort
        """,
    ),
    broken(
        "list for a mapping",
        (GRPO, "{lr: 1e-3}", "[1e-3]"),
        f"""
        conf/method/grpo.yaml:5: method.optimizer = [0.001]: wrong type (a list)
            allowed: a mapping
            {TRAINED}
        """,
    ),
    broken(
        "nothing for a number",
        (GRPO, "group: 4", "group:"),
        f"""
        conf/method/grpo.yaml:4: method.group = null: wrong type (no value)
            allowed: a whole number
            {TRAINED}
        """,
    ),
    broken(
        "zero where one is the least",
        (GRPO, "select_samples: 2", "select_samples: 0"),
        f"""
        conf/method/grpo.yaml:7: method.select_samples = 0: out of range
            allowed: at least 1
            {TRAINED}
        """,
    ),
    broken(
        "negative penalty",
        (SORT, "length_penalty: 0.1", "length_penalty: -0.1"),
        """
        conf/domain/sort.yaml:8: domain.length_penalty = -0.1: out of range
            allowed: at least 0.0
            used by: domain sort
        """,
    ),
    broken(
        "not a number",
        (GRPO, "lr: 1e-3", "lr: .nan"),
        f"""
        conf/method/grpo.yaml:5: method.optimizer.lr = nan: not a finite number
            {TRAINED}
        """,
    ),
    broken(
        "infinite",
        (GRPO, "lr: 1e-3", "lr: .inf"),
        f"""
        conf/method/grpo.yaml:5: method.optimizer.lr = inf: not a finite number
            {TRAINED}
        """,
    ),
    broken(
        "share that is not a number",
        (BASE, "wrong_share: 0.5", "wrong_share: .nan"),
        """
        conf/base/toy.yaml:8: base.corpus.wrong_share = nan: out of range
            allowed: at most 1.0
            used by: base tiny
        """,
    ),
    broken(
        "empty list",
        (EVALUATION, "ks: [1, 2]", "ks: []"),
        f"""
        conf/evaluation/default.yaml:2: evaluation.ks = []: out of range
            allowed: at least 1 entries (there are 0)
            {EVALUATED}
        """,
    ),
    broken(
        "missing value",
        (OPD, "prompts: 4\n", ""),
        """
        conf/method/opd.yaml: method.prompts: a value is missing
            used by: student opd
        """,
    ),
    broken(
        "value left open",
        (OPD, "prompts: 4", "prompts: ???"),
        """
        conf/method/opd.yaml:3: method.prompts = '???': a value has to be given: the option leaves it open
            used by: student opd
        """,
    ),
    broken(
        "interpolation in place of a number",
        (OPD, "prompts: 4", "prompts: ${seed}"),
        """
        conf/method/opd.yaml:3: method.prompts = '${seed}': interpolations (${…}) are not resolved here: write the value itself
            used by: student opd
        """,
    ),
    broken(
        "interpolation in a text",
        (SORT, '"{question}="', '"${oc.env:ASK}{question}="'),
        """
        conf/domain/sort.yaml:3: domain.prompt.template = '${oc.env:ASK}{question}=': interpolations (${…}) are not resolved here: write the value itself
            used by: domain sort
        """,
    ),
    broken(
        "code to run",
        (SORT, "{type: exact}", "{type: exact, _target_: os.system}"),
        """
        conf/domain/sort.yaml:5: domain.verifier._target_ = 'os.system': a config holds values and can't name code to run
            used by: domain sort
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)
