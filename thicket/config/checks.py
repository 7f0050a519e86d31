"""Checks across fields and across models, beyond what one part of the schema can see."""

from collections.abc import Callable, Iterator

from thicket.config.base import Base, PretrainedBase
from thicket.config.domain import Domain, ProceduralSource
from thicket.config.graph import Graph
from thicket.config.layers import Layered
from thicket.config.method import StudentMethod
from thicket.config.params import StudentNode
from thicket.config.problems import Problem
from thicket.config.stages import Teacher

LongestQuestion = Callable[[ProceduralSource], int]
"""Characters of the longest question that a generated task can ask."""


def window_problems(
    user: str, domain: Domain, layers: Layered, base: Base, longest: LongestQuestion
) -> Iterator[Problem]:
    """Prompt and response fit the base's context; prompts of known length fit the window."""
    window = domain.window
    if window.prompt + window.response > base.context:
        yield Problem(
            where=layers.origin(("window",)),
            path="domain.window",
            given=f"{{prompt: {window.prompt}, response: {window.response}}}",
            wrong=f"prompt and response together ({window.prompt + window.response} tokens) don't fit the base's context",
            allowed=f"at most {base.context} together",
            users=(user,),
        )
    source = domain.source
    if not isinstance(base, PretrainedBase) or not isinstance(source, ProceduralSource) or domain.prompt.shots:
        return
    # The character tokenizer: one token a character, and the begin-of-sequence token.
    tokens = 1 + len(domain.prompt.template.replace("{question}", "")) + longest(source)
    if tokens > window.prompt:
        yield Problem(
            where=layers.origin(("window", "prompt")),
            path="domain.window.prompt",
            given=str(window.prompt),
            wrong=f"the longest prompt has {tokens} tokens",
            allowed=f"at least {tokens}",
            users=(user,),
        )


def check_student(
    graph: Graph, name: str, node: StudentNode, method: StudentMethod, teachers: list[Teacher], domains: list[str]
) -> None:
    """A student has what its method needs, and nothing that its method would ignore."""
    place = ("students", name)
    if method.type == "mixed":
        _check_mixed(graph, name, node)
        return
    if node.budget_of is not None:
        graph.problem((*place, "budget_of"), node.budget_of, "only mixed RL has a budget")
    if not node.teachers:
        graph.problem((*place, "teachers"), None, f"the method `{method.type}` needs at least one teacher")
    elif not any(teacher.weight > 0 for teacher in teachers):
        graph.problem((*place, "teachers"), None, "all weights are 0: nothing is learnt from anyone")
    if method.type == "opd":
        judged = {teacher.domain for teacher in teachers if teacher.weight > 0}
        for domain in sorted(set(domains) - judged):
            graph.problem((*place, "domains"), domain, "no teacher with a weight above 0 judges this domain", judged)
        for domain in sorted(judged - set(domains)):
            graph.problem((*place, "domains"), domains, f"leaves out {domain}, which a teacher judges")


def _check_mixed(graph: Graph, name: str, node: StudentNode) -> None:
    place = ("students", name)
    if node.teachers:
        graph.problem((*place, "teachers"), None, "mixed RL has no teachers: it takes `domains` and `budget_of`")
    if not node.domains:
        graph.problem((*place, "domains"), None, "mixed RL needs the domains that it trains on")
    taught = {other: student for other, student in graph.params.students.items() if student.teachers}
    if node.budget_of not in taught:
        wrong = "mixed RL needs the student with teachers whose cost it may spend"
        graph.problem((*place, "budget_of"), node.budget_of, wrong, taught)
    elif taught[node.budget_of].base != node.base:
        graph.problem((*place, "budget_of"), node.budget_of, "starts from another base: the costs can't be compared")


def check_vocabularies(graph: Graph, name: str, bases: dict[str, Base]) -> None:
    """Teachers share the student's tokenizer, as far as the config can tell (loading tells the rest)."""
    own = bases.get(graph.root(name))
    for index, teacher in enumerate(graph.params.students[name].teachers):
        root = graph.root(teacher.model)
        other = bases.get(root)
        if own and other and isinstance(own, PretrainedBase) != isinstance(other, PretrainedBase):
            wrong = f"goes back to the base {root}, whose tokenizer is not the student's"
            graph.problem(("students", name, "teachers", index), teacher.model, wrong)
