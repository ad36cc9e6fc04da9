"""Which source wins, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from tests.unit.settings.conftest import Load

from chatctl.errors import ConfigurationError
from chatctl.settings import schema, sources
from chatctl.settings.flags import Flags

Write = Callable[[str], Path]

#: Highest first.
SOURCES = ["flag", "variable", "application", "project", "user"]

LABELS = {
    "database": {
        "flag": "flag --database",
        "variable": "CHATCTL_DATABASE",
        "application": "DATABASE_URL",
        "project": "chatctl.yaml:3",
        "user": "home/.config/chatctl/config.yaml:3",
    },
    "redis.url": {
        "flag": "flag --redis",
        "variable": "CHATCTL_REDIS_URL",
        "application": "REDIS_URL",
        "project": "chatctl.yaml:4",
        "user": "home/.config/chatctl/config.yaml:4",
    },
}


def _url(key: str, source: str) -> str:
    return f"mysql://{source}/chat" if key == "database" else f"redis://{source}:6379"


def _give(key: str, source: str, project: Write, user: Write) -> tuple[dict[str, str], dict[str, str]]:
    """Gives `key` by `source`: files are written, flags and variables handed back."""
    label, url = LABELS[key][source], _url(key, source)
    if source == "flag":
        return {label.removeprefix("flag --"): url}, {}
    if source in ("variable", "application"):
        return {}, {label: url}
    line = f"database: {url}" if key == "database" else f"# nothing\n    redis: {{url: '{url}'}}"
    (project if source == "project" else user)(f"contexts:\n  default:\n    {line}\n")
    return {}, {}


@pytest.mark.parametrize("key", sorted(LABELS))
@pytest.mark.parametrize(("higher", "lower"), list(combinations(SOURCES, 2)))
def test_the_higher_of_two_sources_wins(
    key: str, higher: str, lower: str, load: Load, project: Write, user: Write
) -> None:
    flags, variables = {}, {}
    for source in (higher, lower):
        more_flags, more_variables = _give(key, source, project, user)
        flags |= more_flags
        variables |= more_variables
    settings = load(variables, **flags)
    entry = settings.entries[key]
    assert entry.value.reveal() == _url(key, higher)
    assert entry.source.endswith(LABELS[key][higher])


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_wins_over_the_default(source: str, load: Load, project: Write, user: Write) -> None:
    flags, variables = _give("database", source, project, user)
    settings = load(variables, **flags)
    assert settings.database.reveal() == _url("database", source)
    assert settings.source("database").endswith(LABELS["database"][source])


def test_without_anything_the_database_and_redis_are_embedded(load: Load, environ: dict[str, str]) -> None:
    settings = load()
    data_dir = Path(environ["HOME"]) / ".local/share/chatctl"
    assert settings.data_dir == data_dir
    assert settings.database.reveal() == f"sqlite:///{data_dir}/chatctl.db"
    assert settings.redis.url.reveal() == "embedded"
    assert (settings.redis.chat_db, settings.redis.cache_db) == (None, None)
    assert settings.layout == "native"
    assert settings.context_name == "default"
    assert settings.protected is False
    assert settings.backup_store.reveal() == f"{data_dir}/backups"
    assert settings.purge.retention_days == 30
    assert settings.purge_configured is False
    assert {entry.source for entry in settings.entries.values()} == {"default"}
    assert settings.warnings == ()


def test_the_data_folder_follows_xdg(load: Load) -> None:
    settings = load({"XDG_DATA_HOME": "/srv/a%b?c"})
    assert settings.data_dir == Path("/srv/a%b?c/chatctl")
    assert settings.database.reveal() == "sqlite:////srv/a%25b%3Fc/chatctl/chatctl.db"


def test_a_relative_xdg_folder_is_ignored(load: Load, environ: dict[str, str]) -> None:
    assert load({"XDG_DATA_HOME": "data"}).data_dir == Path(environ["HOME"]) / ".local/share/chatctl"


def test_files_are_merged_key_by_key(load: Load, project: Write, user: Write) -> None:
    project("contexts:\n  default:\n    redis: {chat_db: 5}\n")
    user("contexts:\n  default:\n    redis:\n      chat_db: 6\n      cache_db: 7\n    layout: ray\n")
    settings = load()
    assert (settings.redis.chat_db, settings.redis.cache_db, settings.layout) == (5, 7, "ray")
    assert settings.source("redis.chat_db") == "chatctl.yaml:3"
    assert settings.source("redis.cache_db").endswith("config.yaml:5")


def test_config_replaces_the_project_file_and_not_the_users(
    load: Load, project: Write, user: Write, folder: Path
) -> None:
    project("contexts: {default: {layout: ray}}\n")
    user("contexts: {default: {layout: worker, protected: true}}\n")
    (folder / "other.yaml").write_text("contexts: {default: {layout: mentor}}\n")
    for settings in (load(config="other.yaml"), load({"CHATCTL_CONFIG": "other.yaml"})):
        assert settings.layout == "mentor"
        assert settings.source("layout") == "other.yaml:1"
        assert settings.protected
        assert settings.files[0] == "other.yaml"


def test_every_key_has_a_variable_named_after_it() -> None:
    assert sources.VARIABLES["CHATCTL_REDIS_CHAT_DB"] == "redis.chat_db"
    assert sources.VARIABLES["CHATCTL_JOURNAL_SCHEMA"] == "journal.schema"
    assert sources.VARIABLES["CHATCTL_PERMISSIONS_DATABASE"] == "permissions.database"
    assert set(sources.VARIABLES.values()) == set(schema.dotted_keys())


def test_variables_are_read_as_their_types(load: Load) -> None:
    settings = load(
        {
            "CHATCTL_REDIS_CHAT_DB": "4",
            "CHATCTL_PROTECTED": "true",
            "CHATCTL_PURGE_RETENTION_DAYS": "90",
            "CHATCTL_JOURNAL_SCHEMA": "ops",
            "REDIS_CACHE_DB": "9",
            "JWT_SECRET_KEY": "cmd:is-not-run",
        }
    )
    assert (settings.redis.chat_db, settings.redis.cache_db) == (4, 9)
    assert settings.protected is True
    assert settings.purge.retention_days == 90
    assert settings.purge_configured
    assert settings.journal_schema == "ops"
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.reveal() == "cmd:is-not-run"
    assert settings.source("serve.jwt_secret") == "JWT_SECRET_KEY"


def test_the_short_redis_variable_gives_way_to_the_long_one(load: Load) -> None:
    assert load({"CHATCTL_REDIS": "redis://short"}).redis.url.reveal() == "redis://short"
    both = load({"CHATCTL_REDIS": "redis://short", "CHATCTL_REDIS_URL": "redis://long"})
    assert both.redis.url.reveal() == "redis://long"
    assert both.source("redis.url") == "CHATCTL_REDIS_URL"


def test_an_empty_variable_counts_as_not_set(load: Load) -> None:
    settings = load({"CHATCTL_DATABASE": "", "DATABASE_URL": "", "CHATCTL_CONTEXT": "", "MYSQL_HOST": ""})
    assert settings.source("database") == "default"
    assert settings.permissions_database is None


# --- the applications' own variables ------------------------------------------------------------------------

TPMS = {"MYSQL_HOST": "tpms", "MYSQL_USER": "reader", "MYSQL_PASSWORD": "a/b:c@d%", "MYSQL_DATABASE": "TPMS"}


def test_mysql_variables_name_the_permission_database_and_nothing_else(load: Load) -> None:
    settings = load(TPMS)
    assert settings.permissions_database is not None
    assert settings.permissions_database.reveal() == "mysql://reader:a%2Fb%3Ac%40d%25@tpms:3306/TPMS"
    assert settings.source("permissions.database") == "MYSQL_*"
    assert settings.source("database") == "default"


def test_mysql_port_and_an_ipv6_host_are_used(load: Load) -> None:
    settings = load(TPMS | {"MYSQL_PORT": "3307", "MYSQL_HOST": "::1", "MYSQL_PASSWORD": "p"})
    assert settings.permissions_database is not None
    assert settings.permissions_database.reveal() == "mysql://reader:p@[::1]:3307/TPMS"


@pytest.mark.parametrize("missing", sorted(TPMS))
def test_incomplete_mysql_variables_are_said_and_not_used(missing: str, load: Load) -> None:
    settings = load({name: value for name, value in TPMS.items() if name != missing})
    assert settings.permissions_database is None
    (warning,) = settings.warnings
    assert warning.code == "incomplete_variables"
    assert missing in warning.message


def test_an_application_variable_that_makes_no_sense_is_an_error_only_where_it_counts(load: Load) -> None:
    foreign = {"DATABASE_URL": "mongodb://somewhere/else"}
    assert load(foreign, database="mysql://h/chat").source("database") == "flag --database"
    assert load(foreign | {"CHATCTL_DATABASE": "mysql://h/chat"}).source("database") == "CHATCTL_DATABASE"
    with pytest.raises(ConfigurationError, match=r"^DATABASE_URL: expected a URL that starts with one of"):
        load(foreign)


# --- contexts -----------------------------------------------------------------------------------------------

TWO = "context: b\ncontexts:\n  a: {layout: ray}\n  b: {layout: mentor, protected: true}\n"


def test_the_context_is_chosen_by_flag_then_variable_then_file(load: Load, project: Write, user: Write) -> None:
    project(TWO)
    user("context: c\ncontexts: {c: {layout: worker}}\n")
    assert load({"CHATCTL_CONTEXT": "c"}, context="a").layout == "ray"
    assert load({"CHATCTL_CONTEXT": "c"}).layout == "worker"
    chosen = load()
    assert (chosen.context_name, chosen.layout, chosen.protected) == ("b", "mentor", True)
    assert chosen.contexts == ("a", "b", "c")


@pytest.mark.parametrize(
    ("flags", "variables", "label"),
    [
        ({"context": "zz"}, {}, "flag --context"),
        ({}, {"CHATCTL_CONTEXT": "zz"}, "CHATCTL_CONTEXT"),
    ],
)
def test_an_unknown_context_names_those_there_are(
    flags: dict[str, str], variables: dict[str, str], label: str, load: Load, project: Write
) -> None:
    project(TWO)
    with pytest.raises(ConfigurationError) as caught:
        load(variables, **flags)
    assert caught.value.message == f"{label}: no context is called 'zz'."
    assert caught.value.hint == "There is: a, b."


def test_an_unknown_context_in_a_file_is_answered_with_its_line(load: Load, project: Write) -> None:
    project("contexts: {production: {}}\ncontext: producton\n")
    with pytest.raises(ConfigurationError) as caught:
        load()
    assert caught.value.message == "chatctl.yaml:2: no context is called 'producton'."
    assert caught.value.hint == "Did you mean 'production'? There is: production."


def test_a_file_with_contexts_of_which_none_is_chosen_is_worth_a_warning(load: Load, project: Write) -> None:
    project("contexts: {production: {database: 'mysql://h/chat'}}\n")
    settings = load()
    assert settings.source("database") == "default"
    assert [warning.code for warning in settings.warnings] == ["no_context_chosen"]
    assert load(database="mysql://h/chat").warnings == ()


# --- paths --------------------------------------------------------------------------------------------------


def test_relative_paths_are_seen_from_the_file_they_stand_in(load: Load, folder: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "c.yaml").write_text(
        "contexts:\n  default:\n    layout: ./mine.yaml\n    backup: {store: kept}\n"
        "    migrations: {script_location: alembic}\n    serve: {jwt_secret: file:jwt}\n"
    )
    (elsewhere / "jwt").write_text("hush\n")
    settings = load(config=str(elsewhere / "c.yaml"))
    assert settings.layout == str(elsewhere / "mine.yaml")
    assert settings.backup_store.reveal() == str(elsewhere / "kept")
    assert settings.migrations_script_location == str(elsewhere / "alembic")
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.reveal() == "hush"
    assert load(layout="mine.yaml").layout == str(folder / "mine.yaml")


def test_what_is_no_path_stays_as_it_is(load: Load, project: Write) -> None:
    project("contexts: {default: {backup: {store: 's3://bucket/x'}, migrations: {script_location: 'app:alembic'}}}\n")
    settings = load()
    assert settings.backup_store.reveal() == "s3://bucket/x"
    assert settings.migrations_script_location == "app:alembic"


def test_a_file_url_is_a_store_and_no_reference(load: Load, project: Write) -> None:
    project("contexts: {default: {backup: {store: 'file:///srv/backups'}}}\n")
    assert load().backup_store.reveal() == "file:///srv/backups"


# --- purge --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["retention_days: 30", "archive: none", "unattended: false"])
def test_saying_any_of_a_purge_policy_configures_it(said: str, load: Load, project: Write) -> None:
    project(f"contexts: {{default: {{purge: {{{said}}}}}}}\n")
    assert load().purge_configured


def test_an_empty_purge_section_is_no_policy(load: Load, project: Write) -> None:
    project("contexts:\n  default:\n    purge:\n      # retention_days: 3\n    redis:\n")
    assert not load().purge_configured


# --- warnings -----------------------------------------------------------------------------------------------


def test_a_variable_that_looks_like_a_known_one_is_worth_a_warning(load: Load) -> None:
    settings = load(
        {"CHATCTL_DATABSE": "x", "CHATCTL_TEST_MYSQL_URL": "x", "CHATCTL_OUTPUT": "json", "CHATCTL_ZZZ": ""}
    )
    (warning,) = settings.warnings
    assert warning.message == "The variable CHATCTL_DATABSE is not read."
    assert warning.hint == "Did you mean CHATCTL_DATABASE?"


@pytest.mark.parametrize(
    ("flag", "url", "variable"),
    [
        ("database", "mysql://root:canary@h/chat", "CHATCTL_DATABASE"),
        ("database", "postgresql://h/chat?user=x&password=canary", "CHATCTL_DATABASE"),
        ("redis", "redis://:canary@h:6379/0", "CHATCTL_REDIS_URL"),
    ],
)
def test_a_password_in_a_flag_works_with_a_warning(flag: str, url: str, variable: str, load: Load) -> None:
    settings = load(**{flag: url})
    (warning,) = settings.warnings
    assert warning.code == "password_in_flag"
    assert warning.hint is not None
    assert variable in warning.hint
    assert "canary" not in repr(settings)


def test_a_url_without_a_password_is_no_warning(load: Load) -> None:
    assert load(database="mysql://root@h/chat", redis="unix:///run/r.sock?db=0").warnings == ()


def test_flags_show_no_values() -> None:
    assert "canary" not in repr(Flags(database="mysql://root:canary@h/chat"))
