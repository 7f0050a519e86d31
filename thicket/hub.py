"""The Hugging Face hub, which may take connections and never answer: its own package would wait for ever."""

import sys
from typing import Literal


def answers(name: str, kind: Literal["model", "dataset"], revision: str | None) -> bool:
    """Whether the hub says anything about a repository in time (`HF_HUB_DOWNLOAD_TIMEOUT`, 10 s); if not, that is said.

    What it says, its packages find out by themselves; where it can't be connected to at all, they notice.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return True
    seconds = constants.HF_HUB_DOWNLOAD_TIMEOUT
    try:
        HfApi().repo_info(name, repo_type=kind, revision=revision, timeout=seconds)
    except Exception as error:
        if "timeout" not in type(error).__name__.lower():
            return True
        print(f"Note: {constants.ENDPOINT} does not answer within {seconds} s.", file=sys.stderr)
        return False
    return True
