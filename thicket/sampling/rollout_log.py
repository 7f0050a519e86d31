"""A write-ahead log of responses: an interrupted batch goes on where it was, instead of starting over.

Whoever draws a batch anew after an interruption prefers short answers, since long ones are interrupted more often: only
what was drawn may be gone on with (DeepSeek-V4, arXiv 2606.19348 §5.2.3, logs every token). Our draws are functions of
their names (`thicket.ops.draws`): on the same machine a batch drawn anew is the same batch, and the log saves its time;
elsewhere the same names come to other tokens, and the log keeps the sample fair.

The file is a run of records: the length of a record and its CRC-32, then the record, which holds new tokens of some
responses of one call of a sampler. The call is named by a hash of all that decides its responses: the model's weights,
the prompts, the keys of their draws (which tell the run's seed and the batch), and how tokens are drawn. So a record
serves the call that it was made for, and no other.

A record is written by one call of the system and not synced: what the system has outlives the process, however that
ends. What a machine had not written when it went down is drawn again. The first record that is not whole ends the file,
and what lies behind it is cut off.
"""

import errno
import hashlib
import os
import sys
import zlib
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import Any

from thicket import ranks
from thicket.models.fingerprint import fingerprint
from thicket.models.pooled import voices
from thicket.sampling.rollouts import Part, Request

FILE = "rollouts.log"
"""In a run's resume folder; with the process's number before it where there are several, each with its own share."""
_HEAD = Struct("<II")
"""Of a record: its bytes, and their CRC-32."""
_NAME, _COUNT = 16, Struct("<i")
"""Bytes of a call's name, which a record begins with; then the number of its parts."""
_OF_PART = 4
"""Numbers for a part: row, first place, tokens, stopped."""


class RolloutLog:
    """The log of a run. What can't be written is not logged, which is said once; the run goes on without."""

    def __init__(self, folder: Path):
        self.path = folder / (f"{ranks.number()}-{FILE}" if ranks.count() > 1 else FILE)
        self._places: dict[bytes, list[tuple[int, int]]] = {}  # of each call, where its records lie
        self._writes, self._told = True, False
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.path.touch()
            os.truncate(self.path, self._find())
        except OSError as error:
            self._fail(error)
        if self.calls:
            what = f"{self.path}: of {self.calls} batches of responses some or all are there"
            print(f"{what}, and need not be drawn again", flush=True)

    @property
    def calls(self) -> int:
        """Of which an earlier process logged something."""
        return len(self._places)

    def known(self, name: bytes) -> dict[int, Part]:
        """What an earlier process logged of a call: row → its response so far."""
        parts: dict[int, Part] = {}
        for start, size in self._places.get(name, []):
            with self.path.open("rb") as file:
                file.seek(start)
                for new in _unpacked(file.read(size)[_NAME:]):
                    parts[new.row] = _joined(parts[new.row], new) if new.row in parts else new
        return parts

    def add(self, name: bytes, parts: Sequence[Part], rows: Sequence[int] | None = None) -> None:
        """Logs new tokens of a call; `rows`: the responses that are written together, where it is not all of them."""
        if not self._writes:
            return
        record = name + _packed(parts, rows)
        try:
            with self.path.open("ab", buffering=0) as file:
                written = file.write(_HEAD.pack(len(record), zlib.crc32(record)) + record)
            if written < _HEAD.size + len(record):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:  # What there is of the record is no whole one.
            self._fail(error)

    def clear(self) -> None:
        """A checkpoint is written: what was drawn before it is not asked for again. There may be room once more."""
        self._places.clear()
        try:
            os.truncate(self.path, 0)
            self._writes = True
        except OSError as error:
            self._fail(error)

    def _find(self) -> int:
        """Finds the whole records, up to the first that is not; where that begins."""
        size, end = self.path.stat().st_size, 0
        with self.path.open("rb") as file:
            while head := file.read(_HEAD.size):
                length, checksum = _HEAD.unpack(head.ljust(_HEAD.size, b"\0"))
                # A file that a machine left as it went down can end in zeros, which are no record of length 0.
                if not _NAME < length <= size:
                    break
                record = file.read(length)
                if len(record) < length or zlib.crc32(record) != checksum:
                    break
                self._places.setdefault(record[:_NAME], []).append((end + _HEAD.size, length))
                end += _HEAD.size + length
        return end

    def _fail(self, error: OSError) -> None:
        """Goes on without logging; what is there can still be read."""
        self._writes = False
        if not self._told:
            what = f"{self.path}: {error.strerror}: responses are not logged"
            print(f"{what}; a run that is broken off draws them again", file=sys.stderr, flush=True)
        self._told = True


def _joined(before: Part, new: Part) -> Part:
    """A response with what follows."""
    tokens, log_probs = before.tokens[: new.first] + new.tokens, before.log_probs[: new.first] + new.log_probs
    return Part(new.row, 0, tokens, log_probs, new.stopped)


def name_of(sampler: str, model: Any, requests: Sequence[Request], decoding: Any, stop_ids: Sequence[int]) -> bytes:
    """The name of a sampler's call: a hash of all that decides its responses, but for rounding."""
    weights = [(fingerprint(one), share) for one, share in voices(model)]
    asked = [(request.prompt, request.key, request.responses) for request in requests]
    decides = sampler, weights, getattr(model, "words", None), asked, decoding, sorted(stop_ids)
    return hashlib.sha256(repr(decides).encode()).digest()[:_NAME]


def _packed(parts: Sequence[Part], rows: Sequence[int] | None) -> bytes:
    numbers, tokens, log_probs = array("i"), array("i"), array("f")
    for part in parts:
        row = part.row if rows is None else rows[part.row]
        numbers.extend((row, part.first, len(part.tokens), part.stopped))
        tokens.extend(part.tokens)
        log_probs.extend(part.log_probs)
    return b"".join((_COUNT.pack(len(parts)), numbers.tobytes(), tokens.tobytes(), log_probs.tobytes()))


def _unpacked(record: bytes) -> Iterator[Part]:
    (count,), at = _COUNT.unpack_from(record), _COUNT.size
    numbers, tokens, log_probs = array("i"), array("i"), array("f")
    numbers.frombytes(record[at : (at := at + 4 * _OF_PART * count)])
    rest = len(record) - at
    tokens.frombytes(record[at : at + rest // 2])
    log_probs.frombytes(record[at + rest // 2 :])
    first = 0
    for row, place, length, stopped in zip(*[iter(numbers)] * _OF_PART, strict=True):
        here = slice(first, first + length)
        yield Part(row, place, tokens[here].tolist(), log_probs[here].tolist(), bool(stopped))
        first += length
