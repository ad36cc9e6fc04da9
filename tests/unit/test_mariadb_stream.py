"""What is counted and hashed of a dump's text doesn't depend on how the text comes in pieces."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatctl.errors import IntegrityError
from chatctl.stores.sql.dumps.mariadb_stream import DumpReader, selected

DUMP = rb"""-- MariaDB dump 10.19
/*!40101 SET NAMES utf8mb4 */;

--
-- Table structure for table `a``b`
--

DROP TABLE IF EXISTS `a``b`;
CREATE TABLE `a``b` (
  `id` int NOT NULL
);

--
-- Dumping data for table `a``b`
--

LOCK TABLES `a``b` WRITE;
INSERT INTO `a``b` VALUES
(1,'x\n-- Table structure for table `c`'),
(2,'),(\'');
UNLOCK TABLES;

--
-- Table structure for table `empty`
--

CREATE TABLE `empty` (
  `id` int NOT NULL
);

--
-- Dumping data for table `empty`
--

LOCK TABLES `empty` WRITE;
UNLOCK TABLES;

--
-- Table structure for table `old`
--

CREATE TABLE `old` (
  `id` int NOT NULL
);

--
-- Dumping data for table `old`
--

LOCK TABLES `old` WRITE;
INSERT INTO `old` VALUES (1,'a'),(2,'),('),(3,'it''s');
INSERT INTO `old` VALUES (4,'\'),(');
UNLOCK TABLES;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;

-- Dump completed
"""


def read(pieces: list[bytes]) -> dict[str, tuple[int, str]]:
    reader = DumpReader()
    for piece in pieces:
        reader.feed(piece)
    return {name: (state.rows, state.fingerprint) for name, state in reader.finish().items()}


def test_rows_are_counted_in_both_forms_of_insert() -> None:
    assert {name: rows for name, (rows, _) in read([DUMP]).items()} == {"a``b": 2, "empty": 0, "old": 4}


@given(st.lists(st.integers(1, len(DUMP) - 1), max_size=40))
def test_the_pieces_make_no_difference(cuts: list[int]) -> None:
    places = [0, *sorted(set(cuts)), len(DUMP)]
    pieces = [DUMP[start:end] for start, end in itertools.pairwise(places)]

    assert read(pieces) == read([DUMP])


def test_a_changed_row_changes_its_table_alone() -> None:
    changed, before = read([DUMP.replace(b"(4,", b"(5,")]), read([DUMP])

    assert [name for name in before if before[name] != changed[name]] == ["old"]


def test_a_dump_that_breaks_off_is_refused() -> None:
    with pytest.raises(IntegrityError):
        read([DUMP[: DUMP.index(b"-- Dump completed")]])


def test_chosen_tables_come_with_what_belongs_to_the_whole_dump() -> None:
    text = selected(DumpReader(), DUMP, {"old"})

    assert b"CREATE TABLE `old`" in text
    assert b"SET NAMES" in text
    assert b"CREATE TABLE `empty`" not in text
    assert b"`a``b`" not in text
