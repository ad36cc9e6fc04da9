"""Where files are looked for, also where the home folder is of no use."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatctl.errors import ConfigurationError
from chatctl.settings import locations

PROBE = """
import os, sys
from pathlib import Path
import chatctl.settings.loading
os.setgroups([])
os.setuid(65533)
from chatctl.settings import load_settings
from chatctl.settings.flags import Flags
print(load_settings(Flags(), dict(os.environ), Path(sys.argv[1])).source("database"))
"""


def test_a_home_that_may_not_be_searched_holds_no_configuration(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become an account that may not search a folder")
    closed = tmp_path / "closed"
    (closed / ".config/chatctl").mkdir(parents=True)
    (closed / ".config/chatctl/config.yaml").write_text("nonsense: 1\n")
    (closed / "chatctl.yaml").write_text("nonsense: 1\n")
    closed.chmod(0o700)
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(closed)],
        env={"HOME": str(closed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "default\n", done.stderr


def test_an_account_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_294_967_000)
    with pytest.raises(ConfigurationError, match=r"^There is no home folder\.$") as caught:
        locations.data_dir({})
    assert caught.value.hint is not None
    assert "XDG_DATA_HOME" in caught.value.hint
    assert locations.data_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/chatctl")


def test_a_path_is_seen_from_its_base(tmp_path: Path) -> None:
    assert locations.placed("a/b", tmp_path) == tmp_path / "a/b"
    assert locations.placed("/a/b", tmp_path) == Path("/a/b")
    assert locations.placed("~no-such-user/b", tmp_path) == tmp_path / "~no-such-user/b"
