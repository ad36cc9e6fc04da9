"""Encrypted and signed backups, stores behind a URL, retention, and what must never be written down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.backups import Invoke, Site, make_site
from tests.support.cli import Cli
from tests.support.legacy import make_legacy

from chatctl.services.backup.reading import Sample, verify
from chatctl.services.backup.sealing import Opening
from chatctl.stores.repository.folder import FolderRepository

pytest.importorskip("pyrage", reason="the extra 'backup' isn't installed")
import pyrage
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

CANARY = "c4nary-in-the-mine"


@pytest.fixture
def site(invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sqlite_url: str) -> Site:
    make_legacy(sqlite_url, "mentor")
    (tmp_path / ".env").write_text(f"API_KEY={CANARY}\nexport PLAIN=1\n")
    return make_site(invoke, monkeypatch, tmp_path, sqlite_url, "mentor")


def key_files(folder: Path, name: str) -> tuple[Path, Path]:
    """The PEM files of a new key pair: private, public."""
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    form, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(form, serialization.PrivateFormat.PKCS8, plain))
    public.write_bytes(key.public_key().public_bytes(form, serialization.PublicFormat.SubjectPublicKeyInfo))
    return private, public


@pytest.fixture
def identity(tmp_path: Path) -> tuple[Path, str]:
    """The file of an age identity, and its recipient."""
    made = pyrage.x25519.Identity.generate()
    file = tmp_path / "identity.txt"
    file.write_text(f"# created: now\n{made}\n")
    return file, str(made.to_public())


def test_an_encrypted_backup_holds_nothing_in_the_clear_and_comes_back(site: Site, identity: tuple[Path, str]) -> None:
    rows = site.rows()
    file, recipient = identity
    created = site("create", "--recipient", recipient, "--drill", "--identity", str(file))
    assert (created["encrypted"], created["drill"]["ok"]) == (True, True)
    folder = site.store / created["id"]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".age", ".json"}
    for path in folder.rglob("*.age"):
        assert path.read_bytes().startswith(b"age-encryption.org/v1")
    site.execute("DELETE FROM messages")

    (error,) = site.restore(created["id"], expected=4)
    assert "--identity" in error["hint"]
    restored = site.restore(created["id"], "--identity", str(file))

    assert site.rows() == rows
    assert site("show", restored["safety_backup"])["encrypted"]


def test_another_identity_opens_nothing_and_nothing_is_changed(
    site: Site, identity: tuple[Path, str], tmp_path: Path
) -> None:
    backup = site.create("--recipient", identity[1])
    other = tmp_path / "other.txt"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    rows = site.rows()

    (error,) = site.restore(backup, "--identity", str(other), "--no-safety-backup", expected=9)

    assert "can't be decrypted" in error["message"]
    assert site.rows() == rows


def test_only_what_the_trusted_key_signed_is_restored(site: Site, tmp_path: Path) -> None:
    mine, theirs = key_files(tmp_path, "mine"), key_files(tmp_path, "theirs")
    unsigned, signed = site.create(), site.create("--sign-key", str(mine[0]))
    forged = site.create("--sign-key", str(theirs[0]))

    assert site("show", signed, "--trusted-key", str(mine[1]))["signed"] is True
    assert site("verify", signed, "--trusted-key", str(mine[1]))["ok"]
    for backup, words in ((unsigned, "isn't signed"), (forged, "another key")):
        (error,) = site.restore(backup, "--trusted-key", str(mine[1]), expected=9)
        assert words in error["message"]


def test_each_byte_of_a_signed_manifest_counts(site: Site, tmp_path: Path) -> None:
    backup = site.create("--sign-key", str(key_files(tmp_path, "mine")[0]))
    manifest = site.store / backup / "manifest.json"
    data = manifest.read_bytes()
    end = data.index(b"\n")

    for place in range(end + 1):
        manifest.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        assert not verify(FolderRepository(site.store), backup, Opening(), Sample()).data["ok"], place


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [("--recipient", "age1nonsense", "no age recipient"), ("--sign-key", "missing.key", "doesn't exist")],
)
def test_what_cannot_seal_is_said_before_anything_is_taken(site: Site, option: str, text: str, words: str) -> None:
    answer = site.invoke("backup", "create", option, text, "-o", "json")

    assert answer.exit_code in (4, 11)
    assert words in answer.json["errors"][0]["message"]
    assert not site.store.exists()


def test_a_store_behind_a_url_works_like_a_folder(
    site: Site, monkeypatch: pytest.MonkeyPatch, identity: tuple[Path, str]
) -> None:
    monkeypatch.setenv("CHATCTL_BACKUP_STORE", "memory://bucket/backups")
    rows = site.rows()
    plain = site.create("--drill")
    sealed = site.create("--recipient", identity[1])
    assert {each["state"] for each in site("list")["backups"]} == {"complete"}
    assert all(site("verify", each)["ok"] for each in (plain, sealed))
    site.execute("DELETE FROM messages")

    site.restore(plain)
    assert site.rows() == rows
    site.execute("DELETE FROM messages")
    site.restore(sealed, "--identity", str(identity[0]))
    assert site.rows() == rows

    removed = site("prune", "--keep-last", "1", "--confirm", "default")["removed"]
    assert len(removed) == 3
    assert [each["id"] for each in site("list")["backups"]] not in removed


def test_prune_shows_first_then_removes_and_never_the_last_one(site: Site) -> None:
    backups = sorted(site.create() for _ in range(4))
    unfinished = site.store / "20200101-000000-00000000"
    unfinished.mkdir()

    planned = site("prune", "--keep-last", "2", "--dry-run")
    assert len(planned["removed"]) == 3
    assert unfinished.name in planned["removed"]
    assert len(list(site.store.iterdir())) == 5
    (error,) = site("prune", "--keep-last", "2", "--yes", expected=2)
    assert error["code"] == "consent_required"
    site("prune", "--keep-last", "2", "--confirm", "default")
    assert len(site("list")["backups"]) == 2
    site("prune", "--keep-monthly", "1", "--minimum", "2", "--confirm", "default")
    assert len(site("list")["backups"]) == 2
    assert {each["id"] for each in site("list")["backups"]} <= set(backups)


def test_a_backup_that_a_run_names_is_never_pruned(site: Site) -> None:
    needed, later = site.create(), ""
    assert site.invoke("migrate", "--yes").exit_code == 0
    site.execute(f"UPDATE chatctl_runs SET totals = '{json.dumps({'restore_point': needed})}'")
    time.sleep(1.1)
    later = site.create()

    kept = site("prune", "--keep-last", "1", "--dry-run")["kept"]

    assert {each["id"]: each["why"] for each in kept} == {needed: "needed by a run", later: "last"}


def test_a_secret_of_the_configuration_stays_out_of_a_plain_backup(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATCTL_REDIS", f"redis://u:{CANARY}@127.0.0.1:1/0")
    monkeypatch.setenv("JWT_SECRET_KEY", CANARY)

    backup = site.create()

    for path in (site.store / backup).rglob("*"):
        assert path.is_dir() or CANARY.encode() not in path.read_bytes()
    names = json.loads((site.store / backup / "environment.json").read_text())["env_names"]
    assert names == ["API_KEY", "PLAIN"]


@pytest.mark.parametrize("engine_name", ["mariadb", "postgresql"], indirect=True)
def test_a_password_is_in_no_process_list_log_journal_manifest_or_error(
    engine_url: str, engine_name: str, run_cli: Cli, tmp_path: Path
) -> None:
    """Watches the arguments of every process while a backup is taken, drilled and restored."""
    import sqlalchemy as sa

    password = str(sa.make_url(engine_url).password)
    make_legacy(engine_url, "mentor")
    environment = {
        "CHATCTL_DATABASE": engine_url, "CHATCTL_LAYOUT": "mentor", "CHATCTL_BACKUP_STORE": str(tmp_path / "store"),
    }  # fmt: skip
    watch = (
        "import pathlib, sys, time\nseen = set()\nprint('ready', flush=True)\n"
        "end = time.time() + 60\n"
        "while time.time() < end and not pathlib.Path(sys.argv[1]).exists():\n"
        "    for file in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "        try:\n            seen.add(file.read_bytes().replace(b'\\0', b' ').decode(errors='replace'))\n"
        "        except OSError:\n            pass\n"
        "print('\\n'.join(seen))\n"
    )
    done = tmp_path / "done"
    watcher = subprocess.Popen([sys.executable, "-c", watch, str(done)], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    watcher.stdout.readline()
    created = run_cli("backup", "create", "--drill", "--verbose", "-o", "json", env=environment)
    assert created.exit_code == 0, created
    backup = created.json["data"]["id"]
    restored = run_cli("backup", "restore", backup, "--confirm", "default", "--verbose", env=environment)
    assert restored.exit_code == 0, restored
    wrong = engine_url.replace(password, f"{password}x")
    refused = run_cli("backup", "create", "-o", "json", env={**environment, "CHATCTL_DATABASE": wrong})
    assert refused.exit_code == 5
    done.touch()
    arguments, _ = watcher.communicate()

    tool = {"mariadb": "mariadb-dump", "postgresql": "pg_dump"}[engine_name]
    assert tool in arguments, "the watcher saw nothing, so that this test shows nothing"
    mine = [line for line in arguments.splitlines() if os.fspath(tmp_path) in line or tool in line]
    assert not [line for line in mine if password in line]
    for answer in (created, restored, refused):
        assert password not in answer.stdout + answer.stderr
    for path in (tmp_path / "store").rglob("*"):
        assert path.is_dir() or password.encode() not in path.read_bytes()
