"""URLs: which are accepted, what is said of the others, and that no password is ever shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from chatctl.settings.urls import check_database_url, check_redis_url, has_password, mask_url, passwords


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///chat.db",
        "sqlite:////var/lib/chat.db",
        "mysql://h/chat",
        "mysql+pymysql://u:p@h:3306/chat?charset=utf8mb4",
        "mariadb://u@/chat?unix_socket=/run/mysqld.sock",
        "postgresql://u:p%40ss@[::1]:5432/chat",
        "postgresql+asyncpg://u:p@h/chat",
        "postgres://u:p@h/chat",
        "postgresql://u@/chat?host=/run/postgresql",
    ],
)
def test_a_database_url_is_accepted_that_sqlalchemy_can_read(url: str) -> None:
    check_database_url(url)
    make_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("chat.db", "expected a URL such as postgresql://"),
        ("", "expected a URL such as postgresql://"),
        ("mysql://h/chat canary", "expected a URL such as postgresql://"),
        ("mysq://u:canary@h/chat", "found 'mysq' (did you mean mysql?)"),
        ("oracle://u:canary@h/chat", "found 'oracle'"),
        ("mysql://h:33o6/chat", "expected a port between 1 and 65535"),
        ("mysql://h:99999/chat", "expected a port between 1 and 65535"),
        ("mysql://u:can@ary@h/chat", "must be written %40"),
        ("mysql://u:p@h", "expected the database's name"),
        ("sqlite://chat.db", "expected sqlite:///FILE"),
    ],
)
def test_a_wrong_database_url_is_answered_with_what_was_expected(url: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_database_url(url)
    assert said in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["embedded", "redis://h", "redis://:p@h:6379/0", "rediss://u:p@h/3?ssl_cert_reqs=none", "unix:///r.sock?db=0"],
)
def test_a_redis_url_is_accepted(url: str) -> None:
    check_redis_url(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("embeded", "or embedded"),
        ("http://h", "found 'http'"),
        ("redis://h/zero", "expected a database number"),
        ("redis://h:0/0", "expected a port"),
        ("unix://", "expected the socket's absolute path"),
    ],
)
def test_a_wrong_redis_url_is_answered_with_what_was_expected(url: str, said: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_redis_url(url)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://u:canary@h:3306/chat", "mysql://u:***@h:3306/chat"),
        ("redis://:canary@h/0", "redis://:***@h/0"),
        ("mysql://u:can/ary@h/chat", "mysql://u:***@h/chat"),
        ("mysql://u:can@ary@h/chat", "mysql://u:***@h/chat"),
        ("mysql://u:can?ary@h/chat", "mysql://u:***@h/chat"),
        (
            "postgresql://h/c?user=u&password=canary&sslmode=require",
            "postgresql://h/c?user=u&password=***&sslmode=require",
        ),
        ("s3://b/f?aws_secret_access_key=canary", "s3://b/f?aws_secret_access_key=***"),
        ("mysql://h/chat?mail=a@b", "mysql://h/chat?mail=a@b"),
        ("mysql://u@h/chat", "mysql://u@h/chat"),
        ("embedded", "embedded"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@given(
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1).map(lambda text: f"canary{text}canary"),
    st.sampled_from(["mysql://u:{}@h/chat", "redis://:{}@h:6379/0", "postgresql://u:{}@h/c?password=canary"]),
)
def test_no_password_however_written_is_shown(password: str, form: str) -> None:
    assert "canary" not in mask_url(form.format(password))


def test_passwords_are_found_decoded_and_wherever_they_stand() -> None:
    assert passwords("mysql://u:p%40ss@h/chat?passwd=x%2Fy") == ["p@ss", "x/y"]
    assert not has_password("mysql://u@h/chat?charset=utf8mb4")
    assert not has_password("mysql://u:@h/chat")
    assert not has_password("/srv/backups")
