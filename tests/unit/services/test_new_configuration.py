"""What `init` writes, and when it refuses to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from chatctl.errors import CannotConnectError, ConfigurationError, ConsentRequiredError, LayoutError
from chatctl.layouts import Layout, builtin_names
from chatctl.services.new_configuration import create
from chatctl.settings import Settings, initial_settings, load_settings
from chatctl.settings.flags import Flags

CANARY = "canary-7f3a"

LAYOUT = (
    "layout: mine\ntitle: Mine\nentities: {chats: {table: c, columns: {id: {name: id, type: integer, key: true}}}}\n"
)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with nothing of chatctl's in it."""
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """The file to write."""
    return tmp_path / "chatctl.yaml"


def _finds(*found: tuple[str, str]) -> Finder:
    return Finder(found)


class Finder:
    """Answers what the test says the database is, and remembers which layouts it was asked about."""

    def __init__(self, found: tuple[tuple[str, str], ...]) -> None:
        self.found = found
        self.asked: list[str] = []

    def __call__(self, candidates: Mapping[str, Layout]) -> list[tuple[str, str]]:
        self.asked += candidates
        return list(self.found)


def _unreachable(candidates: Mapping[str, Layout]) -> list[tuple[str, str]]:
    raise CannotConnectError("h:3306 can't be reached.")


def _initial(target: Path, environ: dict[str, str], **flags: str) -> Settings:
    return initial_settings(Flags(**flags), environ, target.parent)


def test_what_was_written_loads_and_says_the_same(target: Path, environ: dict[str, str]) -> None:
    settings = _initial(target, environ, database="mysql://root@h/chat", redis="redis://h:6379/0", context="prod")
    result = create(settings, target, _finds(("mentor", "before")), force=False, dry_run=False)
    assert (result.data["layout"], result.data["state"], result.data["written"]) == ("mentor", "before", True)
    assert target.read_text() == result.data["content"]
    assert "before" in result.data["content"]
    loaded = load_settings(Flags(), environ, target.parent)
    assert loaded.context_name == "prod"
    assert loaded.layout == "mentor"
    assert loaded.database.reveal() == "mysql://root@h/chat"
    assert loaded.redis.url.reveal() == "redis://h:6379/0"
    assert not loaded.purge_configured
    assert loaded.source("database").startswith("chatctl.yaml:")


def test_the_defaults_are_written_as_comments(target: Path, environ: dict[str, str]) -> None:
    create(_initial(target, environ), target, _finds(), force=False, dry_run=False)
    loaded = load_settings(Flags(), environ, target.parent)
    assert loaded.source("database") == "default"
    assert loaded.source("redis.url") == "default"
    assert loaded.layout == "native"
    assert "# database: sqlite:///" in target.read_text()


@pytest.mark.parametrize("name", ["123", "yes", "null", "1e3"])
def test_a_name_that_yaml_would_take_for_something_else_is_quoted(
    name: str, target: Path, environ: dict[str, str]
) -> None:
    create(_initial(target, environ, context=name), target, _finds(), force=False, dry_run=False)
    assert load_settings(Flags(), environ, target.parent).context_name == name


@pytest.mark.parametrize(
    ("flags", "variables", "expected"),
    [
        ({"database": f"mysql://u:{CANARY}@h/chat"}, {}, "env:CHATCTL_DATABASE"),
        ({}, {"CHATCTL_DATABASE": f"mysql://u:{CANARY}@h/chat"}, "env:CHATCTL_DATABASE"),
        ({}, {"DATABASE_URL": f"mysql://u:{CANARY}@h/chat"}, "env:DATABASE_URL"),
        ({}, {"CHATCTL_DATABASE": "cmd:pass show 'a b'"}, "cmd:pass show 'a b'"),
    ],
)
def test_a_password_is_never_written(
    flags: dict[str, str], variables: dict[str, str], expected: str, target: Path, environ: dict[str, str]
) -> None:
    settings = _initial(target, environ | variables, layout="mine.yaml", **flags)
    (target.parent / "mine.yaml").write_text(LAYOUT)
    if expected.startswith("cmd:"):
        with pytest.raises(ConfigurationError, match="CHATCTL_DATABASE: database: the command pass"):
            create(settings, target, _finds(), force=False, dry_run=False)
        return
    result = create(settings, target, _finds(), force=False, dry_run=False)
    assert CANARY not in target.read_text()
    assert CANARY not in str(result)
    assert f"    database: {expected}\n" in target.read_text()
    left_out = [warning.code for warning in result.warnings if warning.code == "password_left_out"]
    assert left_out == (["password_left_out"] if flags else [])


def test_a_reference_is_written_as_it_was_given(target: Path, environ: dict[str, str]) -> None:
    (target.parent / "url").write_text(f"mysql://u:{CANARY}@h/chat")
    create(_initial(target, environ, database="file:url"), target, _finds(), force=False, dry_run=False)
    assert "    database: file:url\n" in target.read_text()


def test_an_existing_file_is_kept_without_force(target: Path, environ: dict[str, str]) -> None:
    target.write_text("contexts: [broken")
    with pytest.raises(ConsentRequiredError) as caught:
        create(_initial(target, environ), target, _finds(), force=False, dry_run=False)
    assert caught.value.hint is not None
    assert "--force" in caught.value.hint
    assert target.read_text() == "contexts: [broken"


def test_force_replaces_a_file_even_where_it_is_broken(target: Path, environ: dict[str, str]) -> None:
    target.write_text("contexts: [broken")
    create(_initial(target, environ), target, _finds(("mentor", "after")), force=True, dry_run=False)
    assert load_settings(Flags(), environ, target.parent).layout == "mentor"
    assert [path.name for path in target.parent.iterdir()] == ["chatctl.yaml"]


def test_a_dry_run_writes_nothing(target: Path, environ: dict[str, str]) -> None:
    result = create(_initial(target, environ), target, _finds(("ray", "before")), force=False, dry_run=True)
    assert not target.exists()
    assert result.data["written"] is False
    assert "layout: ray" in result.data["content"]


def test_a_folder_that_cannot_be_written_is_said(target: Path, environ: dict[str, str]) -> None:
    nowhere = target.parent / "nowhere" / "chatctl.yaml"
    for force in (False, True):
        with pytest.raises(ConfigurationError, match="can't be written: No such file or directory"):
            create(_initial(target, environ), nowhere, _finds(), force=force, dry_run=False)


def test_the_default_layout_is_kept_where_it_fits_too(target: Path, environ: dict[str, str]) -> None:
    finder = _finds(("simorgh", "before"), ("native", "before"))
    result = create(_initial(target, environ), target, finder, force=False, dry_run=True)
    assert result.data["layout"] == "native"
    assert [warning.code for warning in result.warnings] == ["other_layouts_fit"]
    assert "simorgh" in result.warnings[0].message


def test_a_layout_that_was_named_is_kept_and_written_relative_to_the_file(
    target: Path, environ: dict[str, str]
) -> None:
    (target.parent / "mine.yaml").write_text(LAYOUT)
    finder = _finds(("mentor", "before"))
    create(_initial(target, environ, layout="mine.yaml"), target, finder, force=False, dry_run=False)
    assert "    layout: ./mine.yaml\n" in target.read_text()
    assert finder.asked == [*builtin_names(), str(target.parent / "mine.yaml")]
    assert load_settings(Flags(), environ, target.parent).layout == str(target.parent / "mine.yaml")


def test_a_layout_that_does_not_exist_is_refused(target: Path, environ: dict[str, str]) -> None:
    with pytest.raises(LayoutError, match=r"^flag --layout: layout: No layout is called 'nonesuch'"):
        create(_initial(target, environ, layout="nonesuch"), target, _finds(), force=False, dry_run=False)
    assert not target.exists()


def test_a_database_that_does_not_answer_stops_init_unless_the_layout_is_named(
    target: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(CannotConnectError) as caught:
        create(_initial(target, environ), target, _unreachable, force=False, dry_run=False)
    assert caught.value.hint is not None
    assert "--layout" in caught.value.hint
    assert not target.exists()
    (target.parent / "mine.yaml").write_text(LAYOUT)
    named = _initial(target, environ, layout="mine.yaml")
    result = create(named, target, _unreachable, force=False, dry_run=False)
    assert result.data["state"] == "unknown"
    assert [warning.code for warning in result.warnings] == ["cannot_connect"]


def test_a_database_that_nothing_fits_is_said(target: Path, environ: dict[str, str]) -> None:
    result = create(_initial(target, environ), target, _finds(), force=False, dry_run=True)
    assert (result.data["layout"], result.data["state"]) == ("native", "unknown")
    assert [warning.code for warning in result.warnings] == ["not_recognised"]
