"""`chatctl env`: the environment of 1.x becomes one of 2.0 that production accepts, and 1.x again."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from tests.support.cli import Completed
from tests.support.environments import GIVEN, LEGACY, fill_in

Invoke = Callable[..., Completed]


@pytest.fixture
def env(tmp_path: Path, invoke: Invoke) -> Path:
    """A 1.x `.env` in the folder that commands run in."""
    file = tmp_path / ".env"
    file.write_text(LEGACY)
    file.chmod(0o600)
    return file


def findings(invoke: Invoke, *arguments: str | Path) -> list[tuple[str, str]]:
    """The rule and the severity of each finding of `env check`, notes left out."""
    answer = invoke("env", "check", *arguments, "--output", "json")
    found = [(item["rule"], item["severity"]) for item in answer.json["data"]["findings"]]
    serious = [finding for finding in found if finding[1] != "note"]
    assert answer.exit_code == (9 if serious else 0), answer
    return serious


# --- 1.x → 2.0 → 1.x ----------------------------------------------------------------------------------------


def test_a_1x_file_becomes_a_2_0_file_that_production_accepts_once_secrets_are_given(env: Path, invoke: Invoke) -> None:
    assert findings(invoke, "--environment", "production")

    answer = invoke("env", "convert", "--output", "json")
    assert answer.exit_code == 0, answer
    assert [item["key"] for item in answer.json["data"]["to_be_given"]] == list(GIVEN)
    assert {rule for rule, _ in findings(invoke, "--environment", "production")} == {
        "env-missing",
        "env-placeholder",
        "env-weak-secret",
    } - {"env-weak-secret"}

    env.write_text(fill_in(env.read_text(), GIVEN))
    assert findings(invoke, "--environment", "production") == []


def test_a_converted_file_goes_back_byte_by_byte(env: Path, invoke: Invoke) -> None:
    assert invoke("env", "convert", "--environment", "production").exit_code == 0
    assert invoke("env", "convert", "--features", "off").exit_code == 0

    assert invoke("env", "convert", "--to", "1.x").exit_code == 0

    assert env.read_text() == LEGACY


def test_secrets_that_were_given_stay_on_the_way_back(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert")
    env.write_text(fill_in(env.read_text(), GIVEN))

    invoke("env", "convert", "--to", "1.x")

    given = {key: value for key, value in GIVEN.items() if not key.startswith("PUSHER")}
    assert env.read_text() == fill_in(LEGACY, given)


@pytest.mark.parametrize("text", ["", "\n", "DATABASE_URL=sqlite:///x\r\n\r\n# end\r\n", "REDIS_URL=redis://h\n\n\n"])
@pytest.mark.parametrize("environment", ["development", "staging", "production"])
def test_any_file_goes_there_and_back(env: Path, invoke: Invoke, text: str, environment: str) -> None:
    env.write_bytes(text.encode())

    assert invoke("env", "convert", "-e", environment).exit_code == 0
    assert b"PUSHER_ENABLED=true" in env.read_bytes()
    assert invoke("env", "convert", "--to", "1.x").exit_code == 0

    assert env.read_bytes() == text.encode()


def test_a_conversion_keeps_every_comment_and_the_order(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert")

    lines = iter(env.read_text().splitlines())
    kept = [line for line in LEGACY.splitlines() if "DEBUG" not in line]
    assert all(line in lines for line in kept)
    assert "# 1.x: DEBUG=true  # for now\nDEBUG=false\n" in env.read_text()


def test_converting_twice_changes_nothing_more(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert")
    once = env.read_text()

    answer = invoke("env", "convert", "--output", "json")

    assert answer.json["data"]["changes"] == []
    assert answer.json["data"]["backup"] is None
    assert env.read_text() == once


def test_the_file_as_it_was_is_kept_and_never_written_over(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert")
    second = env.read_text()
    invoke("env", "convert", "--features", "off")

    assert env.with_name(".env.backup").read_text() == LEGACY
    assert env.with_name(".env.backup.2").read_text() == second
    for file in (env, env.with_name(".env.backup")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_dry_run_writes_nothing(env: Path, invoke: Invoke) -> None:
    answer = invoke("env", "convert", "--dry-run", "--output", "json")

    assert answer.json["data"]["changes"]
    assert not answer.json["data"]["written"]
    assert env.read_text() == LEGACY
    assert [item.name for item in env.parent.glob(".env*")] == [".env"]


def test_new_features_are_switched_off_and_on_again(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert")
    on = env.read_text()

    invoke("env", "convert", "--features", "off")
    off = dotenv_values(env, interpolate=False)
    assert (off["PUSHER_ENABLED"], off["AGENT_SERVICE_ENABLED"], off["WS_ENABLED"]) == ("false", "false", "true")

    invoke("env", "convert", "--features", "on")
    assert env.read_text() == on


def test_the_dashboards_file_is_converted_as_what_it_is(env: Path, invoke: Invoke) -> None:
    env.write_text("VITE_API_BASE_URL=http://127.0.0.1:8009\nVITE_WS_URL=http://127.0.0.1:8009\n")

    invoke("env", "convert")

    held = dotenv_values(env)
    assert held["VITE_PUSHER_AUTH_ENDPOINT"] == "/pusher/auth"
    assert not any(key.startswith("PUSHER") for key in held)


def test_a_value_may_be_given_but_no_secret(env: Path, invoke: Invoke) -> None:
    invoke("env", "convert", "--set", 'CORS_ORIGINS=["https://app.example.org"]')
    refused = invoke("env", "convert", "--set", "PUSHER_SECRET=x")

    assert dotenv_values(env)["CORS_ORIGINS"] == '["https://app.example.org"]'
    assert refused.exit_code == 2


# --- check --------------------------------------------------------------------------------------------------


@pytest.fixture
def good(env: Path, invoke: Invoke) -> Path:
    """A 2.0 file that production accepts."""
    invoke("env", "convert", "--set", 'CORS_ORIGINS=["https://app.example.org"]')
    env.write_text(fill_in(env.read_text(), GIVEN))
    return env


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"SKIP_AUTH": "true"}, "env-unsafe"),
        ({"DEBUG": "1"}, "env-unsafe"),
        ({"SECURITY_HEADERS_ENABLED": "off"}, "env-unsafe"),
        ({"ENVIRONMENT": "staging"}, "env-unsafe"),
        ({"CORS_ORIGINS": '["*"]'}, "env-origins"),
        ({"CORS_ORIGINS": '["https://*.example.org"]'}, "env-origins"),
        ({"CORS_ORIGINS": '["http://app.example.org"]'}, "env-origins"),
        ({"CORS_ORIGINS": "https://app.example.org"}, "env-value"),
        ({"JWT_SECRET_KEY": "your-new-super-secure-jwt-secret-key-here"}, "env-placeholder"),
        ({"JWT_SECRET_KEY": "short"}, "env-weak-secret"),
        ({"JWT_SECRET_KEY": "a" * 64}, "env-weak-secret"),
        ({"JWT_SECRET_KEY": ""}, "env-missing"),
        ({"JWT_ALGORITHM": "none"}, "env-value"),
        ({"PUSHER_KEY": ""}, "env-missing"),
        ({"PUSHER_ENABLED": "perhaps"}, "env-value"),
        ({"ROJO_PORT": "70000"}, "env-value"),
        ({"OPENAI_TEMPERATURE": "nan"}, "env-value"),
        ({"RATE_LIMIT_PER_MINUTE": "sixty"}, "env-value"),
        ({"DATABASE_URL": "localhost/platform"}, "env-value"),
        ({"DATABASE_URL": "postgresql://eduplatform:eduplatform2024@localhost/x"}, "env-placeholder"),
        ({"REDIS_URL": "http://localhost"}, "env-value"),
    ],
)
def test_what_production_must_not_have_is_found(good: Path, invoke: Invoke, change: dict[str, str], rule: str) -> None:
    good.write_text(fill_in(good.read_text(), change))

    assert {found for found, _ in findings(invoke, "-e", "production")} == {rule}


@pytest.mark.parametrize(
    ("added", "rule"),
    [
        ("this is no assignment\n", "env-syntax"),
        ("REDIS_URL=redis://other\n", "env-duplicate"),
        ("PUSHER_CLUSTR=us2\n", "env-unknown"),
        ("VITE_PUSHER_SECRET=abc\n", "env-browser"),
    ],
)
def test_what_is_wrong_with_a_line_is_found(good: Path, invoke: Invoke, added: str, rule: str) -> None:
    text = good.read_text().replace("PUSHER_CLUSTER=us2\n", "") if "CLUSTR" in added else good.read_text()
    good.write_text(text + added)

    assert rule in {found for found, _ in findings(invoke, "-e", "production")}


def test_a_variable_counts_only_while_what_it_belongs_to_is_on(good: Path, invoke: Invoke) -> None:
    good.write_text(fill_in(good.read_text(), {"PUSHER_ENABLED": "false", "PUSHER_SECRET": "", "PUSHER_KEY": ""}))

    assert findings(invoke, "-e", "production") == []


def test_a_file_that_everybody_can_read_is_found(good: Path, invoke: Invoke) -> None:
    good.chmod(0o644)

    assert findings(invoke, "-e", "production") == [("env-file-mode", "warning")]


def test_the_two_files_of_one_system_must_agree(good: Path, invoke: Invoke) -> None:
    dashboard = good.with_name("dashboard.env")
    dashboard.write_text(
        "VITE_API_BASE_URL=https://api.example.org\nVITE_PUSHER_AUTH_ENDPOINT=/pusher/auth\n"
        f"VITE_PUSHER_KEY={GIVEN['PUSHER_KEY']}\nVITE_PUSHER_CLUSTER=us2\n"
    )
    assert findings(invoke, good, dashboard, "-e", "production") == []

    dashboard.write_text(dashboard.read_text().replace("us2", "eu"))
    assert findings(invoke, good, dashboard, "-e", "production") == [("env-mismatch", "error")]


def test_the_permission_databases_variables_are_asked_of_its_own_system_alone(env: Path, invoke: Invoke) -> None:
    env.write_text("MYSQL_HOST=tpms\nMYSQL_USER=reader\nREDIS_URL=redis://redis:6379/0\nMYSQL_PASSWORD=your_password\n")

    answer = invoke("env", "check", "-e", "production", "--output", "json")

    messages = " ".join(item["message"] for item in answer.json["data"]["findings"])
    assert answer.json["data"]["systems"] == ["simorgh"]
    assert "MYSQL_DATABASE is missing" in messages
    assert "MYSQL_PASSWORD still holds" in messages
    assert "PUSHER" not in messages


def test_no_answer_holds_a_secret(good: Path, invoke: Invoke) -> None:
    good.write_text(good.read_text() + "OTHER_PASSWORD=hunter2hunter2\n")
    before = good.with_name("before.env")
    before.write_text(LEGACY)

    asked: list[tuple[Any, ...]] = [
        ("env", "check", "-e", "production"), ("env", "diff", before, good), ("env", "convert", "--dry-run"),
        ("env", "secret", "--write", good),
    ]  # fmt: skip
    for arguments in asked:
        for output in ("json", "table"):
            answer = invoke(*arguments, "--output", output)
            shown = answer.stdout + answer.stderr
            for secret in (*GIVEN.values(), "hunter2", "edu-2023"):
                assert secret not in shown or secret in (GIVEN["PUSHER_KEY"], GIVEN["PUSHER_APP_ID"])


def test_a_difference_is_told_with_what_it_means(good: Path, invoke: Invoke) -> None:
    before = good.with_name("before.env")
    before.write_text(LEGACY)

    changes = {item["key"]: item for item in invoke("env", "diff", before, good, "-o", "json").json["data"]["changes"]}

    assert changes["DEBUG"]["old"] == "true"
    assert changes["PUSHER_ENABLED"]["change"] == "added"
    assert changes["JWT_SECRET_KEY"] | {"meaning": ""} == {
        "key": "JWT_SECRET_KEY", "change": "changed", "old": "***", "new": "***", "since": "1.x", "meaning": "",
    }  # fmt: skip


# --- secrets ------------------------------------------------------------------------------------------------


def test_a_secret_is_new_each_time_and_long_enough(invoke: Invoke) -> None:
    made = {invoke("env", "secret", "-o", "json").json["data"]["secret"] for _ in range(3)}

    assert len(made) == 3
    assert all(len(secret) >= 43 for secret in made)


def test_a_secret_goes_into_the_file_in_its_place_and_is_not_shown(env: Path, invoke: Invoke) -> None:
    answer = invoke("env", "secret", "JWT_SECRET_KEY", "--write", env, "-o", "json")

    held = dotenv_values(env)["JWT_SECRET_KEY"]
    assert held is not None
    assert len(held) >= 43
    assert answer.json["data"]["secret"] is None
    assert held not in answer.stdout + answer.stderr
    assert env.read_text() == fill_in(LEGACY, {"JWT_SECRET_KEY": held})
    assert env.with_name(".env.backup").read_text() == LEGACY


def test_a_providers_secret_cant_be_made_up(invoke: Invoke) -> None:
    assert invoke("env", "secret", "OPENAI_API_KEY").exit_code == 2


def test_a_missing_file_is_a_usage_error(invoke: Invoke) -> None:
    assert invoke("env", "check", "nowhere.env").exit_code == 2
