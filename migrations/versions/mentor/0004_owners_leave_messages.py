"""A message's owner is its chat's owner: userId and mentorId leave messages.

Optional. Refused while a message is in no chat: it would lose its owner.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from chatctl.stores.sql.ddl import Source, bring_back_columns, remove_columns

title = "Owners leave messages"
phase = "contract"

revision = "mentor_0004"
down_revision = "mentor_0003"
branch_labels = None
depends_on = None

_MESSAGES = sa.table("messages", sa.column("id"), sa.column("chatId"))
_WITHOUT_CHAT = sa.select(sa.func.count()).select_from(_MESSAGES).where(_MESSAGES.c.chatId.is_(None))

guards = [(_WITHOUT_CHAT, "{count} messages are in no chat and would lose their owner.")]
down_guards = [(_WITHOUT_CHAT, "{count} messages are in no chat, so nothing says whose they were.")]


def upgrade() -> None:
    remove_columns("messages", _owners())


def downgrade() -> None:
    bring_back_columns("messages", _owners(), Source(parent="chats", key="id", link="chatId"))


def _owners() -> list[sa.Column[Any]]:
    return [
        sa.Column("userId", sa.String(64), nullable=False),
        sa.Column("mentorId", sa.String(64), nullable=True),
    ]
