"""What is kept, as a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatctl.render.pages.charts import bars
from chatctl.render.pages.html import Html, facts, heading, page, section, table, tiles


def stats_page(data: Mapping[str, Any]) -> str:
    """The page of what `purge stats` answers."""
    return page("Stored conversations", _estimate(data) if data["estimate"] else _parts(data))


def _estimate(data: Mapping[str, Any]) -> Iterator[Html]:
    yield heading("Stored conversations", state="estimate", under="Without data, from conversations a day.")
    yield section("Estimate", facts({key.replace("_", " "): value for key, value in data.items() if key != "estimate"}))


def _parts(data: Mapping[str, Any]) -> Iterator[Html]:
    waiting = data["conversations_ready_to_purge"]
    state, kind = (f"{waiting:,} ready to purge", "warn") if waiting else ("nothing waits", "good")
    yield heading("Stored conversations", state=state, kind=kind, under=f"{data['now']}, all times in UTC")
    yield tiles(
        {
            "conversations": data["total_conversations"],
            "messages": data["messages"],
            "megabytes": round(data["bytes"] / 1e6, 1),
            "days kept": data["retention_policy_days"],
            "days, the oldest": data["oldest_conversation_age_days"],
            "cost a month": data["cost_per_month"],
        }
    )
    ages = [(_ages(item), item["conversations"]) for item in data["by_age"]]
    yield section("By age", table(["days old", "conversations"], ages))
    yield section("By account", bars("Conversations of each account", list(data["by_account"].items())))
    yield section("Growth", facts({key.replace("_", " "): value for key, value in data["growth"].items()}))
    yield section("Forecast", facts({key.replace("_", " "): value for key, value in data["forecast"].items()}))


def _ages(item: Mapping[str, Any]) -> str:
    return f"{item['from_days']} and more" if item["to_days"] is None else f"{item['from_days']} to {item['to_days']}"
