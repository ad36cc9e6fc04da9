"""The secret that tokens are signed with, where nobody configured one: made once, kept for its owner alone."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from chatctl.observe.masking import remember_secret


def own_secret(data_dir: Path) -> str:
    """The secret in the data folder, made where there is none."""
    path = data_dir / "serve" / "jwt-secret"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
    secret = path.read_text().strip()
    remember_secret(secret)
    return secret
