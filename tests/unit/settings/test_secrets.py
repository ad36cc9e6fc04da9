"""Secrets: where they come from, what goes wrong there, and that they are never shown."""

from __future__ import annotations

import copy
import json
import logging
import shlex
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.settings.conftest import Load

from chatctl.errors import ConfigurationError
from chatctl.observe.masking import mask
from chatctl.settings import schema, secrets
from chatctl.yamlfile import YamlDocument

CANARY = "canary-7f3a"
URL = f"mysql://root:{CANARY}@h:3306/chat"

Write = Callable[[str], Path]


def _python(code: str) -> str:
    return f"cmd:{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def _database(reference: str) -> str:
    return f"contexts:\n  default:\n    database: {json.dumps(reference)}\n"


def test_a_file_holds_the_whole_url(load: Load, project: Write, folder: Path) -> None:
    (folder / "url").write_text(f"{URL}\r\n")
    project(_database("file:url"))
    assert load().database.reveal() == URL


def test_a_command_prints_it(load: Load, project: Write) -> None:
    project(_database(_python(f"print({URL!r})")))
    assert load().database.reveal() == URL


def test_a_command_runs_without_a_shell_in_the_folder_of_its_file(load: Load, project: Write, folder: Path) -> None:
    project(
        f"contexts: {{default: {{serve: {{jwt_secret: {json.dumps(_python('import os; print(os.getcwd())'))}}}}}}}\n"
    )
    secret = load().jwt_secret
    assert secret is not None
    assert secret.reveal() == str(folder)
    echo = load({"CHATCTL_SERVE_JWT_SECRET": "cmd:echo $HOME; id"}).jwt_secret
    assert echo is not None
    assert echo.reveal() == "$HOME; id"


def test_a_variable_holds_it(load: Load, project: Write) -> None:
    project(_database("env:CHAT_URL"))
    assert load({"CHAT_URL": URL}).database.reveal() == URL


def test_a_reference_works_in_a_variable_and_a_flag(load: Load, folder: Path) -> None:
    (folder / "url").write_text(URL)
    assert load({"CHATCTL_DATABASE": "file:url"}).database.reveal() == URL
    assert load(database="file:url").database.reveal() == URL


def test_a_reference_is_followed_when_it_is_needed_and_once(load: Load, project: Write, folder: Path) -> None:
    code = f"import pathlib; pathlib.Path('ran').open('a').write('x'); print({URL!r})"
    project(_database(_python(code)))
    settings = load()
    str(settings.database)
    assert not (folder / "ran").exists()
    settings.database.reveal()
    settings.database.shown()
    assert (folder / "ran").read_text() == "x"


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("file:nowhere", "nowhere can't be read: No such file or directory"),
        ("file:.", "can't be read: Is a directory"),
        ("file:empty", "is empty"),
        ("file:binary", "isn't UTF-8"),
        ("file:large", "is larger than 64 KiB"),
        ("file:nonsense", "expected a URL such as postgresql://"),
        ("env:NOT_SET", "the variable NOT_SET isn't set"),
        ("cmd:no-such-program --x", "the command no-such-program can't be started: No such file or directory"),
        ("cmd:echo 'x", "the command's quotes don't match"),
        ("cmd:true", "the output of true is empty"),
        (
            _python(f"import sys; print({CANARY!r}); sys.stderr.write('locked\\nsecond'); sys.exit(3)"),
            "ended with code 3: locked.",
        ),
    ],
)
def test_a_reference_that_leads_nowhere_is_answered_with_its_place(
    reference: str, said: str, load: Load, project: Write, folder: Path
) -> None:
    (folder / "empty").write_text("\n")
    (folder / "binary").write_bytes(b"\xff\xfe")
    (folder / "large").write_text("x" * 70_000)
    (folder / "nonsense").write_text(CANARY)
    project(_database(reference))
    with pytest.raises(ConfigurationError) as caught:
        load().database.reveal()
    assert caught.value.message.startswith("chatctl.yaml:3: database: ")
    assert said in caught.value.message
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in (caught.value.hint or "")


def test_a_command_that_hangs_is_stopped(load: Load, project: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "COMMAND_LIMIT_SECONDS", 0.3)
    project(_database("cmd:sleep 30"))
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"the command sleep took longer than 0\.3 s"):
        load().database.reveal()
    assert time.monotonic() - started < 10


def test_a_reference_to_nothing_is_a_mistake_with_its_line(load: Load, project: Write) -> None:
    project(_database("env: "))
    with pytest.raises(
        ConfigurationError, match=r"^chatctl.yaml:3: contexts.default.database: expected something after"
    ):
        load()


SECRETS = f"""\
contexts:
  default:
    database: {URL}
    redis: {{url: 'redis://:{CANARY}@h'}}
    permissions: {{database: 'postgresql://h/c?password={CANARY}'}}
    backup: {{store: 's3://key:{CANARY}@bucket'}}
    serve: {{jwt_secret: {CANARY}}}
"""


def test_nothing_that_settings_are_made_of_shows_a_secret(load: Load, project: Write) -> None:
    project(SECRETS)
    settings = load()
    shown = [str(settings), repr(settings), f"{settings.database}", "%s" % settings.jwt_secret]  # noqa: UP031  # the old form is what loggers use
    for entry in settings.entries.values():
        shown += [str(entry.value), repr(entry), repr(copy.copy(entry.value))]
    document = YamlDocument(SECRETS, "chatctl.yaml")
    file = document.validate(schema.ConfigurationFile)
    shown += [repr(file), str(file.model_dump()), file.model_dump_json(), file.model_dump_json(by_alias=True)]
    assert not [text for text in shown if CANARY in text]
    assert settings.database.shown() == "mysql://root:***@h:3306/chat"
    assert str(settings.jwt_secret) == "***"


def test_a_command_is_shown_by_its_program_alone(load: Load, project: Write) -> None:
    project(_database(f"cmd:curl -H token:{CANARY} vault"))
    settings = load()
    assert str(settings.database) == "cmd:curl …"
    assert CANARY not in repr(settings)


def test_what_was_revealed_is_masked_in_every_message_from_then_on(load: Load) -> None:
    password = "only-here-9c1d"
    load({"CHATCTL_DATABASE": f"mysql://root:{password}%21@h/chat"}).database.reveal()
    assert mask(f"driver said: wrong password {password}!") == "driver said: wrong password ***"


def test_a_logged_secret_is_masked(load: Load, project: Write, caplog: pytest.LogCaptureFixture) -> None:
    project(SECRETS)
    logging.getLogger("chatctl.test").warning("connecting to %s", load().database)
    assert "mysql://root:***@h:3306/chat" in caplog.text
    assert CANARY not in caplog.text
