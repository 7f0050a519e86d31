"""Faults in params.yaml, and several at once."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path

import pytest
from broken import GRPO, PARAMS, SORT, TRAINED, Broken, broken, edited, expect, keys
from commands import Command

from thicket.config.params import Params, StudentNode
from thicket.config.policy_gradient import Grpo

DOMAINS = "domains: [sort, reverse]\nbases"


CASES = [
    broken(
        "typo in a key",
        edited("students:", "studnets:"),
        f"""
        params.yaml:9: studnets: unknown key
            allowed: {keys(Params)}
            did you mean: students
        """,
    ),
    broken(
        "typo in a model's key",
        edited("method: soup", "methd: soup"),
        f"""
        params.yaml:14: students.soup.methd = 'soup': unknown key
            allowed: {keys(StudentNode)}
            did you mean: method
        """,
    ),
    broken(
        "typo in a method",
        edited("methods: [grpo]", "methods: [gpro]"),
        """
        params.yaml:8: products[0].methods[0] = 'gpro': there is no such option of conf/method
            allowed: grpo, grpo-gentle
            did you mean: grpo
            used by: specialist sort-gpro, specialist reverse-gpro
        """,
    ),
    broken(
        "typo in a student's method",
        edited("method: soup", "method: suop"),
        """
        params.yaml:14: students.soup.method = 'suop': there is no such option of conf/method
            allowed: mixed, opd, soup
            did you mean: soup
            used by: student soup
        """,
    ),
    broken(
        "values without an option",
        edited("values:\n  method:\n    grpo: {steps: 3}", "values: {evaluation: {samples: 2}, method: {grpo: 3}}"),
        """
        params.yaml:16: values.evaluation.samples = 2: the name of an option of conf/evaluation comes first, then its values
            allowed: default; for instance `values: {evaluation: {default: {samples: 2}}}`
        params.yaml:16: values.method.grpo = 3: wrong type: it is a whole number
            allowed: a mapping
        """,
    ),
    broken(
        "typo in the sampler",
        edited("seed: 0", "seed: 0\nsampler: troch"),
        """
        params.yaml:4: sampler = 'troch': there is no such option of conf/sampler
            allowed: torch
            did you mean: torch
            used by: specialist sort-grpo, specialist reverse-grpo, student opd, student soup and 7 more
        """,
    ),
    broken(
        "unknown domain",
        edited(DOMAINS, "domains: [sort, revrese]\nbases"),
        """
        params.yaml:4: domains[1] = 'revrese': there is no such option of conf/domain
            allowed: reverse, sort
            did you mean: reverse
        """,
    ),
    broken(
        "text for a list",
        edited(DOMAINS, "domains: sort\nbases"),
        """
        params.yaml:4: domains = 'sort': wrong type: it is text
            allowed: a list
        """,
    ),
    broken(
        "domain twice",
        edited(DOMAINS, "domains: [sort, reverse, sort]\nbases"),
        """
        params.yaml:4: domains[2] = 'sort': stands here a second time
        """,
    ),
    broken(
        "negative seed",
        edited("seed: 0", "seed: -1"),
        """
        params.yaml:3: seed = -1: out of range
            allowed: at least 0
        """,
    ),
    broken(
        "missing value",
        edited("experiment: toy\n", ""),
        """
        params.yaml: experiment: a value is missing
        """,
    ),
    broken(
        "unknown group of values",
        edited("values:\n  method:", "values:\n  methods:"),
        """
        params.yaml:17: values.methods: there is no such group of values
            allowed: analysis, base, domain, evaluation, method, sampler, trainer
            did you mean: method
        """,
    ),
    broken(
        "values of an unknown option",
        edited("    grpo: {", "    grop: {"),
        """
        params.yaml:18: values.method.grop = 'grop': there is no such option of conf/method
            allowed: grpo, grpo-gentle, mixed, opd, soup
            did you mean: grpo
        """,
    ),
    broken(
        "values with an unknown key",
        edited("{steps: 3}", "{step: 3}"),
        f"""
        params.yaml:18: method.step = 3: unknown key
            allowed: {keys(Grpo)}
            did you mean: steps
            {TRAINED}
        """,
    ),
    broken(
        "value of a model, with a dotted key",
        edited("{base: toy}", "{base: toy, set: {base.optimizer.lr: 0}}"),
        """
        params.yaml:6: base.optimizer.lr = 0: out of range
            allowed: more than 0.0
            used by: base tiny
        """,
    ),
    broken(
        "value given twice",
        edited("{base: toy}", "{base: toy, set: {base.optimizer: {lr: 1}, base.optimizer.lr: 2}}"),
        """
        params.yaml:6: bases.tiny.set.base.optimizer.lr = 2: given twice, as a whole and in parts
        """,
    ),
    broken(
        "value of a part that is not the model's",
        edited("method: soup,", "method: soup, set: {evaluation.samples: 3},"),
        """
        params.yaml:14: students.soup.set.evaluation: not a part of this model's config
            allowed: method, sampler, trainer
        """,
    ),
    broken(
        "specialist with other data",
        edited(
            "products:",
            "specialists:\n  few: {base: tiny, domain: sort, method: grpo, set: {domain.splits.train: 3}}\nproducts:",
        ),
        """
        params.yaml:8: specialists.few.set.domain: a specialist can't change its domain's data: declare a domain in conf/domain
        """,
    ),
    broken(
        "specialist with a window of its own, too small",
        edited(
            "products:",
            "specialists:\n  few: {base: tiny, domain: sort, method: grpo, set: {domain.window.prompt: 9}}\nproducts:",
        ),
        """
        params.yaml:8: domain.window.prompt = 9: the longest prompt has 10 tokens
            allowed: at least 10
            used by: specialist few
        """,
    ),
    broken(
        "key twice",
        edited("seed: 0", "seed: 0\nseed: 1"),
        """
        params.yaml:4: seed: the key stands here a second time (first on line 3)
        """,
    ),
    broken(
        "tab",
        edited("  tiny: {base", "\ttiny: {base"),
        """
        params.yaml:6: not YAML: indentation is by spaces, and here is a tab
        """,
    ),
    broken(
        "empty file",
        edited("", ""),
        """
        params.yaml: bases: a value is missing
        params.yaml: domains: a value is missing
        params.yaml: experiment: a value is missing
        """,
    ),
    broken(
        "faults in two files",
        (GRPO, "prompts: 4", "prompts: 0"),
        (SORT, "type: exact", "type: exat"),
        """
        conf/domain/sort.yaml:5: domain.verifier.type = 'exat': not one of the options, \
nor a plug-in installed in this environment (thicket.verifiers: none)
            allowed: choice, code, countdown, exact, instructions, math, number, reasoning-gym, writing
            did you mean: exact
            used by: domain sort
        conf/method/grpo.yaml:3: method.prompts = 0: out of range
            allowed: at least 1
            used by: specialist reverse-grpo
        """,
    ),
    broken(
        "a fault in the schema and one in a reference",
        edited("weight: 2", "weight: -2"),
        edited("budget_of: opd", "budget_of: opdd"),
        (SORT, "prompt: 16", "prompt: 4"),
        """
        conf/domain/sort.yaml:7: domain.window.prompt = 4: the longest prompt has 10 tokens
            allowed: at least 10
            used by: specialist sort-grpo, evaluate tiny, evaluate sort-grpo, evaluate reverse-grpo and 1 more
        params.yaml:13: students.opd.teachers[1].weight = -2: out of range
            allowed: at least 0.0
        params.yaml:15: students.mixed.budget_of = 'opdd': no model of this name is declared
            allowed: mixed, opd, reverse-grpo, sort-grpo, soup, tiny
            did you mean: opd
        """,
    ),
    broken(
        "a broken product and what hangs on it",
        edited("methods: [grpo]", "method: [grpo]"),
        edited("    grpo: {", "    grop: {"),
        """
        params.yaml:8: products[0].method = ['grpo']: unknown key
            allowed: base, domains, effort, methods, prefix, seed, set
            did you mean: methods
        params.yaml:18: values.method.grop = 'grop': there is no such option of conf/method
            allowed: grpo, grpo-gentle, mixed, opd, soup
            did you mean: grpo
        """,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_message(case: Broken, sample: Path, command: Command) -> None:
    expect(case, sample, command)


def test_no_params(sample: Path, command: Command) -> None:
    (sample / PARAMS).unlink()
    said = command("check")
    assert (said.status, said.out) == (2, "")
    assert (
        said.err
        == "params.yaml: there is none in this folder, nor above it: this is no project\n\n1 problem in the configuration.\n"
    )


def test_a_folder_where_a_file_should_be(sample: Path, command: Command) -> None:
    for folder in (sample / "conf/domain/sort.yaml", sample / "folder"):
        folder.unlink(missing_ok=True)
        folder.mkdir()
    assert "conf/domain/sort.yaml: a folder, not a file\n" in command("check").err
    said = command("run", "folder")
    assert (said.status, said.out) == (2, "")
    assert said.err.startswith("folder: a folder, not a file\n")
