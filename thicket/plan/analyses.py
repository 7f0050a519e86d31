"""The command analyze: a measurement on any models, declared or not, in a project or in an empty folder."""

import re
from pathlib import Path
from typing import Any

from thicket import ranks
from thicket.config.checks import wrong_count
from thicket.config.compose import Composer
from thicket.config.domain import Domain
from thicket.config.graph import Graph
from thicket.config.layers import Layered, Path_, expanded
from thicket.config.overrides import COMMAND_LINE, parse
from thicket.config.params import BaseNode, Params
from thicket.config.parts import AnalyzeParts
from thicket.config.places import DATA, PARAMS
from thicket.config.problems import ConfigError, Problem, nearest, shown
from thicket.config.project import Project
from thicket.config.stages import AnalysedModel, AnalyzeStage, DataStage
from thicket.config.validate import validate
from thicket.plan.inputs import check_models
from thicket.plan.pipeline import hashed, resolve
from thicket.stages.launch import run_one
from thicket.stages.run import in_pipeline, made_before, on_its_own

MODEL_KEY = r"models?(_[a-z])?"
"""`model`, `model_a`, `model_b`, …, or `models` for a list."""
OWN = ("domain", "domains", "seed")
DOMAIN = "domain."
GROUPS = ("analysis", "domain", "sampler", "trainer", "evaluation")


def run(root: Path, name: str, texts: list[str]) -> int:
    """Runs an analysis and says where its files are. Raises: ConfigError."""
    project = _project(root)
    stage, data = _declared(project, name) if _is_declared(project, name, texts) else _stage(project, name, texts)
    check_models(root, [one.name for one in stage.models if not one.source])
    for one in data:
        if not (root / DATA / one.name).is_dir() and (status := run_one(root, one, in_pipeline(root, one))):
            return status
    targets = on_its_own(root, stage)
    before = made_before(stage, targets)
    status = 0 if before else run_one(root, stage, targets)
    if status == 0 and ranks.speaks():
        print(f"analyze {stage.name}: {targets.artifact.relative_to(root)}{' (made before)' if before else ''}")
    return status


def _project(root: Path) -> Project:
    """The project of the folder; without a params.yaml one that declares nothing."""
    project = Project(root)
    if (root / PARAMS).is_file():
        return project
    nothing = Params(experiment="none", domains=["none"], bases={"none": BaseNode(base="folder")})
    return project.with_params(Layered().merge(nothing.model_dump(), lambda _: PARAMS))


def _is_declared(project: Project, name: str, texts: list[str]) -> bool:
    return not texts and name in project.sound_params()[0].analyses


def _declared(project: Project, name: str) -> tuple[AnalyzeStage, list[DataStage]]:
    stages: list[Any] = [made.stage for made in resolve(project)]
    (stage,) = (one for one in stages if isinstance(one, AnalyzeStage) and one.name == name)
    asked = {domain.name for domain in stage.domains}
    return stage, [one for one in stages if isinstance(one, DataStage) and one.name in asked]


def _stage(project: Project, option: str, texts: list[str]) -> tuple[AnalyzeStage, list[DataStage]]:
    """The stage that a command line asks for, and the data that it reads. Raises: ConfigError."""
    own, values = _sorted(texts)
    params, _ = project.sound_params()
    composer = Composer(project, params)
    parts = _parts(composer, option, values)
    models = _models(own, list(Graph(params, project.params_layers).nodes))
    names = _listed(own, "domain")
    if not names:
        known = ", ".join(composer.library.options("domain"))
        raise ConfigError([Problem(COMMAND_LINE, "domain", "", "which items? say domain=NAME, or domains=[…]", known)])
    domains = [_domain(composer, name, values) for name in names]
    _check_data(project, composer, domains)
    if wrong := wrong_count(option, parts.analysis, len(models)):
        raise ConfigError([Problem(COMMAND_LINE, "models", shown([one.source or one.name for one in models]), wrong)])
    seed = own.get("seed", params.seed)
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError([Problem(COMMAND_LINE, "seed", shown(seed), "not a seed", "a whole number from 0 on")])
    stage = AnalyzeStage(
        name=option.replace("_", "-").replace("/", "-"),
        seed=seed,
        analysis=parts.analysis,
        models=models,
        domains=[domain.scored_part() for domain in domains],
        evaluation=parts.evaluation,
        sampler=parts.sampler,
        trainer=parts.trainer,
    )
    data = [DataStage(name=domain.name, seed=params.seed, domain=domain.data_part()) for domain in domains]
    return hashed(stage), [hashed(one) for one in data]


def _sorted(texts: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the command line says of models, domains and the seed, and the values of groups. Raises: ConfigError."""
    overrides, settings = parse(texts)
    problems = [Problem(COMMAND_LINE, text, "", "a setting of Hydra's is a sweep's") for text in settings]
    own, values = dict[str, Any](), dict[str, Any]()
    for override in overrides:
        group, _, rest = override.key.partition(".")
        if override.swept:
            problems.append(Problem(COMMAND_LINE, override.text, "", "several values: an analysis is no sweep"))
        elif re.fullmatch(MODEL_KEY, override.key) or override.key in OWN:
            own[override.key] = override.values[0]
        elif group in GROUPS and rest:
            values[override.key] = override.values[0]
        else:
            allowed = ["model_a", "model_b", "models", *OWN, *(f"{one}.…" for one in GROUPS)]
            close = nearest(override.key, allowed)
            problems.append(Problem(COMMAND_LINE, override.text, "", "unknown key", ", ".join(allowed), close))
    if problems:
        raise ConfigError(problems)
    return own, values


def _parts(composer: Composer, option: str, values: dict[str, Any]) -> AnalyzeParts:
    unknown = composer.library.unknown("analysis", option, COMMAND_LINE, "analysis")
    if unknown:
        raise ConfigError(unknown)
    choices = {"analysis": (option, ("analysis",)), **composer.shared("sampler", "trainer", "evaluation")}
    layers = composer.parts(choices, f"analyze {option}", {}, ())
    own = expanded({key: value for key, value in values.items() if not key.startswith(DOMAIN)}, (), _by_command)
    return validate(AnalyzeParts, layers.merge(own.value, own.origin), f"analyze {option}")


def _domain(composer: Composer, name: str, values: dict[str, Any]) -> Domain:
    unknown = composer.library.unknown("domain", name, COMMAND_LINE, "domain")
    if unknown:
        raise ConfigError(unknown)
    layers = composer.option("domain", (name, ("domain",)), "analyze")
    own = {key.removeprefix(DOMAIN): value for key, value in values.items() if key.startswith(DOMAIN)}
    over = expanded(own, (), _by_command)
    return validate(Domain, layers.merge(over.value, over.origin), f"domain {name}", prefix=("domain",))


def _check_data(project: Project, composer: Composer, domains: list[Domain]) -> None:
    """Items that are there were made as the project says: others would take their place. Raises: ConfigError."""
    for domain in domains:
        there = (project.root / DATA / domain.name).is_dir()
        if there and domain.data_part() != _domain(composer, domain.name, {}).data_part():
            wrong = (
                f"its items are there already, made otherwise ({DATA / domain.name}): declare a domain in conf/domain"
            )
            raise ConfigError([Problem(COMMAND_LINE, "domain", shown(domain.name), wrong)])


def _by_command(_: Path_) -> str:
    return COMMAND_LINE


def _models(own: dict[str, Any], declared: list[str]) -> list[AnalysedModel]:
    """Names of the project's models, folders, or ids of the hub. Raises: ConfigError."""
    given = [own[key] for key in sorted(own) if re.fullmatch(MODEL_KEY, key) and key != "models"]
    given += _listed(own, "models") if "models" in own else []
    found, problems = [], []
    for text in map(str, given):
        if text in declared:
            found.append(AnalysedModel(name=text))
        elif "/" in text:
            found.append(AnalysedModel(name=_named(text, {*declared, *(one.name for one in found)}), source=text))
        else:
            wrong = "no model of the project, no folder, and no id of the hub (OWNER/NAME)"
            problems.append(
                Problem(COMMAND_LINE, "model", shown(text), wrong, ", ".join(declared), nearest(text, declared))
            )
    names = [one.source or one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    problems += [Problem(COMMAND_LINE, "model", shown(name), "stands here a second time") for name in twice]
    if problems:
        raise ConfigError(problems)
    return found


def _named(source: str, taken: set[str]) -> str:
    """A name for a model from elsewhere: the end of its path or id, told from others of that end by a number."""
    plain = re.sub(r"[^a-z0-9]+", "-", source.partition("@")[0].rstrip("/").rpartition("/")[2].lower()).strip("-")
    names = [plain or "model", *(f"{plain or 'model'}-{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


def _listed(own: dict[str, Any], key: str) -> list[Any]:
    """The values of a key and of its plural."""
    found: list[Any] = []
    for name in dict.fromkeys((key, f"{key.removesuffix('s')}s")):
        value = own.get(name, [])
        found += value if isinstance(value, list) else [value]
    return found
