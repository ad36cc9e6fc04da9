"""LOAD DATA LOCAL from memory, through PyMySQL.

PyMySQL would open whatever file a server asks for; here the server is handed the rows and nothing else, whatever name
it asks for, and only in answer to a LOAD DATA of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pymysql.constants import CLIENT, COMMAND
from pymysql.err import Error
from pymysql.protocol import OKPacketWrapper

from chatctl.stores.sql.dialects.text_rows import text_blocks

#: What a connection must announce for a server to take a LOAD DATA LOCAL. PyMySQL's own option `local_infile` stays
#: off: it would let a server ask for any file of this machine at any time.
CAPABILITY = CLIENT.LOCAL_FILES

#: The server's ways to say that it takes no LOAD DATA LOCAL (local_infile is off).
REFUSALS = (1148, 3948, 4166)


_PACKET_BYTES = 1024 * 1024


@dataclass(frozen=True)
class LoadComplaint:
    """What the server had against a row: it was left out or changed, and the statement went on."""

    number: int
    message: str


def load_data(driver: Any, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> LoadComplaint | None:
    """Loads `rows` into `table` (both quoted) and returns the server's first complaint, if it had any.

    After a complaint some of the rows are in, so the caller rolls back. `driver` is a connection of PyMySQL that was
    opened with CAPABILITY; raises its errors.
    """
    sql = f"LOAD DATA LOCAL INFILE 'rows' INTO TABLE {table} CHARACTER SET utf8mb4 ({', '.join(names)})"
    driver._execute_command(COMMAND.COM_QUERY, sql)
    if not driver._read_packet().is_load_local_packet():
        raise Error("The server asked for no rows.")
    for block in text_blocks(rows):
        for piece in _packets(block.encode()):
            driver.write_packet(piece)
    driver.write_packet(b"")
    answer = OKPacketWrapper(driver._read_packet())
    if not answer.warning_count and answer.affected_rows == len(rows):
        return None
    return _complaint(driver)


def _packets(data: bytes) -> Iterator[bytes]:
    """`data` in parts that fit into a packet: PyMySQL splits none."""
    for start in range(0, len(data), _PACKET_BYTES):
        yield data[start : start + _PACKET_BYTES]


def _complaint(driver: Any) -> LoadComplaint:
    with driver.cursor() as cursor:
        cursor.execute("SHOW WARNINGS LIMIT 1")
        row = cursor.fetchone()
    return LoadComplaint(row[1], row[2]) if row else LoadComplaint(0, "The server left rows out.")
