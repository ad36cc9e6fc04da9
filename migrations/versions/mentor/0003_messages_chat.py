"""Each message may belong to a chat."""

from __future__ import annotations

from chatctl.stores.sql.ddl import Reference, add_reference, drop_reference, own_key

title = "Each message may belong to a chat"
phase = "expand"

revision = "mentor_0003"
down_revision = "mentor_0002"
branch_labels = None
depends_on = None

_CHAT = Reference("messages_chatId_fkey", "messages", "chatId", "chats", "id", "SET NULL")
_INDEX = "messages_chatId_createdAt_idx"


def upgrade() -> None:
    add_reference(_CHAT, own_key(64), index=_INDEX, indexed=["chatId", "createdAt"])


def downgrade() -> None:
    drop_reference(_CHAT, index=_INDEX)
