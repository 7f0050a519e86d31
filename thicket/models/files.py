"""What the names of a model folder's files tell: whether it can be loaded at all. Nothing is loaded for it."""

import json
from pathlib import Path

CONFIG = "config.json"
WEIGHTS = "*.safetensors"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl", "*.pickle")
ADAPTERS_OF = "adapter_config.json"
"""Names another model, which transformers would fetch."""
VOCABULARIES = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken", "tekken.json")
"""Files of which a tokenizer has one at least, of whatever kind it is; its config alone is none."""


def no_weights(folder: Path) -> str:
    """Why there are no weights to load, for a message; empty where there are some."""
    if not list(folder.glob(WEIGHTS)):
        pickles = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        hint = f"; {pickles[0]} is a pickle, which can run code when it is read: convert it first" if pickles else ""
        return f"no model here (no {WEIGHTS} file){hint}"
    if (folder / ADAPTERS_OF).exists():
        return (
            f"adapters ({ADAPTERS_OF}), which go over a model that this file names and thicket would not "
            "know: merge them into the model first"
        )
    return ""


def no_tokenizer(folder: Path) -> str:
    """Why there is no tokenizer to load, for a message; empty where there is one."""
    if any(path for pattern in VOCABULARIES for path in folder.glob(pattern)):
        return ""
    return (
        "no tokenizer here (no tokenizer.json, nor another file of its vocabulary): save the one that the model was "
        "trained with into the folder, as `tokenizer.save_pretrained(FOLDER)` does"
    )


def no_config(folder: Path) -> str:
    """Why there is no config to load, for a message; empty where there is one."""
    try:
        known = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"no config here (no {CONFIG} file), which says what kind of model it is"
    except (OSError, ValueError, RecursionError) as error:
        return f"its {CONFIG} can't be read ({type(error).__name__}: {error})"
    return "" if isinstance(known, dict) else f"its {CONFIG} holds no mapping"


def faults(folder: Path) -> list[str]:
    """All that keeps a folder from being loaded, as far as its files' names tell."""
    if not folder.is_dir():
        return ["a file, not the folder of a model"]
    return [fault for fault in (no_weights(folder), no_config(folder), no_tokenizer(folder)) if fault]
