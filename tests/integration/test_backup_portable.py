"""A portable backup of one engine is restored into another, and no value differs."""

from __future__ import annotations

import itertools
import random
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.support.backups import Invoke, Site, make_site

from chatctl.domain.backups import TableState
from chatctl.layouts import Column, Kind, Layout, load_layout
from chatctl.services.backup.portable import PortableDump
from chatctl.services.migrate.target import MigrationTarget
from chatctl.stores.sql.database import Database
from chatctl.stores.sql.dumps import dumper_for
from chatctl.stores.sql.journal import Journal
from chatctl.stores.sql.tables import LayoutTables

SEED = 20261120
#: In each table; `make soak` takes more.
ROWS, SOAK_ROWS = 100, 10_000
ENGINES = ("sqlite", "mariadb", "postgresql")
ALPHABET = "abcXYZ 0129 \t\n\r\\'\"`%{}[]:;,./<>|&$#@!~-_=+ \x01\x7f\u2028"
ALPHABET += "äßñ یک\u200cدو 你好 \U0001f600\U0001f468\u200d\U0001f469"


class Rows:
    """Makes rows of a layout that hold every kind of value that its columns may."""

    def __init__(self, layout: Layout, database: Database) -> None:
        with database.connect() as connection:
            inspector = sa.inspect(connection)
            names = inspector.get_table_names()
            self._present = {name: {column["name"] for column in inspector.get_columns(name)} for name in names}
            self._unique = {
                name: [key["column_names"] for key in inspector.get_unique_constraints(name)]
                + [index["column_names"] for index in inspector.get_indexes(name) if index["unique"]]
                + [inspector.get_pk_constraint(name)["constrained_columns"]]
                for name in names
            }
        self._layout = layout
        self._database = database
        self._chance = random.Random(SEED)
        self._keys: dict[tuple[str, str], list[Any]] = {}

    def fill(self, count: int) -> None:
        tables = LayoutTables(self._layout, present=self._present)
        left = list(tables)
        while left:
            ready = [each for each in left if not self._parents(each) & (set(left) - {each})]
            key = (ready or left)[0]
            left.remove(key)
            rows = [self._row(key, tables[key], number) for number in range(1, count + 1)]
            unique = self._without_repeats(tables[key], rows)
            for column in tables[key].c:
                self._keys[key, column.key] = [row[column.key] for row in unique if row[column.key] is not None]
            with self._database.begin() as connection:
                connection.execute(tables[key].insert(), unique)

    def _without_repeats(self, table: sa.Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = {column.name: column.key for column in table.c}
        for names in self._unique[table.name]:
            if set(names) <= set(keys):
                seen = {tuple(str(row[keys[name]]).lower() for name in names): row for row in rows}
                rows = list(seen.values())
        return rows

    def _parents(self, key: str) -> set[str]:
        columns = self._layout.entity(key).columns.values()
        return {str(column.references).partition(".")[0] for column in columns if column.references}

    def _row(self, key: str, table: sa.Table, number: int) -> dict[str, Any]:
        declared = self._layout.entity(key).columns
        alone = {names[0] for names in self._unique[table.name] if len(names) == 1}
        return {c.key: self._value(declared[c.key], number, alone=c.name in alone) for c in table.c}

    def _value(self, column: Column, number: int, *, alone: bool) -> Any:
        """A value; one that is unique by itself is so under every engine's collation."""
        if column.references:
            parent, _, its = column.references.partition(".")
            known = self._keys.get((parent, its or self._layout.entity(parent).primary_key[0]))
            return self._chance.choice(known) if known and not (column.nullable and number % 3 == 0) else None
        if column.nullable and number % 5 == 0:
            return None
        if column.choices:
            return self._chance.choice(column.choices)
        if column.primary or alone:
            return self._key(column, number)
        return self._plain(column)

    def _key(self, column: Column, number: int) -> Any:
        if column.type.kind in (Kind.INTEGER, Kind.BIGINT):
            return number
        if column.type.kind is Kind.UUID:
            return str(uuid.UUID(int=number))
        text = f"{number}-{uuid.UUID(int=number)}"
        return text[: column.type.length] if column.type.length else text

    def _plain(self, column: Column) -> Any:
        chance, kind = self._chance, column.type.kind
        moment = datetime(1971, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(2 * 10**15))
        makers: dict[Kind, Callable[[], Any]] = {
            Kind.TEXT: lambda: self._text(min(column.type.length or 300, 300)),
            Kind.LONGTEXT: lambda: self._text(2_000),
            Kind.INTEGER: lambda: chance.randrange(-(2**31), 2**31),
            Kind.BIGINT: lambda: chance.randrange(-(2**63), 2**63),
            Kind.BOOLEAN: lambda: chance.random() < 0.5,
            Kind.FLOAT: lambda: chance.choice([0.1, -1e300, 1e-300, 3.0, chance.random()]),
            Kind.DECIMAL: lambda: Decimal(chance.randrange(-(10**6), 10**6)).scaleb(-2),
            Kind.JSON: lambda: {"text": self._text(50), "list": [1, 2.5, None, True], "": {}},
            Kind.UUID: lambda: str(uuid.UUID(int=chance.getrandbits(128))),
            Kind.DATETIME: lambda: moment.replace(microsecond=0) if column.type.precision == 0 else moment,
            Kind.EPOCH: lambda: moment,
        }
        return makers[kind]()

    def _text(self, length: int) -> str:
        return "".join(self._chance.choice(ALPHABET) for _ in range(self._chance.randrange(length)))


@pytest.fixture
def url_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """Makes one more empty database on an engine."""
    numbers = itertools.count()

    def make(engine: str) -> str:
        if engine == "sqlite":
            file = tmp_path / f"{next(numbers)}.db"
            file.touch()
            return f"sqlite:///{file}"
        databases = request.getfixturevalue(f"{engine}_databases")
        url: str = databases.create_database()
        request.addfinalizer(lambda: databases.drop_database(url))
        return url

    return make


def states(url: str, layout: str) -> dict[str, TableState]:
    """The rows and fingerprints of the layout's tables, looked at afresh."""
    database = Database(url)
    try:
        target = MigrationTarget(database, load_layout(layout), Journal(database))
        return PortableDump(target, dumper_for(database)).census()
    finally:
        database.close()


def fingerprints(url: str, layout: str) -> dict[str, Any]:
    """The rows by the dialects' own fingerprint, computed in SQL.

    JSON is left out, whose text may be spaced otherwise, and floats, of which it takes six decimals.
    """
    database = Database(url)
    try:
        with database.connect() as connection:
            inspector = sa.inspect(connection)
            names = {name: {c["name"] for c in inspector.get_columns(name)} for name in inspector.get_table_names()}
            tables = LayoutTables(load_layout(layout), present=names)
            found = {}
            for key in tables:
                columns = [c.key for c in tables[key].c if not isinstance(c.type, sa.JSON | sa.Float)]
                found[key] = database.dialect.fingerprint(connection, tables[key], columns)
            return found
    finally:
        database.close()


@pytest.mark.mysql
@pytest.mark.postgresql
@pytest.mark.parametrize("layout", ["mentor", "toolboxai", "ray", "native"])
@pytest.mark.parametrize("source", ENGINES)
@pytest.mark.parametrize("rows", [ROWS, pytest.param(SOAK_ROWS, marks=[pytest.mark.slow, pytest.mark.timeout(7200)])])
def test_every_engine_gives_back_what_another_one_held(
    rows: int,
    source: str,
    layout: str,
    url_of: Callable[[str], str],
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    origin = url_of(source)
    site = make_site(invoke, monkeypatch, tmp_path, origin, layout)
    assert invoke("migrate", "up", f"{layout}_0001").exit_code == 0
    assert invoke("migrate", "--yes").exit_code == 0
    database = Database(origin)
    Rows(load_layout(layout), database).fill(rows)
    database.close()
    created = site("create", "--portable", "--drill")
    assert created["drill"]["ok"], created["drill"]
    expected, by_sql = states(origin, layout), fingerprints(origin, layout)
    assert created["sql"]["rows"] == {name: state.rows for name, state in expected.items()}
    assert sum(created["sql"]["rows"].values()) >= rows

    for engine in ENGINES:
        another = url_of(engine)
        site("restore", created["id"], "--into", another)
        assert states(another, layout) == expected, engine
        assert fingerprints(another, layout) == by_sql, engine
        monkeypatch.setenv("CHATCTL_DATABASE", another)
        assert invoke("migrate", "check").exit_code in (0, 7)
        monkeypatch.setenv("CHATCTL_DATABASE", origin)


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str) -> Site:
    site = make_site(invoke, monkeypatch, tmp_path, sqlite_url, "mentor")
    Path(sqlite_url.removeprefix("sqlite:///")).touch()
    assert invoke("migrate", "up", "mentor_0001").exit_code == 0
    database = Database(sqlite_url)
    Rows(load_layout("mentor"), database).fill(5)
    database.close()
    return site


def test_a_portable_restore_replaces_what_is_there(site: Site) -> None:
    backup, held, schema = site.create("--portable"), states(site.url, "mentor"), site.schema()
    site.execute("DELETE FROM messages", "CREATE TABLE later (id INTEGER PRIMARY KEY)")
    changed = site.rows()

    safety = site.restore(backup)["safety_backup"]

    assert (states(site.url, "mentor"), site.schema()) == (held, schema)
    site.restore(safety)
    assert site.rows() == changed


def test_a_text_with_a_nul_is_refused_by_name(site: Site) -> None:
    site.execute(r"UPDATE messages SET content = 'a backslash and u0000: \u0000'")
    site.create("--portable")
    site.execute("UPDATE messages SET content = 'a' || char(0) || 'b'")

    (error,) = site("create", "--portable", expected=9)

    assert "messages" in error["message"]
    assert "NUL" in error["message"]


def test_a_column_that_the_layout_does_not_know_is_never_left_out_in_silence(site: Site) -> None:
    site.execute("ALTER TABLE messages ADD COLUMN mood TEXT")

    (error,) = site("create", "--portable", expected=4)

    assert "mood" in error["message"]
    site.create()
