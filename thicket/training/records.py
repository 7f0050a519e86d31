"""What is sampled before a training, on disk: JSON lines, a record for each item and member of an ensemble."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from thicket.disk import set_aside, write_whole
from thicket.methods.texts import Sample


@dataclass(frozen=True)
class Record:
    """What one model answered to one prompt."""

    item: str
    """The item's id."""
    member: int
    """Rank in the ensemble; 0 where there is none."""
    samples: list[Sample]
    seconds: float
    """The record's share of the time that its piece took."""


def write_records(folder: Path, records: list[Record]) -> None:
    """Writes a piece: a file that is there whole or not at all."""
    path = folder / f"{records[0].member}-{records[0].item}.jsonl"
    write_whole(path, "".join(json.dumps(asdict(record)) + "\n" for record in records))


def read_records(folder: Path) -> list[Record]:
    """All pieces that are there; a broken one is set aside, so that it is sampled again."""
    return [record for path in sorted(folder.glob("*.jsonl")) for record in _read(path)]


def _read(path: Path) -> list[Record]:
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return [
            Record(row["item"], row["member"], [Sample(**one) for one in row["samples"]], row["seconds"])
            for row in rows
        ]
    except (ValueError, TypeError, KeyError) as error:
        set_aside(path, "samples", str(error))
        return []
