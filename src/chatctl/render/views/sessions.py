"""How `chatctl sessions` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Paragraph, facts, rows
from chatctl.render.views import Data, view

_LIST = ("id", "chat_name", "user_id", "project_name", "status", "created_at", "message_count")
_USAGE = ("user", "month", "sessions", "archived", "messages")


@view("sessions create")
def create(data: Data) -> Iterator[Block]:
    """The new session."""
    yield facts(data, "id", "chat_name", "chat_type", "project", "project_name")
    if data["dry_run"]:
        yield Paragraph("It would be created; nothing was.")


@view("sessions show", principal="messages")
def show(data: Data) -> Iterator[Block]:
    """The record, then the messages."""
    yield facts({**data["record"], "archived": data["archived"], "last_active": data["last_active"]})
    messages = [
        {
            "at": message.get("timestamp") or message.get("created_at"),
            "role": message.get("role") or message.get("sender"),
            "content": message.get("content") or message.get("text"),
        }
        for message in data["messages"]
    ]
    yield rows(messages, "at", "role", "content", title="Messages")


@view(
    "sessions list",
    principal="sessions",
    columns=(
        "id", "chat_name", "user_id", "chat_type", "project_number", "project_name", "page_name", "status",
        "created_at", "message_count",
    ),
)  # fmt: skip
def list_sessions(data: Data) -> Iterator[Block]:
    """The sessions, and how many there are in all."""
    yield rows(data["sessions"], *_LIST, empty="There is no session.")
    if data["total"] > len(data["sessions"]):
        yield Paragraph(f"{len(data['sessions'])} of {data['total']} sessions.")


@view("sessions validate", principal="ids", columns=("id", "valid", "kind", "reason"))
def validate(data: Data) -> Iterator[Block]:
    """Each text and what is wrong with it."""
    yield rows(data["ids"], "id", "valid", "kind", "reason")


@view("sessions usage", principal="usage", columns=_USAGE)
def usage(data: Data) -> Iterator[Block]:
    """A row for each user and month."""
    yield rows(data["usage"], *_USAGE, empty="There is no session.")
