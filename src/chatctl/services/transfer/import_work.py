"""Import as the batch mechanism drives it: chunks of rows into the table, what doesn't fit into the reject file.

The position of the range is the reader's, with the length of the reject file: a batch that is rolled back or killed
leaves neither rows nor rejects that count. No transaction waits for input: somebody may be typing it.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa

from chatctl.errors import InterruptedRunError
from chatctl.observe.fail_points import fail_point
from chatctl.services.transfer.formats import Format
from chatctl.services.transfer.loading import RowLoader
from chatctl.services.transfer.prefetch import Chunks
from chatctl.services.transfer.readers import Chunk, Position
from chatctl.services.transfer.rejects import Reject, RejectFile
from chatctl.services.transfer.target import TransferTable
from chatctl.services.transfer.writers import RowWriter
from chatctl.stores.sql.batches import BatchOutcome
from chatctl.stores.sql.batches.work import Position as RangePosition

#: The text that a batch may hold: a chunk of long rows has few of them.
_MOST_BYTES = 12 * 1024 * 1024


class ImportWork:
    """Loads the chunks of `source` with `loader`; `files` are the names that rejects are filed under."""

    def __init__(
        self, source: Chunks, loader: RowLoader, target: TransferTable, files: Sequence[str], rejects: Path
    ) -> None:
        self._source = source
        self._loader = loader
        self._target = target
        self._files = files
        self._reject_path = rejects
        #: Chunks that were taken and aren't committed: a batch that is tried again begins with them.
        self._held: list[Chunk] = []

    def batch(
        self, connection: sa.Connection, bounds: RangePosition, position: RangePosition, size: int
    ) -> BatchOutcome:
        """Loads at most about `size` records of those that are there; `counts` are imported, repeated and rejected."""
        at = Position.from_json(position)
        chunks = self._gather(size)
        rejects: list[Reject] = []
        imported = repeated = 0
        for chunk in chunks:
            loaded = self._loader.load(connection, chunk.columns, chunk.rows)
            imported += loaded.imported
            repeated += loaded.repeated
            refused = [self._refused(chunk, refusal.place, refusal.reason) for refusal in loaded.refused]
            rejects += sorted([*chunk.rejects, *refused], key=lambda reject: reject.line)
        fail_point("import.rows-loaded")
        with RejectFile(self._reject_path, at.rejects_bytes) as file:
            length = file.append(rejects)
        fail_point("import.rejects-written")
        reached = chunks[-1].position if chunks else at
        return BatchOutcome(
            rows=imported + repeated + len(rejects),
            position=dict(replace(reached, rejects_bytes=length).to_json()),
            finished=len(chunks) == len(self._held) and self._source.ready and self._source.peek() is None,
            counts={"imported": imported, "repeated": repeated, "rejected": len(rejects)},
        )

    def committed(self, position: RangePosition) -> None:
        """Lets go of the chunks up to `position`, and waits for the next."""
        reached = replace(Position.from_json(position), rejects_bytes=0)
        places = [chunk.position for chunk in self._held]
        if reached in places:
            del self._held[: places.index(reached) + 1]
        if not self._held:
            # Whoever asked for a stop finds it heeded before the next batch.
            with contextlib.suppress(InterruptedRunError):
                self._source.peek()

    def _gather(self, size: int) -> list[Chunk]:
        chunks: list[Chunk] = []
        rows = text = 0
        while text < _MOST_BYTES:
            if len(chunks) == len(self._held):
                if chunks and not self._source.ready:
                    break
                chunk = self._source.take()
                if chunk is None:
                    break
                self._held.append(chunk)
            chunk = self._held[len(chunks)]
            count = len(chunk.rows) + len(chunk.rejects)
            if chunks and rows + count > size:
                break
            chunks.append(chunk)
            rows += count
            text += chunk.bytes
        return chunks

    def _refused(self, chunk: Chunk, place: int, reason: str) -> Reject:
        """The reject of a row that fits its columns but not the database; its text is the row as JSON."""
        text = io.BytesIO()
        RowWriter(text, self._target.entity, chunk.columns, Format.JSONL).write([chunk.rows[place]])
        file = self._files[chunk.position.file]
        return Reject(file, chunk.lines[place], reason, text.getvalue().decode().rstrip("\n"))
