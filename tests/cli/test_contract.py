"""The contract as a whole: every command is there, shows an example of itself, and answers as its schema says.

Each area's own tests look closer at what the answers hold; here it is seen that none was left out.
"""

from __future__ import annotations

import json
import shlex
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from tests.support import schemas
from tests.support.cli import Cli, Completed
from typer.core import TyperCommand, TyperGroup

from chatctl.cli import lazy
from chatctl.stores.redis.embedded import programs

Invoke = Callable[..., Completed]

#: Every command of the contract.
CONTRACT = """
init / config show|check / doctor / demo create|run
migrate / migrate status|plan|up|down|lint|check|rehearse|revision|history|adopt|sql
regroup plan|run|status|verify|undo|seal
sessions create|list|show|title|share|usage|validate|archive
counters list|show|check|repair|growth
permissions check|list|audit / permissions cache
purge / purge plan|run|status|stats|restore|hold|schedule
backup create|list|show|verify|restore|drill|prune
rollback plan|run
runs list|show|pause|resume|cancel|report|unlock|prune
record start|show|check|sign|finish / payload check|upgrade
users create|list|password|token / serve / smoke
env check|diff|convert|secret / code scan
import / export
"""

#: What others build on: the keys of every answer that isn't a dry run, an estimate or the like.
_FINDING = "findings[].rule findings[].severity findings[].where findings[].message findings[].hint findings[].fix"
_POLICIES = "policies[].name policies[].retention_days policies[].cutoff policies[].archive"
_STATEMENT = "sql locks rewrites_table algorithm rows bytes findings[].rule findings[].severity findings[].message"
KEYS = {
    "migrate status": "layout state current heads pending[].revision pending[].title pending[].phase",
    "migrate plan": "fingerprint steps[].revision steps[].phase steps[].statements[].findings[].hint "
    + " ".join(f"steps[].statements[].{key}" for key in _STATEMENT.split()),
    "regroup plan": "fingerprint messages_total messages_to_move groups chats_to_create standalone by gap_seconds",
    "regroup run": "messages_moved chats_created batches seconds rows_per_second",
    "regroup verify": "ok checks[].name checks[].ok checks[].expected checks[].actual",
    "counters check": "counters[].key counters[].value counters[].ttl counters[].max_issued_redis"
    " counters[].max_issued_sql counters[].state",
    "counters repair": "raised[].key raised[].from raised[].to",
    "sessions create": "id chat_name chat_type project_name",
    "sessions validate": "ids[].id ids[].valid ids[].kind ids[].reason",
    "permissions check": "allowed user project project_name reason source explain",
    "purge plan": f"{_POLICIES} eligible held deleted_chats deleted_messages archived by_account",
    "purge run": f"{_POLICIES} eligible held deleted_chats deleted_messages archived by_account",
    "purge stats": "total_conversations oldest_conversation_age_days conversations_ready_to_purge"
    " retention_policy_days messages bytes by_account by_age",
    "backup create": "id files[].name files[].bytes files[].sha256 sql.engine sql.revision sql.rows redis.keys"
    " redis.counters seconds",
    "backup verify": "ok checks[].name checks[].ok",
    "backup drill": "ok checks[].name checks[].ok",
    "doctor": _FINDING,
    "migrate lint": _FINDING,
    "env check": _FINDING,
    "code scan": _FINDING,
}

#: Commands that change neither data nor configuration, so that there is nothing to agree to and nothing to try dryly.
LOOKING = """
config show|check / doctor / migrate status|plan|lint|check|rehearse|history|sql
regroup plan|status|verify / sessions show|list|usage|validate / counters list|show|check|growth
permissions check|list|audit / permissions cache show
purge plan|status|stats|schedule / purge hold list / backup list|show|verify|drill
rollback plan / runs list|show|report / record show / users list|token / smoke
env check|diff / payload check
"""
#: These only add a file, a backup or a folder of their own, or say themselves what they replace.
ADDING = "init / demo run / migrate revision / backup create / export / payload upgrade / serve"

#: A legacy system carried over, kept, and carried back: each command and, where it isn't 0, its exit code. `{run}` and
#: the like are what an earlier answer named.
ROWS = """
demo create --messages 200 --users 20
init
config show
config check
doctor --list-checks
doctor --for purge → 9
migrate status
migrate adopt
migrate history
migrate lint
migrate rehearse
migrate plan --out plan.json
migrate sql
migrate check → 7
migrate --yes
migrate down mentor_0001 --confirm default
migrate up
runs report {run} --html run.html
rollback plan
rollback run --confirm default
migrate up
regroup plan
regroup run --yes --max-runtime 0s → 12
runs list
runs pause {run}
runs resume {run}
runs cancel {run}
runs unlock regroup
regroup run --yes
regroup status
regroup verify
regroup undo --confirm default
regroup run --yes
regroup seal --confirm default
export --out rows.jsonl
import rows.jsonl
purge plan
purge hold add --user user000001 --reason case
purge hold list
purge hold release {id}
purge run --confirm default
purge restore
purge --confirm default
purge status
purge stats
purge schedule
backup create
backup list
backup show latest
backup verify latest
backup drill latest
backup restore latest --confirm default
backup prune --keep-last 1 --confirm default
runs show {run}
runs prune
record start --lead Ada
record show
record check → 9
record sign frontend --by Ada
record finish --status rolled-back
"""

#: Sessions, their numbers and who may enter, on a system that was migrated.
SESSIONS = """
sessions create --user jane.doe
sessions title {id} --title Panels
sessions share {id} --with john.doe
sessions show {id}
sessions list --user jane.doe
sessions usage
sessions validate G-202512-000123
counters list
counters show {id}
counters check
counters growth
demo lose-counter --confirm default
counters check → 9
counters repair
permissions check jane.doe 1 → 8
permissions list --user jane.doe
permissions audit
permissions cache show
permissions cache flush
sessions archive --idle 30d
users create jane --password-stdin
users list
users password jane --password-stdin
users token jane
"""

#: Files alone.
FILES = """
env check .env → 9
env convert .env
env diff .env.backup .env
env secret
code scan . → 9
payload check old.jsonl → 9
payload upgrade old.jsonl --project demo-1a2b3c4d --chat chat-0011aabb --user {user} --out new.jsonl
"""

#: What needs an application's own project (tests/integration/test_migrate_project.py) or is a process of its own.
ELSEWHERE = {"migrate revision", "serve", "smoke", "demo run"}


EVERY = lazy.every_command()
NEEDS_REDIS = pytest.mark.skipif(not programs(), reason="there is no Redis to embed")


def words_of(listed: str) -> list[str]:
    """The words of every command in a list like the contract's."""
    found = []
    for part in listed.replace("\n", " / ").split(" / "):
        *before, last = part.split() or [""]
        found += [" ".join([*before, name]) for name in last.split("|") if name]
    return found


# --- what there is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", words_of(CONTRACT))
def test_every_command_of_the_contract_is_there(words: str) -> None:
    assert any(f"{found} ".startswith(f"{words} ") for found in EVERY)


@pytest.mark.parametrize("words", EVERY)
def test_every_commands_help_has_an_example_that_is_that_command(words: str, invoke: Invoke) -> None:
    text = " ".join(invoke(*words.split(), "--help").stdout.split())

    _, _, example = text.partition("Example: ")
    assert f"chatctl {words}" in example


def test_what_changes_something_can_be_tried_dryly_and_agreed_to() -> None:
    spared = {*words_of(LOOKING), *words_of(ADDING)}
    assert spared <= set(EVERY)
    for words in set(EVERY) - spared:
        options = {spelling for param in command_of(words).params for spelling in param.opts}
        assert options >= {"--dry-run", "--confirm"}, words


def command_of(words: str) -> TyperCommand | TyperGroup:
    first, *rest = words.split()
    command = lazy.load(first)
    for word in rest:
        assert isinstance(command, TyperGroup)
        found = command.commands[word]
        assert isinstance(found, TyperCommand | TyperGroup)
        command = found
    return command


# --- what others build on -----------------------------------------------------------------------------------


@pytest.mark.parametrize("command", KEYS)
def test_a_schema_promises_the_keys_of_the_contract(command: str) -> None:
    file = resources.files("chatctl") / f"schemas/{schemas.file_name(command)}.json"
    root = json.loads(file.read_text(encoding="utf-8"))

    shapes = list(_shapes(root["properties"]["data"], root))

    assert any(all(_promises(shape, key, root) for key in KEYS[command].split()) for shape in shapes)


def _shapes(schema: Any, root: Any) -> Iterator[Any]:
    """Every shape that an object may have, references and choices followed."""
    if "$ref" in schema:
        yield from _shapes(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    elif "properties" in schema or "type" in schema:
        yield schema
    else:
        chosen = [schema[key] for key in ("then", "else") if key in schema]
        for one in (*schema.get("oneOf", ()), *schema.get("anyOf", ()), *chosen):
            yield from _shapes(one, root)


def _promises(shape: Any, path: str, root: Any) -> bool:
    """Whether an object of that shape always has the key `path`, `a.b` inside another, `a[].b` in each of a list."""
    first, _, rest = path.partition(".")
    name = first.removesuffix("[]")
    if name not in shape.get("required", ()):
        return False
    if not rest:
        return True
    inner = [one for one in _shapes(shape["properties"][name], root) if one.get("type") != "null"]
    return all(_promises(one["items"] if first.endswith("[]") else one, rest, root) for one in inner)


# --- what each answers --------------------------------------------------------------------------------------


def test_every_command_is_made_to_answer() -> None:
    called = " / ".join(line.split(" --")[0] for line in (ROWS + SESSIONS + FILES).splitlines())
    answering = {words for words in EVERY if f"/ {words} " in f"{called} "}

    assert answering | ELSEWHERE == set(EVERY)


def answer_all(invoke: Invoke, steps: str, stdin: str = "") -> dict[str, str]:
    """Runs the steps one after the other and holds each answer to its schema; what the answers named."""
    known = {"user": "3f2b8c1e-5d6f-4a7b-8c9d-0e1f2a3b4c5d"}
    for line in filter(None, steps.splitlines()):
        call, _, exit_code = line.partition(" → ")
        answer = invoke(*shlex.split(call.format_map(known)), "-o", "json", stdin=stdin)
        assert answer.exit_code == int(exit_code or 0), str(answer)
        found = answer.json
        assert f"{call} ".startswith(f"{found['command']} ")
        assert schemas.file_name(found["command"]) in schemas.names()
        # What was stopped early says so, and how it goes on.
        assert found["errors"] if exit_code == "12" else found["data"] and not found["errors"], answer
        known |= {"run": found["run_id"]} if found["run_id"] else {}
        data = found["data"]
        known |= {"id": data["id"]} if found["command"] in ("sessions create", "purge hold add") else {}
        known |= {"run": data["runs"][0]["run_id"]} if found["command"] == "runs list" else {}
    return known


@pytest.fixture
def system(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`system("mentor")`: an empty database file in that layout is the one that commands work on."""

    def choose(layout: str) -> None:
        sqlite3.connect(tmp_path / "chat.db").close()
        monkeypatch.setenv("CHATCTL_DATABASE", f"sqlite:///{tmp_path / 'chat.db'}")
        monkeypatch.setenv("CHATCTL_LAYOUT", layout)
        monkeypatch.setenv("CHATCTL_PURGE_RETENTION_DAYS", "30")

    return choose


def test_commands_on_rows_answer_by_their_schemas(invoke: Invoke, system: Callable[[str], None]) -> None:
    system("mentor")

    answer_all(invoke, ROWS)


#: What the tests of each area don't look at closer.
DRY = """
migrate up
purge hold add --user user000001 --reason case
runs unlock schema
runs pause {run}
runs cancel {run}
record sign frontend --by Ada
record finish --status rolled-back
purge hold release {id}
"""


def test_a_dry_run_writes_nothing(invoke: Invoke, system: Callable[[str], None]) -> None:
    system("mentor")
    begun = """
demo create --messages 60 --users 5
migrate up
regroup run --yes --max-runtime 0s → 12
purge hold add --user user000001 --reason case
record start --lead Ada
runs list
"""
    known = answer_all(invoke, begun)
    before = dumped()

    for line in filter(None, DRY.splitlines()):
        answer = invoke(*shlex.split(line.format_map(known)), "--dry-run", "-o", "json")
        assert answer.exit_code == 0, str(answer)
        assert dumped() == before, line

    assert invoke("runs", "cancel", known["run"]).exit_code == 0
    assert dumped() != before


def dumped() -> list[str]:
    with closing(sqlite3.connect("chat.db")) as connection:
        return list(connection.iterdump())


@NEEDS_REDIS
def test_commands_on_sessions_answer_by_their_schemas(invoke: Invoke, system: Callable[[str], None]) -> None:
    system("native")
    assert invoke("migrate", "up").exit_code == 0
    with closing(sqlite3.connect("chat.db")) as connection:
        connection.execute("INSERT INTO projects (id, created_at) VALUES ('1', '2026-01-01 00:00:00.000000')")
        connection.commit()

    answer_all(invoke, SESSIONS, "correct horse battery\n")


def test_commands_on_files_answer_by_their_schemas(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://h/d\nREDIS_URL=redis://h\nSKIP_AUTH=true\n")
    (tmp_path / "a.py").write_text("from src import config, models\n")
    (tmp_path / "old.jsonl").write_text('{"message": "hi", "use_memory": true}\n')

    answer_all(invoke, FILES)


@NEEDS_REDIS
def test_a_server_and_its_smoke_test_answer_by_their_schemas(run_cli: Cli, tmp_path: Path) -> None:
    run_cli.environment |= {"CHATCTL_DATABASE": f"sqlite:///{tmp_path / 'chat.db'}", "CHATCTL_LAYOUT": "worker"}
    assert run_cli("migrate", "up").exit_code == 0
    server = run_cli.start("serve", "--system", "worker", "--port", "0", "--auth", "off", "-o", "json")
    assert server.stderr is not None
    line = next(line for line in map(bytes.decode, server.stderr) if "serves at" in line)

    smoke = run_cli("smoke", "--system", "worker", "--base-url", line.split()[-1], "-o", "json")
    server.send_signal(signal.SIGTERM)
    stdout, _ = server.communicate(timeout=60)

    # On a busy machine an answer may come later than the guides want it.
    assert smoke.exit_code in (0, 9), smoke
    assert smoke.json["command"] == "smoke"
    ended = Completed(("serve",), server.returncode, stdout.decode(), "")
    assert ended.exit_code == 0
    assert ended.json["command"] == "serve"


@pytest.mark.slow  # a process for each of its twenty steps
def test_the_demo_comes_to_its_end_and_answers_by_its_schema(run_cli: Cli) -> None:
    demo = run_cli("demo", "run", "--messages", "500", "-o", "json", timeout_seconds=280)

    assert demo.exit_code == 0, demo
    assert demo.json["data"]["ok"]
