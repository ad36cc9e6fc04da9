"""How `chatctl purge` answers people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.blocks import Block, Code, Facts, Paragraph, Rows, facts, rows
from chatctl.render.views import Data, view

_POLICY = ("name", "retention_days", "cutoff", "archive")
_RUN = ("run_id", "status", "started", "deleted_chats", "deleted_messages", "held", "backlog", "seconds", "error")
_HOLD = ("id", "kind", "value", "state", "reason", "author", "created", "expires", "released")
_BAR_WIDTH = 40
_LISTED_ACCOUNTS = 20


@view("purge plan", principal="policies", columns=_POLICY)
def plan(data: Data) -> Iterator[Block]:
    """The policies, what would go and what stays, then the space."""
    yield rows(data["policies"], *_POLICY, title="Policies")
    kept = ("held", "restored", "exempt", "without_clock", "in_future")
    yield facts(data, "total", "eligible", "eligible_messages", *kept, title="Conversations")
    yield from _accounts(data["by_account"])
    yield facts(data["forecast"], title="Space")
    yield facts(data, "layout", "clock_index", "fingerprint")
    for reason in data["guards"]:
        yield Paragraph(f"Look twice: {reason}")


@view("purge", principal="policies", columns=_POLICY)
@view("purge run", principal="policies", columns=_POLICY)
def run(data: Data) -> Iterator[Block]:
    """What was deleted; with --dry-run the plan."""
    if "erased" in data:
        yield facts({key: value for key, value in data.items() if key != "other_rows"})
        yield facts(data.get("other_rows", {}), title="Other rows")
        return
    if data.get("dry_run"):
        yield from plan(data)
        return
    yield rows(data["policies"], *_POLICY, title="Policies")
    counted = ("eligible", "held", "deleted_chats", "deleted_messages", "archived", "backlog")
    yield facts(data, *counted, "batches", "seconds")
    yield from _accounts(data["by_account"])


@view("purge status", principal="runs", columns=_RUN)
def status(data: Data) -> Iterator[Block]:
    """What is waiting, then the last runs."""
    yield facts(data, "layout", "backlog", "backlog_trend", "backlog_grows")
    yield rows(data["runs"], *_RUN, title="Runs", empty="none yet")


@view("purge stats", principal="by_age", columns=("from_days", "to_days", "conversations"))
def stats(data: Data) -> Iterator[Block]:
    """The figures, conversations by age as bars, growth and cost."""
    plain = {key: value for key, value in data.items() if not isinstance(value, Mapping | list)}
    yield facts(plain)
    if "by_age" in data:
        yield _bars(data["by_age"])
        yield facts({**data["growth"], **data["forecast"]}, title="Growth and forecast")
        yield from _accounts(data["by_account"])


@view("purge hold list", principal="holds", columns=_HOLD)
def holds(data: Data) -> Iterator[Block]:
    """The holds."""
    yield rows(data["holds"], *_HOLD, empty="no hold")


@view("purge schedule", principal="files", columns=("name", "content"))
def schedule(data: Data) -> Iterator[Block]:
    """Each file under its name; a crontab as it is."""
    for file in data["files"]:
        heading = f"# {file['name']}\n" if len(data["files"]) > 1 else ""
        yield Code(heading + file["content"].rstrip())


def _accounts(by_account: Mapping[str, int]) -> Iterator[Block]:
    largest = sorted(by_account.items(), key=lambda item: (-item[1], item[0]))[:_LISTED_ACCOUNTS]
    if largest:
        more = f" (the largest {_LISTED_ACCOUNTS} of {len(by_account):,})" if len(by_account) > len(largest) else ""
        yield Facts(tuple((name or "(none)", count) for name, count in largest), title=f"By account{more}")


def _bars(by_age: list[dict[str, Any]]) -> Rows:
    """Conversations by age, the longest bar for the fullest age."""
    most = max((item["conversations"] for item in by_age), default=0) or 1
    lines = tuple(
        (_age(item), item["conversations"], "█" * round(item["conversations"] * _BAR_WIDTH / most)) for item in by_age
    )
    return Rows(("days since last access", "conversations", ""), lines, title="By age")


def _age(item: Mapping[str, Any]) -> str:
    return f"{item['from_days']} – {item['to_days']}" if item["to_days"] is not None else f"over {item['from_days']}"
