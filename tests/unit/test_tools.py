"""What an engine's own tool says when it fails becomes an error with the right exit code."""

from __future__ import annotations

import pytest

from chatctl import errors
from chatctl.stores.sql.dumps.tools import running

SAID = {
    'mariadb-dump: Got error: 2006: "Server has gone away" when selecting the database': errors.ConnectionLostError,
    "mariadb-dump: Error 1927: Connection was killed when dumping table `t` at row: 7": errors.ConnectionLostError,
    'mariadb-dump: Got error: 2013: "Lost connection to server during query"': errors.ConnectionLostError,
    "pg_dump: error: query failed: server closed the connection unexpectedly": errors.ConnectionLostError,
    "pg_dump: error: query failed: no connection to the server": errors.ConnectionLostError,
    "pg_dump: error: FATAL:  the database system is starting up": errors.CannotConnectError,
    "pg_dump: error: Dumping the contents failed: could not write: No space left on device": errors.DiskFullError,
    "mariadb-dump: Couldn't execute 'SHOW CREATE': something else": errors.DatabaseError,
}


@pytest.mark.parametrize(("said", "kind"), SAID.items(), ids=range(len(SAID)))
def test_what_a_tool_says_tells_what_kind_of_error_it_is(said: str, kind: type[errors.ChatctlError]) -> None:
    with pytest.raises(errors.ChatctlError) as caught, running(["sh", "-c", 'echo "$0" >&2; exit 2', said]):
        pass
    assert type(caught.value) is kind
    assert said in caught.value.message


def test_a_tool_that_fails_without_a_word_for_an_error_of_the_servers_has_lost_it() -> None:
    silent = ["sh", "-c", "exit 2"]
    with pytest.raises(errors.ConnectionLostError, match="it said nothing"), running(silent, server_error=2):
        pass
    with pytest.raises(errors.DatabaseError, match="it said nothing"), running(silent):
        pass
