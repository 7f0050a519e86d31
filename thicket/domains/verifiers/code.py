"""The program in the response passes the item's unit tests, each program run in a sandbox of its own."""

from collections.abc import Sequence
from dataclasses import asdict

from thicket.config.verifier import CodeVerifier
from thicket.domains import programs
from thicket.domains.item import Item
from thicket.domains.pool import run_isolated
from thicket.domains.sandbox.launch import require
from thicket.domains.verdict import Verdict

RUN = f"{programs.__name__}:{programs.run_job.__name__}"
NO_PROGRAM = "no program"
"""Why a response fails that holds none."""
WATCH_SECONDS = 10.0
"""What a worker may take beyond the limits of its programs, which it watches itself, before it is replaced."""


def judge(config: CodeVerifier, answered: Sequence[tuple[str, Item]]) -> list[Verdict]:
    """Correct where all tests pass; a response without a program, or a program that fails, has a named reason.

    Raises: ValueError where the sandbox isn't to be had on this machine, or an item has no tests.
    """
    require(config)
    prelude = f"{config.prelude}\n" if config.prelude else ""
    written = [programs.program_in(response) for response, _ in answered]
    there = [place for place, program in enumerate(written) if program.strip()]
    jobs = [programs.job(written[place], prelude, answered[place][1]) for place in there]
    sandbox = config.bare().model_dump()
    arguments = [{"job": asdict(job), "sandbox": sandbox, "tolerance": config.tolerance} for job in jobs]
    longest = max((job.runs for job in jobs), default=1)
    seconds = longest * (config.limits.wall_seconds + WATCH_SECONDS)
    outcomes = run_isolated(RUN, arguments, seconds, config.workers)
    verdicts = [Verdict(False, NO_PROGRAM)] * len(answered)
    for place, outcome in zip(there, outcomes, strict=True):
        verdicts[place] = Verdict(**outcome.value) if outcome.value else Verdict(False, outcome.reason)
    return verdicts
