"""Which stages an edit of thicket's code touches, and that no module that a stage may run is forgotten."""

import ast
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thicket.config.analysis import Analysis
from thicket.config.base import Base
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.project import Project
from thicket.config.run import Sampler
from thicket.config.schema import members, tags
from thicket.config.source import Source
from thicket.config.stages import (
    AnalyzeStage,
    BaseStage,
    ClaimsStage,
    DataStage,
    EvaluateStage,
    ReportStage,
    SpecialistStage,
    Stage,
    StudentStage,
)
from thicket.config.verifier import Verifier
from thicket.plan import source
from thicket.plan.code import TRACELESS, modules
from thicket.plan.pipeline import resolve
from thicket.plan.source import ROOT, closure, modules_in, path_of


def some(types: Any) -> Iterator[Any]:
    """One member of each type of a union, without its values."""
    for model in members(types):
        for tag in tags(model):
            yield model.model_construct(type=tag)


def variants() -> Iterator[Stage]:
    """A stage of every kind and type, as far as the choice of code goes."""
    judged = [SimpleNamespace(verifier=verifier) for verifier in some(Verifier)]
    for origin in some(Source):
        yield DataStage.model_construct(domain=SimpleNamespace(source=origin))
    for base in some(Base):
        yield BaseStage.model_construct(base=base)
    for method, domain, sampler in product(some(SpecialistMethod), judged, some(Sampler)):
        yield SpecialistStage.model_construct(method=method, domain=domain, sampler=sampler)
    for method, domain, sampler in product(some(StudentMethod), judged, some(Sampler)):
        yield StudentStage.model_construct(method=method, domains=[domain], sampler=sampler)
    for domain, sampler in product(judged, some(Sampler)):
        yield EvaluateStage.model_construct(domains=[domain], sampler=sampler)
    for analysis, domain in product(some(Analysis), judged):
        yield AnalyzeStage.model_construct(analysis=analysis, domains=[domain])
    yield ReportStage.model_construct()
    yield ClaimsStage.model_construct()


VARIANTS = list(variants())
RUN = set().union(*map(modules, VARIANTS))


def inner_imports(name: str) -> set[str]:
    """The modules of thicket that a module imports when one of its functions runs."""
    tree = ast.parse(path_of(name).read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    statements = [node for function in functions for node in ast.walk(function) if isinstance(node, ast.stmt)]
    return {other for node in statements for other in modules_in(node) if not other.startswith("thicket.config.")}


def test_an_import_inside_a_function_is_a_choice_that_some_stage_makes() -> None:
    """Where a stage's module imports another inside a function, there is a stage that has both."""
    wanted = {(name, other) for name in RUN for other in inner_imports(name)}
    made = {(name, other) for stage in VARIANTS for name, other in product(modules(stage), repeat=2)}
    assert {(name, other) for name, other in wanted - made if other not in TRACELESS} == set()


def test_all_that_a_stage_may_run_counts_but_for_what_leaves_no_trace() -> None:
    waiting, reached = {"thicket.stages.run"}, set[str]()
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting |= (closure([name]) | inner_imports(name)) - reached
    assert reached - RUN == set(TRACELESS)


@pytest.mark.parametrize("package", ["methods", "domains/sources", "domains/verifiers", "reporting/pictures"])
def test_modules_that_are_imported_by_name(package: str) -> None:
    """`import_module` finds them by their type: one type, one module."""
    names = {f"thicket.{package.replace('/', '.')}.{path.stem}" for path in (ROOT / package).glob("[!_]*.py")}
    assert names - RUN == set()


# -- what an edit touches ----------------------------------------------------------------------------------------------

Edit = Callable[[str, str], set[str]]


@pytest.fixture
def edited(sample: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """A function that adds a line to a module's source, and returns the stages whose config changes."""
    read = source._text

    def edit(module: str, line: str) -> set[str]:
        def anew(cached: Any) -> Any:
            """What is known of the other modules holds still."""
            return lambda name: (cached.__wrapped__ if name == module else cached)(name)

        before = {made.id: made.stage for made in resolve(Project(sample))}
        monkeypatch.setattr(source, "_text", lambda name: read(name) + (f"\n{line}\n" if name == module else ""))
        for name in ("_read", "imported"):
            monkeypatch.setattr(source, name, anew(getattr(source, name)))
        after = {made.id: made.stage for made in resolve(Project(sample))}
        return {name for name in before if before[name] != after[name]}

    return edit


TRAINED = {"specialist-sort-grpo", "specialist-reverse-grpo", "student-opd", "student-mixed"}
MODELS = {"base-tiny", *TRAINED, "student-soup"}
EVALUATED = {f"evaluate-{name.partition('-')[2]}" for name in MODELS}
DATA = {"data-sort", "data-reverse"}


@pytest.mark.parametrize(
    ("module", "touched"),
    [
        ("thicket.methods.opd", {"student-opd"}),
        ("thicket.ops.divergence", TRAINED),
        ("thicket.methods.grpo", TRAINED - {"student-opd"}),
        ("thicket.methods.mixed", {"student-mixed"}),
        ("thicket.stages.merge", {"student-soup"}),
        ("thicket.stages.choice", set()),
        ("thicket.methods.soup", {"student-soup"}),
        ("thicket.stages.student", {"student-opd", "student-mixed", "student-soup"}),
        ("thicket.training.policy", TRAINED),
        ("thicket.sampling.decode", TRAINED | EVALUATED),
        ("thicket.training.pretrain", {"base-tiny"}),
        ("thicket.domains.corpus", {"base-tiny"}),
        ("thicket.domains.sources.procedural", {"base-tiny", *DATA}),
        ("thicket.domains.verifiers.exact", TRAINED | EVALUATED),
        ("thicket.evaluation.tables", EVALUATED),
        ("thicket.stages.data", DATA),
        ("thicket.stages.provenance", MODELS),
        ("thicket.reporting.report", {"report"}),
        ("thicket.progress", set()),
        ("thicket.models.gguf", set()),
        ("thicket.plan.estimate", set()),
        ("thicket.cli", set()),
    ],
)
def test_an_edit_touches_what_uses_it(edited: Edit, module: str, touched: set[str]) -> None:
    assert edited(module, "ADDED = 1") == touched


@pytest.mark.parametrize("line", ["# a comment", '"""A text that nobody reads."""', "   "])
def test_a_comment_touches_nothing(edited: Edit, line: str) -> None:
    assert edited("thicket.methods.opd", line) == set()
