"""How `chatctl regroup` answers people."""

from __future__ import annotations

from collections.abc import Iterator

from chatctl.render.blocks import Block, Facts, Paragraph, facts, rows
from chatctl.render.views import Data, view

_RUNS = ("run_id", "status", "state", "messages_moved", "chats_created", "by", "started", "finished", "error")
_CHECKS = ("name", "ok", "expected", "actual")


@view("regroup plan", principal="largest")
def plan(data: Data) -> Iterator[Block]:
    """What would move, the largest groups, then what it takes."""
    yield facts(data, "layout", "by", "gap_seconds", "messages_total", "messages_to_move", "standalone")
    yield facts(data, "groups", "chats_to_create")
    yield rows(data["largest"], title="Largest groups")
    missing = {entity: count for entity, count in data["companions"].items() if count}
    if missing:
        yield Facts(tuple(missing.items()), title="Missing rows that the run makes")
    yield facts(data["estimate"], title="Estimate")
    yield facts(data, "fingerprint")


@view("regroup run")
def run(data: Data) -> Iterator[Block]:
    """What was moved and made; in a dry run the plan."""
    if data.get("dry_run"):
        yield from plan(data)
        return
    yield facts(data, "messages_moved", "chats_created", "batches", "passes", "seconds", "rows_per_second")
    if data["chats_joined"]:
        yield Paragraph(f"{data['chats_joined']:,} chats were there before and took messages of theirs.")
    if data["set_aside"]:
        yield Paragraph(f"Could not be moved, and set aside: {data['set_aside']:,}.")
    if data["passes"] is not None and not data["messages_moved"]:
        yield Paragraph("Nothing to do.")


@view("regroup status", principal="runs", columns=_RUNS)
def status(data: Data) -> Iterator[Block]:
    """The runs, newest first."""
    yield facts(data, "layout", "unfinished")
    yield rows(data["runs"], *_RUNS[:-1], empty="Nothing has been regrouped here.")


@view("regroup verify", principal="checks", columns=_CHECKS)
def verify(data: Data) -> Iterator[Block]:
    """Each check, then examples of what is wrong."""
    yield rows(data["checks"], *_CHECKS)
    yield Paragraph("All holds." if data["ok"] else "Something doesn't hold.")
    if data["examples"]:
        yield rows(({"chat": chat} for chat in data["examples"]), title="For example")


@view("regroup undo")
def undo(data: Data) -> Iterator[Block]:
    """What was taken back, or would be."""
    yield facts(data, "undoes", "messages_freed", "chats_deleted", "chats_kept", "companions_deleted")
    if data["chats_kept"]:
        yield Paragraph("The chats kept are those that the application has written to since.")


@view("regroup seal")
def seal(data: Data) -> Iterator[Block]:
    """Whether anything changed."""
    if data["already"]:
        yield Paragraph(f"Run {data['sealed']} is final already.")
    else:
        verb = "would be" if data["dry_run"] else "is"
        yield Paragraph(f"Run {data['sealed']} {verb} final: it can't be undone any more.")
