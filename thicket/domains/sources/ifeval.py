"""Prompts with verifiable instructions: read from files in IFEval's form, or made."""

import random
from collections.abc import Iterator

from thicket.config.source import IfevalSource
from thicket.domains.files import Row, read_rows
from thicket.domains.instructions import CHECKS, Arguments, require_arguments, require_known
from thicket.domains.item import RawItem, place_of
from thicket.domains.requests import draw_request

DEFAULT_LEVELS = (1,)
"""A made prompt has one instruction where the config doesn't say."""


def raw_items(source: IfevalSource, seed: int) -> Iterator[RawItem]:
    """Items whose level is the number of their instructions: the files' in an order that the seed draws, or endless.

    Raises: ValueError where a file or row doesn't fit, or an instruction has no check.
    """
    require_known(source.kinds, "domain.source.kinds")
    if source.data_files is None:
        rng = random.Random(f"ifeval:{seed}")
        kinds = source.kinds or list(CHECKS)
        while True:
            yield _item(*draw_request(rng, kinds, rng.choice(source.levels or DEFAULT_LEVELS)))
    for row in sorted(read_rows(source.data_files), key=lambda row: place_of(str(row["prompt"]), seed)):
        if not source.kinds or set(row["instruction_id_list"]) <= set(source.kinds):
            yield _item(row["prompt"], _instructions(row))


def _instructions(row: Row) -> list[tuple[str, Arguments]]:
    kinds, arguments = row["instruction_id_list"], row["kwargs"]
    require_known(kinds, row.place)
    if len(kinds) != len(arguments):
        raise ValueError(f"{row.place}: {len(kinds)} entries in instruction_id_list, and {len(arguments)} in kwargs")
    # The hub's version of IFEval gives every instruction all arguments that there are, most of them null.
    given = [{name: value for name, value in one.items() if value is not None} for one in arguments]
    for kind, one in zip(kinds, given, strict=True):
        require_arguments(kind, one, row.place)
    return list(zip(kinds, given, strict=True))


def _item(prompt: str, instructions: list[tuple[str, Arguments]]) -> RawItem:
    reference = {"instructions": [{"kind": kind, "arguments": arguments} for kind, arguments in instructions]}
    return RawItem(prompt, "", len(instructions), reference)
