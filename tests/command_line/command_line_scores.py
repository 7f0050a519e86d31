"""Scores of a made-up run."""

NEVER, ALWAYS = [0] * 12, [4] * 12
SOMETIMES = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 2, 2]
CORRECT = {
    "tiny": {"sort": SOMETIMES, "reverse": SOMETIMES},
    "sort-grpo": {"sort": ALWAYS, "reverse": NEVER},
    "reverse-grpo": {"sort": NEVER, "reverse": ALWAYS},
    "opd": {"sort": ALWAYS, "reverse": SOMETIMES},
    "soup": {"sort": SOMETIMES, "reverse": SOMETIMES},
}
"""Of each item, the correct ones of four samples."""
