"""No secret survives masking, and ordinary text does."""

from __future__ import annotations

import pytest

from chatctl.observe.masking import mask, remember_secret


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mysql://root:s3cret@db/x", "mysql://root:***@db/x"),
        (
            "postgresql+psycopg://u:p%40ss@h:5432/d?sslmode=require",
            "postgresql+psycopg://u:***@h:5432/d?sslmode=require",
        ),
        ("redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"),
        ("two: a://u:x@h and b://v:y@i", "two: a://u:***@h and b://v:***@i"),
        ("mysql://root:p@ss@db/x", "mysql://root:***@db/x"),
        ("host=db password=s3cret user=app", "host=db password=*** user=app"),
        ("dsn?password=s3cret&x=1", "dsn?password=***&x=1"),
    ],
)
def test_a_password_in_a_url_or_a_dsn_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text", ["https://host:8080/a@b", "12:30 to 13:00 @ noon", "sqlite:////var/lib/chat.db", "a password is needed"]
)
def test_what_holds_no_password_stays(text: str) -> None:
    assert mask(text) == text


def test_a_remembered_secret_is_masked_wherever_it_stands() -> None:
    remember_secret("correct horse/battery")

    assert mask("using 'correct horse/battery' now") == "using '***' now"
    assert mask("x=correct%20horse%2Fbattery") == "x=***"
