"""What MariaDB and MySQL do alike and what not, as far as the rules ask.

MariaDB's values were seen on 10.11; MySQL's are what its manual says of 8.0.29 and later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: The most bytes that a character takes; one where a set isn't named.
_WIDTHS = {
    "utf8mb3": 3, "utf8mb4": 4, "ucs2": 2, "utf16": 4, "utf16le": 4, "utf32": 4, "gbk": 2, "gb2312": 2,
    "gb18030": 4, "big5": 2, "sjis": 2, "cp932": 2, "euckr": 2, "ujis": 3, "eucjpms": 3,
}  # fmt: skip


@dataclass(frozen=True)
class OnlineDdl:
    """How much an engine can do without writing a table anew."""

    title: str
    #: Whether FIRST and AFTER move an existing column without a rebuild.
    moves_columns: bool
    #: A VARCHAR of at most so many bytes grows past 255 without a copy: its length byte is told from two.
    roomy_varchar_bytes: int
    #: Whether a column that no index has changes its collation without a copy.
    changes_collation: bool
    #: Pairs of character sets (from, to) where every stored text is the same bytes.
    same_bytes: frozenset[tuple[str, str]]
    #: Whether REFERENCES in a column's definition makes a foreign key.
    inline_references: bool
    #: Character set → its collation where none is named.
    collations: Mapping[str, str]
    #: What JSON is kept as.
    json_type: str

    def collation_of(self, charset: str) -> str:
        """The collation of a character set where none is named."""
        return self.collations.get(charset, f"{charset}_general_ci")


_COLLATIONS = {"latin1": "latin1_swedish_ci", "binary": "binary", "latin2": "latin2_general_ci"}

MARIADB = OnlineDdl(
    title="MariaDB",
    moves_columns=True,
    roomy_varchar_bytes=127,
    changes_collation=True,
    same_bytes=frozenset({("utf8mb3", "utf8mb4")}),
    inline_references=True,
    collations=_COLLATIONS,
    json_type="longtext",
)
MYSQL = OnlineDdl(
    title="MySQL",
    moves_columns=False,
    roomy_varchar_bytes=0,
    changes_collation=False,
    same_bytes=frozenset(),
    inline_references=False,
    collations={**_COLLATIONS, "utf8mb4": "utf8mb4_0900_ai_ci"},
    json_type="json",
)


def bytes_per_character(charset: str) -> int:
    """The most bytes that one character takes."""
    return _WIDTHS.get(charset, 1)
