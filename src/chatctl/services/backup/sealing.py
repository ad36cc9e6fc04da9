"""Encryption to age recipients and Ed25519 signatures, by pyrage and cryptography. Keys are files, and never shown."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chatctl.domain.backups import Manifest, Signature
from chatctl.errors import ConfigurationError, IntegrityError, MissingExtraError, NotFoundError

_EXTRA = "backup"


@dataclass(frozen=True)
class Sealing:
    """How a backup is closed: to whom it is encrypted (nobody: it isn't), and the PEM file of the key that signs it."""

    recipients: tuple[str, ...] = ()
    signing_key: Path | None = None

    @property
    def signer(self) -> Callable[[bytes], Signature] | None:
        """What signs a manifest's body. Raises ConfigurationError where the key can't be used."""
        if self.signing_key is None:
            return None
        key = _private_key(self.signing_key)
        public: bytes = key.public_key().public_bytes_raw()
        return lambda body: Signature(public, key.sign(body))

    def check(self) -> None:
        """Raises ConfigurationError, before any work is done, where a recipient or the key can't be used."""
        if self.recipients:
            _recipients(self.recipients)
        assert self.signer is None or callable(self.signer)

    def encrypt(self, source: BinaryIO, target: BinaryIO) -> None:
        """Streams `source` into `target`, encrypted to the recipients."""
        _module("pyrage", "Encrypting a backup").encrypt_io(source, target, _recipients(self.recipients))


@dataclass(frozen=True)
class Opening:
    """How a backup is opened: the file of an age identity, and the PEM file of the key that must have signed it."""

    identity: Path | None = None
    trusted_key: Path | None = None

    def check(self, manifest: Manifest, signature: Signature | None, body: bytes) -> None:
        """Raises IntegrityError where a signature is bad, or is missing although a key is trusted."""
        if signature is not None and not _is_good(signature, body):
            raise IntegrityError(f"The signature of backup {manifest.id} is not good.")
        if self.trusted_key is None:
            return
        if signature is None:
            raise IntegrityError(f"Backup {manifest.id} isn't signed.")
        if signature.public_key != _public_key(self.trusted_key):
            raise IntegrityError(f"Backup {manifest.id} is signed by another key than {self.trusted_key}.")

    def decrypt(self, source: BinaryIO, target: BinaryIO) -> None:
        """Streams `source` into `target`, decrypted. Raises IntegrityError where it can't be."""
        pyrage = _module("pyrage", "An encrypted backup")
        if self.identity is None:
            raise ConfigurationError("The backup is encrypted.", hint="Name the file of an age identity: --identity.")
        identities = _identities(pyrage, self.identity)
        try:
            pyrage.decrypt_io(source, target, identities)
        except pyrage.DecryptError as problem:
            raise IntegrityError(f"The backup can't be decrypted by {self.identity}: {problem}.") from problem


def _is_good(signature: Signature, body: bytes) -> bool:
    ed25519 = _module("cryptography.hazmat.primitives.asymmetric.ed25519", "A signed backup")
    invalid = _module("cryptography.exceptions", "A signed backup").InvalidSignature
    try:
        ed25519.Ed25519PublicKey.from_public_bytes(signature.public_key).verify(signature.value, body)
    except (invalid, ValueError):
        return False
    return True


def _recipients(texts: Sequence[str]) -> list[Any]:
    pyrage = _module("pyrage", "Encrypting a backup")
    found = []
    for text in texts:
        try:
            kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
            found.append(kind.Recipient.from_str(text))
        except pyrage.RecipientError as problem:
            raise ConfigurationError(f"'{text}' is no age recipient.", hint="age1… or ssh-ed25519 …") from problem
    return found


def _identities(pyrage: Any, file: Path) -> list[Any]:
    text = _read(file).decode(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        if text.startswith("-----BEGIN"):
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        found = [pyrage.x25519.Identity.from_str(line) for line in lines]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise ConfigurationError(f"{file} holds no age identity.", hint="age-keygen -o FILE makes one.")
    return found


def _private_key(file: Path) -> Any:
    return _key(file, "load_pem_private_key", "Ed25519PrivateKey", {"password": None})


def _public_key(file: Path) -> bytes:
    raw: bytes = _key(file, "load_pem_public_key", "Ed25519PublicKey", {}).public_bytes_raw()
    return raw


def _key(file: Path, loader: str, class_name: str, options: dict[str, Any]) -> Any:
    serialization = _module("cryptography.hazmat.primitives.serialization", "Signing a backup")
    ed25519 = _module("cryptography.hazmat.primitives.asymmetric.ed25519", "Signing a backup")
    try:
        key = getattr(serialization, loader)(_read(file), **options)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, getattr(ed25519, class_name)):
        kind = "private" if "private" in loader else "public"
        raise ConfigurationError(
            f"{file} holds no {kind} Ed25519 key in PEM.", hint="openssl genpkey -algorithm ed25519 makes one."
        )
    return key


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError as problem:
        raise NotFoundError(f"{file} doesn't exist.") from problem
    except OSError as problem:
        raise ConfigurationError(f"{file} can't be read: {problem.strerror}.") from problem


def _module(name: str, needed_for: str) -> Any:
    """An optional package; neither has to be there for a backup that is neither encrypted nor signed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise MissingExtraError(_EXTRA, needed_for) from None
