"""The command line. Each command imports what it needs when it runs, so that help and checks answer at once."""

import argparse
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from thicket import arguments as looking

STAGES = {
    "data": "make a domain's items by themselves, or a sweep of several",
    "base": "make a base by itself, or a sweep of several",
    "specialist": "train a specialist by itself, or a sweep of several",
    "student": "make a student by itself, or a sweep of several",
    "evaluate": "score a model by itself, or a sweep of several",
    "report": "write the report by itself",
}
"""Stage → what it does when a person starts it by itself."""
EPILOG = """\
`thicket` alone says what can be done next, `thicket COMMAND --help` has examples.
The pipeline is DVC's: `dvc repro` builds what has changed (`thicket repro`: stages side by side), `dvc metrics diff`
and `thicket compare REV:MODEL MODEL` compare commits.
The commands from data to report run a stage by itself, in build/runs/: `thicket specialist method=dapo domain=sort`,
with -m a sweep over values: `method=dapo,grpo`; key=value are overrides in Hydra's grammar.
"""


class Parser(argparse.ArgumentParser):
    """With the nearest match for a command or choice that there is none of, and for a stage the keys that it takes."""

    stage = ""
    commands: Mapping[str, argparse.ArgumentParser] = {}

    def format_help(self) -> str:
        if self.stage:
            from thicket.plan.keys import keys_text

            self.epilog = keys_text(self.stage)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        found = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if found:
            from thicket.config.problems import nearest

            close = nearest(found[1], [word.strip("' ") for word in found[2].split(",")])
            message += f"; did you mean {close}?" if close else ""
        super().error(message)


def parser() -> Parser:
    """All commands."""
    top = Parser(
        prog="thicket",
        description="Declarative specialist-then-distill post-training of language models.",
        epilog=EPILOG,
        formatter_class=looking.Help,
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND")
    top.commands = commands.choices
    _add_pipeline(commands)
    looking.add(commands)
    _add_config(commands)
    _add_models(commands)
    _add_stages(commands)
    _add_for_dvc(commands)
    return top


def _add_pipeline(commands: Any) -> None:
    """What declares, checks, plans and builds."""
    told = "list the experiments, or make one the project's"
    experiment = looking.command(commands, "experiment", told, "", "use first")
    kinds = experiment.add_subparsers(dest="action", metavar="ACTION")
    looking.command(kinds, "list", "the experiments of conf/experiment, a star at the project's (default)")
    use = looking.command(kinds, "use", "write params.yaml and dvc.yaml from an experiment", "first")
    name = use.add_argument("name", metavar="EXPERIMENT", help="one of those that `thicket experiment` lists")
    looking.completes(name, looking.experiments)
    use.add_argument("--force", action="store_true", help="overwrite a params.yaml that was edited by hand")
    told = "validate everything that the pipeline would run, before anything runs"
    check = looking.command(commands, "check", told, "", "smollm2")
    what = "of conf/experiment, without switching to it (default: what params.yaml declares)"
    looking.completes(check.add_argument("experiment", nargs="?", metavar="EXPERIMENT", help=what), looking.experiments)
    told = "write dvc.yaml from params.yaml, with estimates of time, memory and disk"
    looking.command(commands, "plan", told)
    told = "build what has changed, as `dvc repro` does, with stages side by side"
    repro = looking.command(commands, "repro", told, "", "opd --jobs 2")
    what = "a model, or a stage as in dvc.yaml: it and what it needs (default: all)"
    looking.completes(repro.add_argument("stage", nargs="*", metavar="MODEL", help=what), looking.stages_and_models)
    what = "stages side by side (default: one a GPU, or for two cores)"
    repro.add_argument("--jobs", type=looking.at_least_one, metavar="N", help=what)
    repro.add_argument("--pull", action="store_true", help="take what is missing from the DVC remote")


def _add_config(commands: Any) -> None:
    config = looking.command(commands, "config", "look at the values that stages run with")
    kinds = config.add_subparsers(dest="action", metavar="{show,diff,schema,pages}", required=True)
    told = "a stage's resolved values, each with the file and line that set it"
    show = looking.command(kinds, "show", told, "", "sort-grpo", "evaluate-opd")
    what = "a model, or a stage as in dvc.yaml (default: the stages' names are listed)"
    looking.completes(show.add_argument("stage", nargs="?", metavar="MODEL", help=what), looking.stages_and_models)
    told = "two models, two stages or two experiments, side by side"
    diff = looking.command(kinds, "diff", told, "sort-grpo sort-dapo", "tiny smollm2")
    for side in ("left", "right"):
        named = diff.add_argument(side, metavar="A" if side == "left" else "B", help="a model, a stage, an experiment")
        looking.completes(named, looking.comparable)
    told = "a JSON Schema, with which editors check and complete a file"
    schema = looking.command(kinds, "schema", told, "> params.schema.json", "method > method.schema.json")
    what = "of params.yaml (default), or of the files of a folder of conf/: base, domain, method, …"
    looking.completes(
        schema.add_argument("kind", nargs="?", default="params", metavar="GROUP", help=what), looking.schemas
    )
    told = "write the pages of docs/ on params.yaml, methods, domains and analyses, of the docstrings"
    looking.command(kinds, "pages", told)


def _add_models(commands: Any) -> None:
    """What takes models apart and measures them."""
    model = looking.command(commands, "model", "work on a model that the pipeline has made")
    kinds = model.add_subparsers(dest="action", metavar="{materialize}", required=True)
    told = "write the members of an ensemble as models of their own"
    materialize = looking.command(kinds, "materialize", told, "sort-randopt --member 1")
    what = "the ensemble: its name in params.yaml, or its folder (build/runs/…)"
    name = materialize.add_argument("name", metavar="MODEL", type=looking.name_or_folder, help=what)
    looking.completes(name, looking.models)
    materialize.add_argument("--member", type=int, metavar="K", help="just this one: 1 is the best (default: all)")
    what = "member K goes to FOLDER/K (default: build/members/MODEL)"
    materialize.add_argument("--out", type=looking.from_here, metavar="FOLDER", help=what)
    told = "measure something about models: divergence, barriers, density, …"
    analyze = looking.command(commands, "analyze", told, "divergence model_a=tiny model_b=opd domain=sort")
    what = "an option of conf/analysis, or an analysis that params.yaml declares"
    looking.completes(analyze.add_argument("analysis", metavar="ANALYSIS", help=what), looking.analyses)
    what = "model_a=… model_b=… (names, folders, ids of the hub), domain=…, seed=…, analysis.samples=…"
    analyze.add_argument("overrides", nargs="*", default=[], metavar="KEY=VALUE", help=what)


def _add_stages(commands: Any) -> None:
    for stage, does in STAGES.items():
        one: Any = looking.command(commands, stage, does)
        one.description = f"{one.description}\nWhat it makes lies in build/runs/; the pipeline stays as it is."
        one.stage = stage
        one.set_defaults(multirun=False, overrides=[])
        if stage != "report":
            one.add_argument("-m", "--multirun", action="store_true", help="sweep over comma-separated values")
            what = "an override in Hydra's grammar, of a key below"
            one.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help=what)


def _add_for_dvc(commands: Any) -> None:
    """What DVC calls."""
    told = "write the resolved configs, build/config/ (DVC runs this)"
    looking.command(commands, "compose", told)
    told = "run stages from their resolved configs, done or not (DVC runs this, with one)"
    run = looking.command(commands, "run", told, "build/config/data/sort.yaml build/config/models/tiny.yaml")
    what = "a file that `thicket compose` wrote; several run in turn, in one process"
    run.add_argument("config", type=Path, nargs="+", metavar="CONFIG", help=what)


def _folder_from_here(override: str) -> str:
    """`model_a=FOLDER` with the folder's whole path, before the command goes to the project's."""
    key, _, value = override.partition("=")
    return f"{key}={looking.folder_from_here(value)}" if key.startswith("model") else override


def _folders_from_here(override: str) -> str:
    """The same of `model=FOLDER,FOLDER`, patterns among them."""
    key, _, value = override.partition("=")
    return f"{key}={looking.folders_from_here(value)}" if key == "model" else override


def _say_whose_code(root: Path) -> None:
    """A note where the project's folder has a `thicket/` that is not the one that runs: clones share an environment."""
    running, own = Path(__file__).resolve().parent, root / "thicket"
    if not (own / Path(__file__).name).is_file() or own.resolve() == running:
        return
    from thicket.warm import OWNER

    if OWNER not in os.environ:  # A stage of `thicket repro`, which has said so.
        advice = "`pip install -e .` in an environment of its own makes a clone run its own"
        print(f"Note: the code that runs is {running}, not this clone's {own}; {advice}.", file=sys.stderr)


def main(argv: list[str] | None = None) -> int:
    """Entry point: 0 done, 1 the stage failed, 2 the configuration or the command is wrong, 128+n ended by a signal."""
    commands = parser()
    if "_ARGCOMPLETE" in os.environ:  # A shell asks what could follow.
        import argcomplete

        argcomplete.autocomplete(commands, always_complete_options=False)
    arguments, rest = commands.parse_known_args(argv)
    if arguments.command in STAGES and not any(text.startswith("-") for text in rest):
        arguments.overrides += rest  # those after a `-m` in their midst
    elif rest:
        commands.commands.get(arguments.command, commands).error(f"unrecognized arguments: {' '.join(rest)}")
    from thicket.config.places import project_root
    from thicket.config.problems import ConfigError, counted

    root = project_root(Path.cwd())
    _say_whose_code(root)
    if arguments.command == "run":
        arguments.config = [Path(os.path.relpath(config, root)) for config in arguments.config]
    if arguments.command == "analyze":
        arguments.overrides = [_folder_from_here(text) for text in arguments.overrides]
    if arguments.command == "evaluate":
        arguments.overrides = [_folders_from_here(text) for text in arguments.overrides]
    os.chdir(root)  # what a config names is relative to it
    try:
        status = _dispatch(arguments, root)
        sys.stdout.flush()
        return status
    except ConfigError as error:
        print(f"{error}\n\n{counted(error.problems)}".rstrip(), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. The next run goes on from the last checkpoint.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `thicket … | head`: nobody reads on, not even what is still in the buffer.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:  # The disk is full or read-only, a file is not to be read.
        from thicket.stages.launch import TRACEBACK

        if os.environ.get(TRACEBACK):
            raise
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except Exception as error:
        from thicket.config.plugins import told
        from thicket.stages.launch import TRACEBACK

        text = told(error)
        if text is None or os.environ.get(TRACEBACK):
            raise
        print(f"Error: {text}", file=sys.stderr)  # A plug-in's option, as it was read.
        return 1


def _may_run_by_hand(root: Path, configs: list[Path]) -> bool:
    """Whether nobody else is at the pipeline's artifacts; notes what is done already."""
    from thicket import ranks
    from thicket.plan import by_hand

    if not ranks.speaks():
        return True
    if running := by_hand.repro_words(root):
        print(f"Error: {running}: wait for its end, or stop it", file=sys.stderr)
        return False
    for name in by_hand.done(root, configs):
        print(f"Note: {name} is done, and made once more: `dvc repro {name}` makes just what has changed.", flush=True)
    return True


def _dispatch(arguments: argparse.Namespace, root: Path) -> int:
    command = arguments.command
    if command is None:
        from thicket.commands.next_steps import next_steps

        return next_steps(root)
    if command in looking.NAMES:
        return looking.run(arguments, root)
    if command in ("check", "plan", "compose"):
        from thicket.plan import commands

        if command == "check":
            return commands.check(root, arguments.experiment)
        return getattr(commands, command)(root)
    if command == "experiment":
        from thicket.plan import experiments

        if arguments.action == "use":
            return experiments.use(root, arguments.name, arguments.force)
        return experiments.show_list(root)
    if command == "config":
        from thicket.plan import inspect

        if arguments.action == "show":
            return inspect.show(root, arguments.stage)
        if arguments.action == "pages":
            from thicket.config.project import Project
            from thicket.plan.pages import write_pages

            return write_pages(root, Project(root).library)
        if arguments.action == "diff":
            return inspect.diff(root, arguments.left, arguments.right)
        return inspect.schema(arguments.kind)
    if command == "model":
        from thicket.plan import ensembles

        return ensembles.materialize(root, arguments.name, arguments.member, arguments.out)
    if command == "run":
        from thicket import warm
        from thicket.plan import by_hand, position

        if by_hand.BY_DVC not in os.environ and not _may_run_by_hand(root, arguments.config):
            return 1
        if warm.OWNER not in os.environ:  # `thicket repro` says so itself.
            position.tell(root, arguments.config[0])
        status = warm.run(arguments.config[0]) if len(arguments.config) == 1 else None
        if status is not None:
            return status
        from thicket.stages import launch

        return next(filter(None, (launch.run_config(root, config) for config in arguments.config)), 0)
    if command == "repro":
        from thicket import warm
        from thicket.plan import repro, shares

        os.environ[warm.OWNER] = str(os.getpid())
        jobs = shares.default_jobs() if arguments.jobs is None else arguments.jobs
        return repro.run(root, arguments.stage, jobs, arguments.pull)
    if command == "analyze":
        from thicket.plan import analyses

        return analyses.run(root, arguments.analysis, arguments.overrides)
    from thicket.plan import sweep

    return sweep.run(root, command, arguments.overrides, arguments.multirun)


if __name__ == "__main__":
    sys.exit(main())
