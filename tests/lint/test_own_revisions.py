"""chatctl's own expand revisions do no harm, whatever engine they run on."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.support.cli import Completed
from tests.support.migrated import Migrated

from chatctl.layouts import Phase, builtin_names, load_layout
from chatctl.stores.sql.database import Database

Invoke = Callable[..., Completed]

pytestmark = pytest.mark.usefixtures("squawk")


@pytest.mark.parametrize("dialect", ["sqlite", "mariadb", "mysql", "postgresql"])
@pytest.mark.parametrize("layout", builtin_names())
def test_all_revisions_of_a_layout_are_clean_without_a_database(invoke: Invoke, layout: str, dialect: str) -> None:
    answer = invoke("migrate", "lint", "--dialect", dialect, "--layout", layout, "--strict", "--output", "json")

    assert answer.exit_code == 0, answer
    assert answer.json["data"]["findings"] == []
    assert answer.json["warnings"] == []
    assert answer.json["data"]["statements"] > 0


@pytest.mark.parametrize("layout", builtin_names())
def test_what_is_pending_on_a_legacy_database_is_clean(invoke: Invoke, layout: str, engine_url: str) -> None:
    database = Database(engine_url)
    migrated = Migrated(load_layout(layout), database)
    migrated.up_to(Phase.LEGACY)
    database.close()

    answer = invoke("migrate", "lint", "--database", engine_url, "--layout", layout, "--strict", "-o", "json").json

    pending = [revision.id for revision in migrated.revisions.chain if revision.phase is not Phase.LEGACY]
    assert answer["exit_code"] == 0
    assert answer["data"]["sources"] == pending
    assert answer["data"]["findings"] == []
