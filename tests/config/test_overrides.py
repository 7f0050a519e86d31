"""Overrides: what the grammar gives, and what a command line that is wrong is told."""

# ruff: noqa: E501  (a message is quoted as it stands)

from pathlib import Path
from textwrap import dedent

import pytest
from broken import keys
from commands import Command

from thicket.config.overrides import combinations, parse
from thicket.config.policy_gradient import Grpo
from thicket.config.problems import ConfigError


@pytest.mark.parametrize(
    ("text", "key", "values"),
    [
        ("method.optimizer.lr=1e-4", "method.optimizer.lr", (1e-4,)),
        ("seed=3", "seed", (3,)),
        ("+method.kl=0.1", "method.kl", (0.1,)),
        ("++method.kl=0.1", "method.kl", (0.1,)),
        ("method/grpo=x", "method.grpo", ("x",)),
        ("teachers=[a-b,c]", "teachers", (["a-b", "c"],)),
        ("teachers=[{model:a,weight:2}]", "teachers", ([{"model": "a", "weight": 2}],)),
        ("domain.stop='\\n'", "domain.stop", ("\\n",)),
        ("domain=sort,reverse", "domain", ("sort", "reverse")),
        ("seed=range(1,4)", "seed", (1, 2, 3)),
        ("seed=choice(5,7)", "seed", (5, 7)),
        ("name='a b'", "name", ("a b",)),
        ("seed=null", "seed", (None,)),
        ("method.optimizer.lr=interval(1e-4,1e-2)", "method.optimizer.lr", (1e-4, 1e-2)),
        ("method.optimizer.lr=tag(log,interval(1e-4,1e-2))", "method.optimizer.lr", (1e-4, 1e-2)),
    ],
)
def test_values(text: str, key: str, values: tuple[object, ...]) -> None:
    (override,), settings = parse([text])
    assert (override.key, override.values, settings) == (key, values, [])
    assert override.interval == ("interval" in text)
    assert override.swept == (len(values) > 1)


def test_settings_of_hydra_are_set_apart() -> None:
    overrides, settings = parse(["hydra/sweeper=optuna", "seed=1", "hydra.sweeper.n_trials=3"])
    assert [override.key for override in overrides] == ["seed"]
    assert settings == ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=3"]


def test_combinations_in_hydras_order() -> None:
    overrides, _ = parse(["a=1,2", "b=x", "c=3,4"])
    chosen = [[value for _, value in pairs] for pairs in combinations(overrides)]
    assert chosen == [[1, "x", 3], [1, "x", 4], [2, "x", 3], [2, "x", 4]]
    assert combinations([]) == [[]]


def test_all_faults_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse(["seed", "~domain", "seed=1", "seed=2", "domain=glob(*)", "a@b=1"])
    wrong = {problem.path: problem.wrong for problem in error.value.problems}
    assert wrong == {
        "seed": "not an override (missing EQUAL at '<EOF>')",
        "~domain": "a value can't be deleted",
        "seed=2": "the key is given twice",
        "domain=glob(*)": "glob(…) is not supported: write the names out, a,b,c",
        "a@b=1": "a package (`@`) means nothing here",
    }


WRONG = {
    "specialist domain=srot": """
        override 'domain=srot': domain = 'srot': there is no such option of conf/domain
            allowed: reverse, sort
            did you mean: sort
    """,
    "specialist domain=srot method.lr=abc": """
        override 'domain=srot': domain = 'srot': there is no such option of conf/domain
            allowed: reverse, sort
            did you mean: sort
    """,
    "specialist domain=sort method.lr=abc": f"""
        override 'method.lr=abc': method.lr = 'abc': unknown key
            allowed: {keys(Grpo)}
            did you mean: optimizer.lr
            used by: specialist sort-grpo
    """,
    "specialist domain=sort method.optimzer.lr=1e-4": f"""
        override 'method.optimzer.lr=1e-4': method.optimzer: unknown key
            allowed: {keys(Grpo)}
            did you mean: optimizer
            used by: specialist sort-grpo
    """,
    "specialist -m domain=sort method.optimzer.lr=1e-4,1e-3": f"""
        override 'method.optimzer.lr=1e-4,1e-3': method.optimzer: unknown key
            allowed: {keys(Grpo)}
            did you mean: optimizer
            used by: specialist sort-grpo
    """,
    "specialist domain=sort method.optimizer.lr=abc method.group=1.5": """
        override 'method.group=1.5': method.group = 1.5: wrong type: it is a number
            allowed: a whole number
            used by: specialist sort-grpo
        override 'method.optimizer.lr=abc': method.optimizer.lr = 'abc': wrong type: it is text
            allowed: a number
            used by: specialist sort-grpo
    """,
    "specialist domain=sort method.optimizer.lr=nan": """
        override 'method.optimizer.lr=nan': method.optimizer.lr = nan: not a finite number
            used by: specialist sort-grpo
    """,
    "specialist domain=sort seed=-1": """
        override 'seed=-1': specialists.sort-grpo.seed = -1: out of range
            allowed: at least 0
    """,
    "specialist domain=sort base=tyni": """
        override 'base=tyni': specialists.sort-grpo.base = 'tyni': no model of this name is declared
            allowed: mixed, opd, reverse-grpo, sort-grpo, soup, tiny
            did you mean: tiny
    """,
    "specialist domain=sort method=soup": """
        override 'method=soup': specialists.sort-soup.method = 'soup': a student's method, which makes no specialist
            allowed: grpo, grpo-gentle
            used by: specialist sort-soup
    """,
    "specialist domain=sort sampler=troch": """
        override 'sampler=troch': sampler = 'troch': there is no such option of conf/sampler
            allowed: torch
            did you mean: torch
            used by: specialist sort-grpo, specialist reverse-grpo, student opd, student soup and 7 more
    """,
    "specialist domain=sort domain.window.response=99": """
        conf/domain/sort.yaml:7, override 'domain.window.response=99': domain.window = {prompt: 16, response: 99}: prompt and response together (115 tokens) don't fit the base's context
            allowed: at most 48 together
            used by: specialist sort-grpo
    """,
    "specialist domain=sort student=opd": """
        command line: student=opd: unknown key of the stage specialist
            allowed: base, domain, method, effort, seed, name, sampler, trainer, domain.…, method.…, sampler.…, trainer.…
    """,
    "specialist domain=sort evaluation.samples=3": """
        command line: evaluation.samples=3: unknown key of the stage specialist
            allowed: base, domain, method, effort, seed, name, sampler, trainer, domain.…, method.…, sampler.…, trainer.…
    """,
    "specialist domain=sort,reverse": """
        command line: domain=sort,reverse: several values are a sweep: add -m
    """,
    "specialist domain=sort hydra/launcher=joblib": """
        command line: hydra/launcher=joblib: a setting of Hydra's is a sweep's: add -m
    """,
    "specialist domain=sort objective=flops": """
        command line: objective=flops: only a sweep has an objective: add -m
    """,
    "specialist": """
        command line: specialist: several are declared: say domain=…, or name=MODEL
            allowed: sort-grpo, reverse-grpo
    """,
    "specialist domain=sort method": """
        command line: method: not an override (missing EQUAL at '<EOF>')
            allowed: KEY=VALUE
    """,
    "specialist -m domain=sort method.optimizer.lr=interval(1e-4,1e-2)": """
        command line: method.optimizer.lr=interval(1e-4,1e-2): an interval needs an optimiser: add hydra/sweeper=optuna
    """,
    "specialist -m domain=sort hydra.sweep.dir=elsewhere": """
        command line: hydra.sweep.dir=elsewhere: not to be set: the folder is build/runs/sweeps
    """,
    "specialist -m domain=sort objective=flops,wall_seconds": """
        command line: objective=flops,wall_seconds: a sweep has one objective
    """,
    "specialist -m domain=sort method.optimizer.lr=1e-4,0,-1": """
        override 'method.optimizer.lr=1e-4,0,-1': method.optimizer.lr = 0: out of range
            allowed: more than 0.0
            used by: specialist sort-grpo
        override 'method.optimizer.lr=1e-4,0,-1': method.optimizer.lr = -1: out of range
            allowed: more than 0.0
            used by: specialist sort-grpo
    """,
    "student method=opd teachers=[sort-grpo,srot-grpo]": """
        override 'teachers=[sort-grpo,srot-grpo]': students.opd.teachers[1] = 'srot-grpo': no model of this name is declared
            allowed: mixed, opd, reverse-grpo, sort-grpo, soup, tiny
            did you mean: sort-grpo
    """,
    "evaluate": """
        command line: evaluate: which one? say model=NAME
    """,
    "evaluate model=odp": """
        override 'model=odp': model = 'odp': there is none of this name
            allowed: tiny, sort-grpo, reverse-grpo, opd, soup, mixed
            did you mean: opd
    """,
    "evaluate model=opd evaluation.ks=[1,8]": """
        override 'evaluation.ks=[1,8]': evaluation.ks = [1, 8]: `ks` asks for pass@8, which needs 8 `samples` (there are 4)
            used by: evaluate tiny, evaluate sort-grpo, evaluate reverse-grpo, evaluate opd and 2 more
    """,
    "data domain=sort domain.splits.train=0": """
        override 'domain.splits.train=0': domain.splits.train = 0: out of range
            allowed: at least 1
            used by: domain sort
    """,
    "base base.steps=0": """
        override 'base.steps=0': base.steps = 0: out of range
            allowed: at least 1
            used by: base tiny
    """,
}


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line(line: str, sample: Path, command: Command) -> None:
    said = command(*line.split())
    message = dedent(WRONG[line]).strip("\n")
    count = sum(not one.startswith(" ") for one in message.splitlines())
    typed = message.startswith(("override", "command line"))
    where = "on the command line" if typed else "in the configuration"
    counted = f"\n\n{count} problem{'s' if count > 1 else ''} {where}." if count > 1 or not typed else ""
    assert said.err == f"{message}{counted}\n"
    assert (said.status, said.out) == (2, "")
    assert not (sample / "build").exists()
