"""Lines of bytes in constant memory, with the place of each in its file. Knows no format."""

from __future__ import annotations

from typing import NoReturn

from chatctl.services.transfer.files import ByteSource, skip

#: The longest line or record that is taken. Parsing one takes ten times its size, and MySQL's packets end here too.
LINE_LIMIT = 16 * 1024 * 1024

#: What is parsed at once stays in the processor's cache: with 1 MiB, reading takes twice as long.
BLOCK_BYTES = 128 * 1024

_HEAD_BYTES = 1_000
_BOM = b"\xef\xbb\xbf"


class LongLineError(ValueError):
    """A line longer than the limit; it has been passed over."""

    def __init__(self, line: int, head: bytes) -> None:
        self.line = line
        self.head = head
        super().__init__(f"is longer than {LINE_LIMIT // 1024 // 1024} MiB")


class LineReader:
    """Hands out the lines of a source, without their newlines.

    `offset` is where the next line begins in the unpacked bytes, `line` how many lines lie before it. A byte order
    mark at the beginning is dropped.
    """

    def __init__(self, name: str, source: ByteSource, limit: int = LINE_LIMIT, block_bytes: int = BLOCK_BYTES) -> None:
        self.name = name
        self.offset = 0
        self.line = 0
        self._source = source
        self._limit = limit
        self._block_bytes = block_bytes
        self._lines: list[bytes] = []
        self._next = 0
        #: The beginning of a line whose end hasn't been read yet.
        self._rest = b""
        #: What has been read and not been split yet.
        self._pushed = b""
        self._ended = False

    def lines(self, most: int) -> list[bytes]:
        """The next lines, at least one and at most `most`; none at the end.

        Raises LongLineError, once, for a line beyond the limit.
        """
        if self._next == len(self._lines):
            self._read_block()
        lines = self._lines[self._next : self._next + most]
        self._next += len(lines)
        self.line += len(lines)
        self.offset += sum(map(len, lines)) + len(lines)
        if lines and not self.ends_in_newline:
            self.offset -= 1
        return lines

    @property
    def ends_in_newline(self) -> bool:
        """Whether the line handed out last has a newline: all have but the last of a file."""
        return not self._ended

    def skip_to(self, offset: int, line: int) -> None:
        """Moves on to the line that begins at `offset`, without looking at what lies between.

        Raises StalePlanError where the source ends before that.
        """
        lines = self._lines[self._next :]
        held = b"".join([line + b"\n" for line in lines]) + self._rest + self._pushed
        ahead = offset - self.offset
        if ahead > len(held):
            skip(self.name, self._source, ahead - len(held))
        self._lines, self._next, self._rest, self._ended = [], 0, b"", False
        self._pushed = held[ahead:]
        self.offset, self.line = offset, line

    def _read_block(self) -> None:
        """Fills `_lines` with the whole lines of the next block that has any."""
        self._lines, self._next = [], 0
        while not self._lines and not self._ended:
            data = self._read()
            self._ended = not data
            cut = data.rfind(b"\n")
            if cut < 0:
                self._rest += data
                if len(self._rest) > self._limit:
                    self._pass_over()
                continue
            self._lines = (self._rest + data[:cut]).split(b"\n")
            self._rest = data[cut + 1 :]
            if len(self._lines[0]) > self._limit:
                long = self._lines.pop(0)
                self._refuse(long, len(long) + 1)
        if self._ended and self._rest:
            self._lines, self._rest = [self._rest], b""

    def _read(self) -> bytes:
        data, self._pushed = self._pushed, b""
        data = data or self._source.read(self._block_bytes)
        if self.offset == 0 and not self._rest and data.startswith(_BOM):
            self.offset = len(_BOM)
            data = data[len(_BOM) :] or self._source.read(self._block_bytes)
        return data

    def _pass_over(self) -> None:
        """Reads on to the end of a line that is too long already."""
        head, length = self._rest[:_HEAD_BYTES], len(self._rest)
        self._rest = b""
        while data := self._source.read(self._block_bytes):
            cut = data.find(b"\n")
            if cut >= 0:
                self._pushed = data[cut + 1 :]
                self._refuse(head, length + cut + 1)
            length += len(data)
        self._ended = True
        self._refuse(head, length)

    def _refuse(self, line: bytes, length: int) -> NoReturn:
        self.offset += length
        self.line += 1
        raise LongLineError(self.line, line[: min(_HEAD_BYTES, self._limit)])
