"""What `config show` and `config check` answer, service by service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatctl.errors import ConfigurationError, LayoutError
from chatctl.services import configuration
from chatctl.settings import Settings, load_settings, schema
from chatctl.settings.flags import Flags
from chatctl.settings.layout import configured_layout

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def _layout_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "layout: mine\ntitle: Mine\n"
        "entities: {chats: {table: c, columns: {id: {name: id, type: integer, key: true}}}}\n"
    )


def _settings(folder: Path, context: str, **flags: str) -> Settings:
    text = f"contexts:\n  default:\n    layout: ./mine.yaml\n{context}"
    (folder / "chatctl.yaml").write_text(text)
    return load_settings(Flags(**flags), {"HOME": str(folder), "PATH": "/usr/bin:/bin"}, folder)


def test_show_gives_every_key_with_its_source(tmp_path: Path) -> None:
    settings = _settings(tmp_path, f"    database: mysql://u:{CANARY}@h/chat\n    serve: {{jwt_secret: {CANARY}}}\n")
    rows = configuration.show(settings, with_sources=True).data["settings"]
    assert [row["key"] for row in rows] == schema.dotted_keys()
    shown = {row["key"]: (row["value"], row["source"]) for row in rows}
    assert shown["database"] == ("mysql://u:***@h/chat", "chatctl.yaml:4")
    assert shown["serve.jwt_secret"] == ("***", "chatctl.yaml:5")
    assert shown["protected"] == (False, "default")


def test_show_without_sources_names_none(tmp_path: Path) -> None:
    result = configuration.show(_settings(tmp_path, ""))
    assert {tuple(row) for row in result.data["settings"]} == {("key", "value")}


def test_show_follows_references_and_masks_what_it_finds(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"mysql://u:{CANARY}@h/chat")
    (tmp_path / "jwt").write_text(CANARY)
    result = configuration.show(_settings(tmp_path, "    database: file:url\n    serve: {jwt_secret: file:jwt}\n"))
    shown = {row["key"]: row["value"] for row in result.data["settings"]}
    assert shown["database"] == "mysql://u:***@h/chat"
    assert shown["serve.jwt_secret"] == "***"
    assert CANARY not in json.dumps(result.data)


def test_show_goes_on_where_a_secret_cannot_be_read(tmp_path: Path) -> None:
    result = configuration.show(_settings(tmp_path, "    database: file:gone\n"))
    shown = {row["key"]: row["value"] for row in result.data["settings"]}
    assert shown["database"] == "file:gone"
    (warning,) = result.warnings
    assert warning.message.startswith("chatctl.yaml:4: database: the file")


def test_check_passes_what_can_be_used(tmp_path: Path) -> None:
    (tmp_path / "alembic").mkdir()
    result = configuration.check(_settings(tmp_path, "    migrations: {script_location: alembic}\n"))
    assert result.data["ok"] is True
    checked = {item["name"]: item["source"] for item in result.data["checks"]}
    assert checked["layout"] == "chatctl.yaml:3"
    assert checked["migrations.script_location"] == "chatctl.yaml:4"
    assert checked["database"] == "default"


def test_check_names_everything_that_is_wrong_with_its_line(tmp_path: Path) -> None:
    settings = _settings(
        tmp_path,
        "    database: env:NOT_SET\n    redis: {url: file:gone}\n    migrations: {script_location: nowhere}\n",
        layout="mentr",
    )
    with pytest.raises(ConfigurationError) as caught:
        configuration.check(settings)
    assert caught.value.message.splitlines() == [
        "chatctl.yaml:4: database: the variable NOT_SET isn't set.",
        f"chatctl.yaml:5: redis.url: the file {tmp_path}/gone can't be read: No such file or directory.",
        "flag --layout: layout: No layout is called 'mentr'.",
        f"chatctl.yaml:6: migrations.script_location: there is no folder {tmp_path}/nowhere.",
    ]
    assert caught.value.hint is not None
    assert "The value is read from env:NOT_SET." in caught.value.hint


def test_a_missing_layout_file_is_answered_with_who_named_it(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "")
    (tmp_path / "mine.yaml").unlink()
    with pytest.raises(LayoutError, match=r"^chatctl.yaml:3: layout: .*mine.yaml: can't be read: No such file"):
        configured_layout(settings)


def test_a_mistake_inside_a_layout_file_is_answered_with_its_own_line(tmp_path: Path) -> None:
    settings = _settings(tmp_path, "")
    (tmp_path / "mine.yaml").write_text("layout: mine\ntitle: Mine\nentitees: {}\nentities: {}\n")
    with pytest.raises(LayoutError, match=r"mine.yaml:3: entitees: no such key\."):
        configured_layout(settings)
