"""Checks across fields and across models, beyond what one part of the schema can see."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from thicket.config.analysis import Asked
from thicket.config.base import Base, PretrainedBase
from thicket.config.distillation import Opd
from thicket.config.domain import Domain
from thicket.config.graph import Graph
from thicket.config.imitation import OwnSamples, Rft
from thicket.config.layers import Layered, Path_
from thicket.config.merging import Ensemble, Merging
from thicket.config.method import SpecialistMethod, StudentMethod
from thicket.config.params import AnalysisNode, StudentNode
from thicket.config.policy_gradient import Mixed
from thicket.config.problems import Problem, shown
from thicket.config.run import Sampler, Trainer, VllmSampling
from thicket.config.search import WEIGHTLESS, BestPrompt, Member, Randopt, SelfConsistency
from thicket.config.source import ProceduralSource
from thicket.config.stages import Teacher

LongestQuestion = Callable[[ProceduralSource], int]
"""Characters of the longest question that a generated task can ask."""


def window_problems(
    user: str,
    domain: Domain,
    origin: Callable[[Path_], str],
    base: Base,
    longest: LongestQuestion,
    method: object = None,
) -> Iterator[Problem]:
    """Prompt and response fit the base's context; prompts of known length fit the window with all that goes around."""
    window = domain.window
    together = window.prompt + window.response
    if together > base.context:
        yield Problem(
            where=", ".join(dict.fromkeys(origin(("window", part)) for part in ("prompt", "response"))),
            path="domain.window",
            given=f"{{prompt: {window.prompt}, response: {window.response}}}",
            wrong=f"prompt and response together ({together} tokens) don't fit the base's context",
            allowed=f"at most {base.context} together",
            users=(user,),
        )
    source = domain.source
    if not isinstance(base, PretrainedBase) or not isinstance(source, ProceduralSource) or domain.prompt.shots:
        return
    # The character tokenizer: one token a character, and the begin-of-sequence token.
    around = [template.replace("{prompt}", "") for template in getattr(method, "templates", [])]
    asked = domain.prefix + domain.prompt.template.replace("{question}", " " * longest(source))
    tokens = 1 + len(asked) + max(map(len, around), default=0)
    if tokens > window.prompt:
        yield Problem(
            where=origin(("window", "prompt")),
            path="domain.window.prompt",
            given=str(window.prompt),
            wrong=f"the longest prompt has {tokens} tokens",
            allowed=f"at least {tokens}",
            users=(user,),
        )


def cache_problems(user: str, domain: Domain, method: object, layers: Layered) -> Iterator[Problem]:
    """The punished end of a window is a part of the window."""
    cache = getattr(method, "overlong_cache", 0)
    if cache > domain.window.response:
        yield Problem(
            where=layers.origin(("method", "overlong_cache")),
            path="method.overlong_cache",
            given=str(cache),
            wrong=f"longer than the responses that {domain.name} allows ({domain.window.response} tokens)",
            allowed=f"at most {domain.window.response}",
            users=(user,),
        )


def device_problems(user: str, sampler: Sampler, trainer: Trainer, layers: Layered) -> Iterator[Problem]:
    """Who writes can do so in several processes."""
    if isinstance(sampler, VllmSampling) and trainer.devices > 1:
        where, wrong = layers.origin(("trainer", "devices")), "the sampler vllm writes for a stage on one device"
        yield Problem(where, "trainer.devices", shown(trainer.devices), wrong, allowed="1", users=(user,))


def sampler_problems(
    user: str, sampler: Sampler, layers: Layered, method: object, answering: Iterable[Base | None] = ()
) -> Iterator[Problem]:
    """The sampler can write for the models of a stage; `answering`: what those go back to, as far as it is known."""
    if not isinstance(sampler, VllmSampling):
        return
    wrong = ""
    known = [base.architecture for base in answering if isinstance(base, PretrainedBase)]
    if isinstance(method, Ensemble):
        wrong = "the models of an ensemble choose each token together, and it writes for one at a time"
    elif any(architecture != known[0] for architecture in known):
        wrong = "models of two architectures answer in this stage, and it writes for one"
    if wrong:
        where = layers.origin(("sampler", "type"))
        yield Problem(where, "sampler.type", shown(sampler.type), wrong, allowed="torch", users=(user,))


def answers(method: object) -> bool:
    """Whether teachers write some of what a student learns from."""
    return isinstance(method, Rft) or (isinstance(method, Opd) and method.on_policy < 1)


def check_twice(graph: Graph, at: Path_, names: list[str]) -> None:
    """Nothing stands twice in a list."""
    for index, name in enumerate(names):
        if name in names[:index]:
            graph.problem((*at, index), name, "stands here a second time")


def check_start(graph: Graph, name: str, base: str, method: SpecialistMethod, of_base: object) -> None:
    """A method starts from what it can start from; `of_base` is the method of the model that it starts from."""
    at = graph.at(name, "base")
    if isinstance(method, Member) and not isinstance(of_base, Randopt):
        graph.problem(at, base, "not an ensemble: `member` takes the best member of a `randopt` specialist")
    elif isinstance(of_base, SelfConsistency | BestPrompt):
        graph.problem(at, base, f"a control without weights of its own: start from {graph.start_of(base)}")
    elif isinstance(of_base, Ensemble):
        graph.problem(at, base, "several models together, without weights of its own: start from one of them")
    elif isinstance(method, OwnSamples) and method.temperature == 0 and method.samples > _voices(of_base):
        graph.problem(at, base, _equal_samples(method, _voices(of_base)))
    elif isinstance(of_base, Randopt) and not isinstance(method, Member | Rft):
        wrong = "an ensemble, which is not one model: `member` and `rft` can start from it"
        graph.problem(at, base, wrong)


def _equal_samples(method: OwnSamples, voices: int) -> str:
    return (
        f"`samples` ({method.samples}) at temperature 0 are more than {voices}: greedy samples of one model are equal "
        "(each member of a `randopt` ensemble gives one)"
    )


def _voices(of_base: object) -> int:
    """Models that a start samples from."""
    return of_base.members if isinstance(of_base, Randopt) else 1


def check_whole(graph: Graph, name: str, methods: Mapping[str, object]) -> None:
    """A student's start is a model with weights of its own; a teacher may be an ensemble, where nothing is merged."""
    node, learns = graph.nodes[name], isinstance(methods.get(name), Opd | Rft)
    for at, other in graph.references(name):
        made_by = methods.get(other)
        teaches = isinstance(node, StudentNode) and other != node.base and learns and isinstance(made_by, Randopt)
        paid = isinstance(node, StudentNode) and other == node.budget_of
        if isinstance(made_by, WEIGHTLESS | Ensemble) and not teaches and not paid:
            able = " (`opd` and `rft` can learn from it)" if isinstance(made_by, Randopt) else ""
            graph.problem(at, other, f"has no weights of its own: nothing starts there, or is merged from it{able}")


def check_samples(graph: Graph, name: str, node: StudentNode, methods: Mapping[str, object]) -> None:
    """Greedy samples of a teacher are equal."""
    method = methods.get(name)
    for index, teacher in enumerate(node.teachers if isinstance(method, Rft) else ()):
        voices = _voices(methods.get(teacher.model))
        if isinstance(method, Rft) and method.temperature == 0 and method.samples > voices:
            graph.problem(graph.at(name, "teachers", index), teacher.model, _equal_samples(method, voices))


def check_student(
    graph: Graph, name: str, node: StudentNode, method: StudentMethod, teachers: list[Teacher], domains: list[str]
) -> None:
    """A student has what its method needs, and nothing that its method would ignore."""
    check_twice(graph, graph.at(name, "domains"), node.domains)
    if isinstance(method, Mixed):
        _check_mixed(graph, name, node)
        return
    if node.budget_of is not None:
        graph.problem(graph.at(name, "budget_of"), node.budget_of, "only mixed RL has a budget")
    if not teachers:
        graph.problem(graph.at(name, "teachers"), None, f"the method `{method.type}` needs at least one teacher")
    elif not any(teacher.weight > 0 for teacher in teachers):
        graph.problem(graph.at(name, "teachers"), None, "all weights are 0: nothing is learnt from anyone")
    elif isinstance(method, Ensemble):
        _check_ensemble(graph, name, node)
    elif isinstance(method, Merging):
        _check_merge(graph, name, node, method, domains)
    elif isinstance(method, Opd) and method.routing == "all":
        _check_everyone(graph, name, node, domains)
        _check_writers(graph, name, method, teachers, domains)
    else:
        _check_routes(graph, name, teachers, domains)


def _check_merge(graph: Graph, name: str, node: StudentNode, method: Merging, domains: list[str]) -> None:
    """A merge has domains where something is chosen on their selection items, and only there."""
    check_twice(graph, graph.at(name, "teachers"), [teacher.model for teacher in node.teachers])
    chooses = method.scored(len(node.teachers)) > 0
    if node.domains and not chooses:
        wrong = f"`{method.type}` trains nothing and has nothing to choose here: it uses no domain"
        graph.problem(graph.at(name, "domains"), node.domains, wrong)
    if chooses and not domains:
        wrong = f"`{method.type}` needs domains to choose on: its teachers are specialists of none"
        graph.problem(graph.at(name, "domains"), None, wrong)


def _check_ensemble(graph: Graph, name: str, node: StudentNode) -> None:
    """Its teachers answer, each once, whatever the domain."""
    check_twice(graph, graph.at(name, "teachers"), [teacher.model for teacher in node.teachers])
    if node.domains:
        graph.problem(graph.at(name, "domains"), node.domains, "`ensemble` trains nothing: it uses no domain")


def _check_everyone(graph: Graph, name: str, node: StudentNode, domains: list[str]) -> None:
    """Where every teacher judges everything, each stands once, and there is a domain."""
    check_twice(graph, graph.at(name, "teachers"), [teacher.model for teacher in node.teachers])
    if not domains:
        graph.problem(graph.at(name, "domains"), None, "which domains? no teacher is a specialist of one")


def _check_writers(graph: Graph, name: str, method: Opd, teachers: list[Teacher], domains: list[str]) -> None:
    """Where teachers answer some prompts, each domain has one that does."""
    own = {teacher.domain for teacher in teachers if teacher.weight > 0}
    for domain in sorted(set(domains) - own if method.on_policy < 1 else ()):
        wrong = f"with `on_policy` {method.on_policy} a teacher answers some of its prompts, and none is its own"
        graph.problem(graph.at(name, "domains"), domain, wrong, {one for one in own if one})


def _check_routes(graph: Graph, name: str, teachers: list[Teacher], domains: list[str]) -> None:
    """Every domain has a teacher that judges it, and every teacher a domain."""
    for index, teacher in enumerate(teachers):
        at = graph.at(name, "teachers", index)
        if teacher.domain is None:
            wrong = "not a specialist: say which domain it judges, {model: …, domain: …}"
            graph.problem(at, teacher.name, wrong)
        elif (teacher.name, teacher.domain) in [(t.name, t.domain) for t in teachers[:index]]:
            graph.problem(at, teacher.name, f"judges {teacher.domain} already")
    judged = {teacher.domain for teacher in teachers if teacher.weight > 0 and teacher.domain}
    for domain in sorted(set(domains) - judged):
        wrong = "no teacher with a weight above 0 judges this domain"
        graph.problem(graph.at(name, "domains"), domain, wrong, judged)
    for domain in sorted(judged - set(domains)):
        graph.problem(graph.at(name, "domains"), domains, f"leaves out {domain}, which a teacher judges")


def _check_mixed(graph: Graph, name: str, node: StudentNode) -> None:
    if node.teachers:
        graph.problem(graph.at(name, "teachers"), None, "mixed RL has no teachers: it takes `domains` and `budget_of`")
    if not node.domains:
        graph.problem(graph.at(name, "domains"), None, "mixed RL needs the domains that it trains on")
    taught = {other: student for other, student in graph.params.students.items() if student.teachers}
    if node.budget_of not in taught:
        wrong = "mixed RL needs the student with teachers whose cost it may spend"
        graph.problem(graph.at(name, "budget_of"), node.budget_of, wrong, taught)
    elif taught[node.budget_of].base != node.base:
        graph.problem(
            graph.at(name, "budget_of"), node.budget_of, "starts from another base: the costs can't be compared"
        )


def wrong_count(name: str, analysis: Asked, count: int) -> str:
    """What is wrong with a number of models; empty: nothing."""
    least, most = analysis.fewest_models, analysis.most_models
    if least <= count and (most is None or count <= most):
        return ""
    wanted = str(least) if least == most else f"{least} to {most}" if most else f"at least {least}"
    return f"`{name}` takes {wanted} model{'' if wanted == '1' else 's'}, not {count}"


def check_analysis(graph: Graph, name: str, node: AnalysisNode, analysis: Asked, methods: Mapping[str, object]) -> None:
    """An analysis has as many models as it takes, each declared and with weights of its own."""
    at = ("analyses", name, "models")
    if wrong := wrong_count(node.analysis, analysis, len(node.models)):
        graph.problem(at, node.models, wrong)
    check_twice(graph, at, node.models)
    check_twice(graph, ("analyses", name, "domains"), node.domains)
    for index, model in enumerate(node.models):
        if model not in graph.nodes:
            graph.unknown((*at, index), model)
        elif isinstance(methods.get(model), WEIGHTLESS | Ensemble):
            graph.problem((*at, index), model, "has no weights of its own: of an ensemble, look at a `member`")


def check_architectures(graph: Graph, name: str, method: object, bases: dict[str, Base]) -> None:
    """What is merged by weights has the student's tensors, as far as the config can tell (loading tells the rest)."""
    node, own = graph.nodes[name], bases.get(graph.root(name))
    if not isinstance(method, Merging) or not isinstance(node, StudentNode) or not isinstance(own, PretrainedBase):
        return
    for index, teacher in enumerate(node.teachers):
        root = graph.root(teacher.model)
        other = bases.get(root)
        if isinstance(other, PretrainedBase) and other.architecture != own.architecture:
            wrong = f"goes back to the base {root}, whose architecture is not the student's: their weights don't match"
            graph.problem(graph.at(name, "teachers", index), teacher.model, wrong)


def check_vocabularies(graph: Graph, name: str, bases: dict[str, Base]) -> None:
    """Teachers share the student's tokenizer, as far as the config can tell (loading tells the rest)."""
    node, own = graph.nodes[name], bases.get(graph.root(name))
    for index, teacher in enumerate(node.teachers if isinstance(node, StudentNode) else ()):
        root = graph.root(teacher.model)
        other = bases.get(root)
        if own and other and isinstance(own, PretrainedBase) != isinstance(other, PretrainedBase):
            wrong = f"goes back to the base {root}, whose tokenizer is not the student's"
            graph.problem(graph.at(name, "teachers", index), teacher.model, wrong)
