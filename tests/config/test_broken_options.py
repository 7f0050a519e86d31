"""Options of conf/ that contradict themselves or each other, and files that are no options at all."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path

import pytest
from broken import (
    EVALUATED,
    EVALUATION,
    GENTLE,
    GRPO,
    PARAMS,
    SORT,
    TRAINED,
    Broken,
    apply,
    broken,
    expect,
)
from commands import Command

from thicket.config.method import SpecialistMethod
from thicket.config.schema import tags

CHOSEN = (PARAMS, "methods: [grpo]", "methods: [grpo, grpo-gentle]")


CASES = [
    broken(
        "prompt longer than its window",
        (SORT, "prompt: 16", "prompt: 4"),
        """
        conf/domain/sort.yaml:7: domain.window.prompt = 4: the longest prompt has 10 tokens
            allowed: at least 10
            used by: specialist sort-grpo, student opd, student mixed, evaluate tiny and 5 more
        """,
    ),
    broken(
        "window beyond the base's context",
        (SORT, "response: 6", "response: 60"),
        """
        conf/domain/sort.yaml:7: domain.window = {prompt: 16, response: 60}: prompt and response together (76 tokens) don't fit the base's context
            allowed: at most 48 together
            used by: specialist sort-grpo, student opd, student mixed, evaluate tiny and 5 more
        """,
    ),
    broken(
        "a folder's path by the name of its kind",
        ("conf/base/mine.yaml", "", "type: folder\npath: ???\ncontext: ???\n"),
        (PARAMS, "bases:\n", "bases:\n  mine: {base: mine, set: {base.folder: models/mine, base.context: 64}}\n"),
        """
        conf/base/mine.yaml:2: base.path = '???': a value has to be given: the option leaves it open
            used by: base mine
        params.yaml:6: base.folder = 'models/mine': unknown key
            allowed: context, dtype, license, path, type
            did you mean: path
            used by: base mine
        """,
    ),
    broken(
        "a branch for a revision",
        ("conf/base/far.yaml", "", "{type: hub, id: a/b, revision: main, context: 64}\n"),
        (PARAMS, "bases:\n", "bases:\n  far: {base: far}\n"),
        """
        conf/base/far.yaml:1: base.revision = 'main': not of the required form
            allowed: a commit's 40 hexadecimal digits, in lower case
            used by: base far
        """,
    ),
    broken(
        "file and name differ",
        (SORT, "name: sort", "name: sorted"),
        """
        conf/domain/sort.yaml:1: domain.name = 'sorted': differs from the file's name, conf/domain/sort.yaml
        """,
    ),
    broken(
        "shares that leave no test items",
        (SORT, "{train: 16", "{train_share: 0.9, train: 16"),
        """
        conf/domain/sort.yaml:4: domain.splits.train_share = 0.9: `train_share` and `selection_share` are above 0 and together below 1, which leaves the test; or both are 0, and all is test
            used by: domain sort
        """,
    ),
    broken(
        "pass@k of more than the samples",
        (EVALUATION, "ks: [1, 2]", "ks: [1, 8]"),
        f"""
        conf/evaluation/default.yaml:2: evaluation.ks = [1, 8]: `ks` asks for pass@8, which needs 8 `samples` (there are 4)
            {EVALUATED}
        """,
    ),
    broken(
        "no pass@1",
        (EVALUATION, "ks: [1, 2]", "ks: [2]"),
        f"""
        conf/evaluation/default.yaml:2: evaluation.ks = [2]: `ks` has to hold 1: pass@1 is the score of every table
            {EVALUATED}
        """,
    ),
    broken(
        "best of nothing",
        (GRPO, "select_every: 1", "select_every: 0"),
        f"""
        conf/method/grpo.yaml:6: method.publish = 'best': `publish: best` needs `select_every` above 0: there is nothing to choose from otherwise
            {TRAINED}
        """,
    ),
    broken(
        "best of one",
        (GRPO, "select_every: 1", "select_every: 3"),
        f"""
        conf/method/grpo.yaml:6: method.publish = 'best': `publish: best` with `select_every` 3 and `steps` 3 scores the last checkpoint alone: there is nothing to choose from
            {TRAINED}
        """,
    ),
    broken(
        "updates that don't divide the prompts",
        (GRPO, "group: 4", "group: 4\nupdates: 3"),
        f"""
        conf/method/grpo.yaml:5: method.updates = 3: `updates` (3) has to divide `prompts` (4)
            {TRAINED}
        """,
    ),
    broken(
        "cosine without an end",
        ("conf/method/mixed.yaml", "{lr: 1e-3}", "{lr: 1e-3, schedule: cosine}"),
        """
        conf/method/mixed.yaml:4: method.optimizer.schedule = 'cosine': a run with a budget of FLOPs has no known last step: `optimizer.schedule` has to be constant
            used by: student mixed
        """,
    ),
    broken(
        "key twice",
        (GRPO, "group: 4", "group: 4\nsteps: 5"),
        """
        conf/method/grpo.yaml:5: steps: the key stands here a second time (first on line 2)
        """,
    ),
    broken(
        "key that YAML takes for a truth value",
        (GRPO, "group: 4", "on: 4"),
        """
        conf/method/grpo.yaml:4: on: YAML reads this key as true: put it in quotes
        """,
    ),
    broken(
        "not YAML",
        (GRPO, "{lr: 1e-3}", "{lr: 1e-3"),
        """
        conf/method/grpo.yaml:6: not YAML: did not find expected ',' or '}' (while parsing a flow mapping from line 5)
        """,
    ),
    broken(
        "no mapping",
        (GRPO, "", "- grpo\n"),
        """
        conf/method/grpo.yaml: the top level has to be a mapping, `key: value`
        """,
    ),
    broken(
        "empty option",
        (GRPO, "", "# nothing yet\n"),
        f"""
        conf/method/grpo.yaml: method.type: a value is missing
            allowed: {", ".join(sorted(tags(SpecialistMethod)))}
            {TRAINED}
        """,
    ),
    broken(
        "defaults in a circle",
        CHOSEN,
        (GRPO, "type: grpo", "defaults: [grpo-gentle]\ntype: grpo"),
        """
        conf/method/grpo-gentle.yaml:1: defaults[0] = 'grpo': the defaults go in a circle: grpo → grpo-gentle → grpo
        conf/method/grpo.yaml:1: defaults[0] = 'grpo-gentle': the defaults go in a circle: grpo-gentle → grpo → grpo-gentle
        """,
    ),
    broken(
        "defaults that don't exist",
        CHOSEN,
        (GENTLE, "[grpo, _self_]", "[gpro, _self_]"),
        """
        conf/method/grpo-gentle.yaml:1: defaults[0] = 'gpro': there is no such option of conf/method
            allowed: grpo, grpo-gentle, mixed, opd, soup
            did you mean: grpo
        """,
    ),
    broken(
        "defaults of another group",
        CHOSEN,
        (GENTLE, "[grpo, _self_]", "[{sampler: torch}]"),
        """
        conf/method/grpo-gentle.yaml:1: defaults = [{sampler: 'torch'}]: has to be a list of options of the same group, and `_self_`
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)


def test_a_file_that_is_not_text(sample: Path, command: Command) -> None:
    (sample / GRPO).write_bytes(b"\xff\xfe\x00")
    said = command("check")
    assert said.status == 2
    assert said.err.startswith("conf/method/grpo.yaml: the file is not UTF-8 text\n")


def test_a_verifier_that_does_not_fit_its_data(sample: Path, command: Command) -> None:
    apply(sample, ((SORT, "type: exact", "type: instructions"),))
    said = command("check")
    assert said.status == 2
    wrong = "`verifier.type` instructions can't judge items of a `procedural` source; allowed: exact, number"
    assert said.err.startswith(f"conf/domain/sort.yaml:5: domain.verifier.type = 'instructions': {wrong}")
    assert said.err.endswith("1 problem in the configuration.\n")
