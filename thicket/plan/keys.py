"""What `thicket STAGE` takes, for its help: each key with what the schema says of it."""

import textwrap
from collections.abc import Iterator

from thicket.config.described import description
from thicket.config.params import BaseNode, Params, SpecialistNode, StudentNode
from thicket.plan.adhoc import CHOICES, KEYS, OTHERS, SHARED
from thicket.plan.objective import COSTS, SELECTION

NODES = {"base": BaseNode, "specialist": SpecialistNode, "student": StudentNode}
SAID = {
    "name": "What the model is called; left out: as params.yaml calls the one that the other keys mean.",
    "model": "A model of params.yaml, or a folder of one, of a run in build/runs/ say; with -m a sweep's, too.",
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
SWEPT = {
    "data": "domain=sort,odd",
    "base": "base=tiny seed=0,1",
    "specialist": "base=tiny domain=sort method=grpo,sft seed=0,1",
    "student": "base=tiny method=opd,soup teachers=[sort-grpo,odd-grpo]",
    "evaluate": "model=sort-grpo,opd",
}
"""An example of a sweep."""
FIGURES = {
    "base": f"{', '.join(COSTS)}",
    **dict.fromkeys(("specialist", "student"), f"{SELECTION}, {', '.join(COSTS)}"),
    "evaluate": "pass@1, another pass@K or greedy, as means over the domains",
}
"""What the runs of a sweep can be compared by."""
LAUNCHED = "`joblib`: runs side by side; `slurm`: as jobs of a cluster (docs/clusters.md)"
SEARCHED = "`optuna`: searches among values of which some are intervals, KEY=interval(1e-5,1e-3)"
WIDTH, KEY_WIDTH, SWEEP_WIDTH = 110, 14, 22
"""Columns of the text, of its keys, and of those of a sweep."""


def keys_text(kind: str) -> str:
    """The keys of a stage, a paragraph each, and an example."""
    lines = [_paragraph(key, said) for key, said in _keys(kind)]
    heading = "keys (what is left out is as params.yaml declares it):" if lines else "It takes no keys."
    return "\n".join([heading, *lines, f"\nexample: thicket {kind} {EXAMPLES[kind]}".rstrip(), *_swept(kind)])


def _swept(kind: str) -> Iterator[str]:
    """What a sweep takes besides, and an example."""
    if kind in SWEPT:
        yield f"swept: thicket {kind} -m {SWEPT[kind]}"
        yield _paragraph("hydra/launcher=NAME", LAUNCHED, SWEEP_WIDTH)
    if kind in FIGURES:
        yield _paragraph("hydra/sweeper=NAME", SEARCHED, SWEEP_WIDTH)
        said = f"What the runs are compared by (conf/sweep.yaml has the default): {FIGURES[kind]}."
        yield _paragraph("objective=FIGURE", said, SWEEP_WIDTH)


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


def _paragraph(key: str, said: str, width: int = KEY_WIDTH) -> str:
    gap = " " * (width + 2)
    return textwrap.fill(" ".join(said.split()), WIDTH, initial_indent=f"  {key:<{width}}", subsequent_indent=gap)
