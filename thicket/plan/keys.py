"""What `thicket STAGE` takes, for its help: each key with what the schema says of it."""

import textwrap
from collections.abc import Iterator

from thicket.config.described import description
from thicket.config.params import BaseNode, Params, SpecialistNode, StudentNode
from thicket.plan.adhoc import CHOICES, KEYS, OTHERS, SHARED

NODES = {"base": BaseNode, "specialist": SpecialistNode, "student": StudentNode}
SAID = {
    "name": "What the model is called; left out: as params.yaml calls the one that the other keys mean.",
    "model": "A model of params.yaml, or the folder of any; with -m several, and all of a sweep by its folder.",
    "domain": "Option of conf/domain.",
}
"""Of keys that params.yaml has not, or has otherwise."""
OPTIONS = "A single value of the option; `thicket config schema GROUP` and the pages of docs/ list them."
EXAMPLES = {
    "data": "domain=sort",
    "base": "base=tiny seed=1",
    "specialist": "base=tiny domain=sort method=grpo method.optimizer.lr=1e-4",
    "student": "base=tiny method=opd teachers=[sort-grpo,reverse-grpo] method.steps=50",
    "evaluate": "model=opd evaluation.samples=16",
    "report": "",
}
WIDTH, KEY_WIDTH = 110, 14
"""Columns of the text, and of its keys."""


def keys_text(kind: str) -> str:
    """The keys of a stage, a paragraph each, and an example."""
    lines = [_paragraph(key, said) for key, said in _keys(kind)]
    heading = "keys (what is left out is as params.yaml declares it):" if lines else "It takes no keys."
    swept = f"\nswept: thicket {kind} -m KEY=a,b … [objective=FIGURE]" if kind != "report" else ""
    return "\n".join([heading, *lines, f"\nexample: thicket {kind} {EXAMPLES[kind]}".rstrip() + swept])


def _keys(kind: str) -> Iterator[tuple[str, str]]:
    own = (*KEYS[kind], "name") if kind in KEYS else OTHERS[kind]
    node = NODES.get(kind, Params)
    fields = node.model_fields if kind in NODES else {}
    shared = SHARED.get(kind, ())
    for key in (*own, *shared):
        said = description(node if key in fields else Params, key)
        yield key, SAID[key] if key in SAID and key not in fields else str(said)
    groups = (*CHOICES.get(kind, ("domain",) if kind == "data" else ()), *shared)
    if groups:
        yield "GROUP.KEY", f"{OPTIONS} Groups: {', '.join(groups)}."


def _paragraph(key: str, said: str) -> str:
    gap = " " * (KEY_WIDTH + 2)
    return textwrap.fill(" ".join(said.split()), WIDTH, initial_indent=f"  {key:<{KEY_WIDTH}}", subsequent_indent=gap)
