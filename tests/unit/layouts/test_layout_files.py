"""A mistake in a layout file is answered with its line, its key and what was expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatctl.errors import LayoutError
from chatctl.layouts import load_layout

GOOD = """\
layout: forum
title: A forum
entities:
  chats:
    table: threads
    columns:
      id:          {name: thread_no, type: bigint, key: true}
      accessed_at: {name: seen, type: epoch(s)}
  messages:
    table: posts
    columns:
      id:         {name: post_no, type: bigint, key: true}
      chat_id:    {name: thread_no, type: bigint, references: chats}
      user_id:    {name: author, type: text(40)}
      created_at: {name: posted, type: epoch(s)}
regroup: {from: messages, into: chats, by: [user_id], order: [created_at], id: "c{md5}"}
purge: {what: chats, clock: accessed_at, with: [messages]}
"""


def written(folder: Path, text: str) -> str:
    file = folder / "forum.yaml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_a_layout_of_ones_own_is_named_by_its_file(tmp_path: Path) -> None:
    layout = load_layout(written(tmp_path, GOOD))
    assert layout.join("messages", "chats") == {"chat_id": "id"}
    assert layout.entity("chats").columns["accessed_at"].type.ticks_per_second == 1


@pytest.mark.parametrize(
    ("good", "bad", "answer"),
    [
        ("references: chats", "references: chat", "forum.yaml:13: entities.messages.columns.chat_id.references"),
        ("references: chats", "references: chats.no", "no 'chats.no' to reference"),
        ("type: epoch(s)}\n  messages", "type: epoch(h)}\n  messages", "forum.yaml:8: .*epoch"),
        ("type: bigint, key: true}\n      acc", "type: bigint}\n      acc", "forum.yaml:6: .*'key: true'"),
        ("by: [user_id]", "by: [mentor_id]", "forum.yaml:16: regroup: no column 'mentor_id'"),
        ('id: "c{md5}"}', 'id: "c{md5}", gap: soon}', "forum.yaml:16: regroup.gap: expected a duration"),
        ("clock: accessed_at", "clock: seen", "forum.yaml:17: purge: no column 'seen' in 'chats'"),
        ("into: chats", "into: threads", "forum.yaml:16: regroup: no entity 'threads'"),
        ("table: posts", "tabel: posts", "forum.yaml:10: entities.messages.tabel: no such key"),
        ("layout: forum", "layout: My Forum", "forum.yaml:1: layout"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, good: str, bad: str, answer: str) -> None:
    assert GOOD.count(good) == 1
    with pytest.raises(LayoutError, match=answer):
        load_layout(written(tmp_path, GOOD.replace(good, bad)))


def test_a_child_that_nothing_ties_to_its_chat_cant_be_purged_with_it(tmp_path: Path) -> None:
    with pytest.raises(LayoutError, match="nothing says how 'messages' belongs to 'chats'"):
        load_layout(written(tmp_path, GOOD.replace(", references: chats", "")))


def test_a_pair_of_columns_can_tie_a_child_to_its_parent(tmp_path: Path) -> None:
    tied = GOOD.replace(", references: chats}", "}").replace(
        "    table: posts\n", "    table: posts\n    belongs_to: {chats: {chat_id: id, created_at: accessed_at}}\n"
    )
    layout = load_layout(written(tmp_path, tied))
    assert layout.join("messages", "chats") == {"chat_id": "id", "created_at": "accessed_at"}


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(LayoutError) as caught:
        load_layout("menter")
    assert "mentor" in (caught.value.hint or "")
