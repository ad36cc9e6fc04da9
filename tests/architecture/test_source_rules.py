"""The rules of the house that import contracts can't express. Each is broken on purpose once, to see it caught."""

from __future__ import annotations

import ast
import re

import pytest
from tests.support import source
from tests.support.sample import REPOSITORY
from tests.support.source import MIGRATIONS, PACKAGE, offences, python_files

MAX_LINES = 400

SOURCE = python_files(PACKAGE, MIGRATIONS)


def outside(*rooms: str) -> list:
    """The source files that lie in none of `rooms` (paths below src/chatctl)."""
    return [path for path in SOURCE if not any(path.is_relative_to(PACKAGE / room) for room in rooms)]


def caught(rule: source.Rule, text: str) -> bool:
    return bool(list(rule(ast.parse(text))))


@pytest.mark.parametrize("path", SOURCE, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_source_file_can_be_read_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


def test_a_dialects_name_is_compared_only_inside_dialects():
    assert offences(source.compared_dialect_names, outside("stores/sql/dialects")) == []


def test_only_main_exits():
    # The supervisor of the embedded Redis is a process with a __main__ of its own; a fail point dies on purpose.
    programs = ("__main__.py", "stores/redis/embedded_supervisor.py", "observe/fail_points.py")
    assert offences(source.exits, outside(*programs)) == []


def test_only_render_prints():
    # __main__ answers --version by itself: that must cost nothing.
    assert offences(source.prints, outside("render", "__main__.py")) == []


def test_only_wiring_builds_stores():
    rule = source.building(source.store_classes())
    assert offences(rule, [path for path in outside("wiring", "stores") if path not in python_files(MIGRATIONS)]) == []


def test_the_domain_and_the_errors_need_nothing_but_the_standard_library():
    files = [*python_files(PACKAGE / "domain"), PACKAGE / "errors.py"]
    assert offences(source.imports_beyond_the_standard_library, files) == []


def test_the_stores_are_found():
    assert "Database" in source.store_classes()


@pytest.mark.parametrize(
    ("rule", "breach"),
    [
        (source.compared_dialect_names, "if dialect.name == 'mysql': pass"),
        (source.compared_dialect_names, "if dialect.name in ('mariadb', 'mysql'): pass"),
        (source.compared_dialect_names, "if url.startswith('postgresql://'): pass"),
        (source.compared_dialect_names, "if engine.dialect.is_mariadb: pass"),
        (source.compared_dialect_names, "match name:\n  case 'sqlite': pass"),
        (source.exits, "import sys\nsys.exit(3)"),
        (source.exits, "raise SystemExit"),
        (source.exits, "import os\nos._exit(1)"),
        (source.prints, "print('x')"),
        (source.prints, "import sys\nsys.stderr.write('x')"),
        (source.prints, "import sys\nwrite(sys.stdout, 'x')"),
        (source.prints, "import typer\ntyper.echo('x')"),
        (source.building({"Database"}), "database = sql.Database(url)"),
        (source.imports_beyond_the_standard_library, "import sqlalchemy"),
        (source.imports_beyond_the_standard_library, "from chatctl import layouts"),
        (source.imports_beyond_the_standard_library, "def f():\n  from chatctl.settings import flags"),
    ],
)
def test_a_breach_is_caught(rule, breach):
    assert caught(rule, breach)


@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        (source.compared_dialect_names, "drivers = {'mysql': 'mysql+pymysql'}"),
        (source.compared_dialect_names, "if layout == 'mentor': pass"),
        (source.exits, "raise typer.Exit(3)"),
        (source.prints, "log.info('printed')"),
        (source.prints, "import sys\nconfigure_logging(sys.stderr)"),
        (source.building({"Database"}), "def f(database: Database) -> None: ..."),
        (source.imports_beyond_the_standard_library, "import json\nfrom chatctl.errors import UsageError"),
    ],
)
def test_what_is_allowed_is_not_caught(rule, fine):
    assert not caught(rule, fine)


# --- what never gets into the repository --------------------------------------------------------------------

# Spelled in two parts, so that this file doesn't hold what it looks for.
FOREIGN = re.compile(
    r"(?<![\w.])/(?:wo" + r"rk|ro" + r"ot|home/\w+)/"
    r"|py" + r"pi\.org|python" + r"hosted\.org|npm" + r"js\.org"
    r"|BEGIN [A-Z ]*PRIV" + r"ATE KEY|AK" + r"IA[0-9A-Z]{16}|gh" + r"p_[0-9A-Za-z]{36}"
)
TEXT_SUFFIXES = {"", ".py", ".toml", ".md", ".yaml", ".yml", ".txt", ".json", ".sh", ".lua", ".sql", ".mako", ".cfg"}
FOLDERS = [".ci", "bench", "docs", "migrations", "scripts", "src", "tests"]


def repository_texts() -> list:
    listed = [path for path in REPOSITORY.iterdir() if path.name not in {".git", "demo"}]
    for folder in FOLDERS:
        listed += (REPOSITORY / folder).rglob("*")
    return [
        path for path in listed if path.is_file() and path.suffix in TEXT_SUFFIXES and "__pycache__" not in path.parts
    ]


def test_no_file_names_a_path_of_a_developers_machine_a_package_index_or_a_secret():
    found = [
        f"{path.relative_to(REPOSITORY)}: {match.group()}"
        for path in repository_texts()
        for match in FOREIGN.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize("text", ["open('/wo" + "rk/x')", "see py" + "pi.org", "-----BEGIN RSA PRIV" + "ATE KEY-----"])
def test_such_a_text_is_caught(text):
    assert FOREIGN.search(text)
