"""Whatever goes with a conversation goes by declaration, is archived, and comes back; what isn't declared stops it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.support.clones import content
from tests.support.purging import DAY, NOW, PurgeBed

from chatctl.domain.progress import SilentProgress, StopSignal
from chatctl.errors import LayoutError, MissingEntityError
from chatctl.layouts import load_layout
from chatctl.services.purge import restoring
from chatctl.services.purge.restoring import RestoreRequest

LAYOUT = """
layout: forum
title: A system that nobody has seen
entities:
  threads:
    table: Threads
    columns:
      board:   {name: Board, type: text(20), key: true}
      number:  {name: Nr, type: integer, key: true}
      seen_at: {name: seenAt, type: epoch(s), nullable: true}
  posts:
    table: Posts
    columns:
      id:     {name: id, type: integer, key: true}
      board:  {name: Board, type: text(20)}
      number: {name: Thread, type: integer}
    belongs_to: {threads: {board: board, number: number}}
  files:
    table: Files
    columns:
      id:   {name: id, type: integer, key: true}
      post: {name: Post, type: integer, references: posts}
purge: {what: threads, clock: seen_at, with: [posts, files]}
"""


@pytest.fixture
def forum(engine_url: str, tmp_path: Path) -> Iterator[PurgeBed]:
    """Threads with a key of two columns, posts, and files of posts; with columns that the layout doesn't know."""
    file = tmp_path / "forum.yaml"
    file.write_text(LAYOUT)
    made = PurgeBed(engine_url, load_layout(str(file)), tmp_path)
    metadata = sa.MetaData()
    text, number = sa.String(20), sa.Integer
    threads = sa.Table(
        "Threads",
        metadata,
        sa.Column("Board", text, primary_key=True),
        sa.Column("Nr", number, primary_key=True, autoincrement=False),
        sa.Column("seenAt", sa.BigInteger),
        sa.Column("price", sa.Numeric(12, 4)),
        sa.Column("opened", sa.DateTime),
        sa.Column("icon", sa.LargeBinary),
        sa.Column("ratio", sa.Double),
    )
    posts = sa.Table(
        "Posts",
        metadata,
        sa.Column("id", number, primary_key=True),
        sa.Column("Board", text, nullable=False),
        sa.Column("Thread", number, nullable=False),
        sa.Column("body", sa.Text),
    )
    files = sa.Table(
        "Files",
        metadata,
        sa.Column("id", number, primary_key=True),
        sa.Column("Post", number, sa.ForeignKey("Posts.id")),
    )
    with made.database.begin() as connection:
        metadata.create_all(connection)
        for place, (board, age) in enumerate([("a", 40), ("a", 10), ("b:1", 50)]):
            seen = int((NOW - age * DAY).timestamp())
            opened = datetime(2026, 1, 1, 12, 0, 1)
            extras = {"price": "3.1400", "opened": opened, "icon": b"\x00\xff\n", "ratio": 0.1 + 0.2}
            connection.execute(threads.insert().values(Board=board, Nr=place, seenAt=seen, **extras))
            for post in (place * 10, place * 10 + 1):
                body = "it's \\N \u2028 😀\n\t"
                connection.execute(posts.insert().values(id=post + 1, Board=board, Thread=place, body=body))
                connection.execute(files.insert().values(id=post + 1, Post=post + 1))
    yield made
    made.close()


def test_grandchildren_and_unknown_columns_go_and_come_back_exactly(forum: PurgeBed) -> None:
    before = content(forum.url)

    done = forum.purge(batch_size=1).data

    assert (done["deleted_chats"], done["deleted_messages"]) == (2, 4)
    assert {name: len(rows) for name, rows in content(forum.url).items()} == {"Threads": 1, "Posts": 2, "Files": 2}
    restoring.restore(forum.target, RestoreRequest(), SilentProgress(), StopSignal())
    assert content(forum.url) == before


def test_rows_that_a_foreign_key_would_take_along_undeclared_stop_the_purge(forum: PurgeBed) -> None:
    with forum.database.begin() as connection:
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.exec_driver_sql(
            f"CREATE TABLE likes (id integer PRIMARY KEY, post integer,"
            f" FOREIGN KEY (post) REFERENCES {quote('Posts')} (id) ON DELETE CASCADE)"
        )
    before = content(forum.url)

    with pytest.raises(LayoutError, match="'likes' belong to 'Posts'"):
        forum.purge()

    assert content(forum.url) == before


def test_a_missing_table_or_clock_is_named(forum: PurgeBed) -> None:
    with forum.database.begin() as connection:
        quote = connection.dialect.identifier_preparer.quote_identifier
        connection.exec_driver_sql(f"ALTER TABLE {quote('Threads')} DROP COLUMN {quote('seenAt')}")
    with pytest.raises(MissingEntityError, match="no column for 'seen_at'"):
        forum.purge()
