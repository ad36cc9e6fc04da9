"""What the doctor and the record look at, from what a context has. Nothing is opened before a check asks for it."""

from __future__ import annotations

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatctl.services.doctor.base import Surroundings
    from chatctl.wiring import Wiring


def surroundings(wiring: Wiring, replica_url: str | None, env_file: Path) -> Surroundings:
    """The surroundings of the context, with a replica if one was named, and the application's `.env`."""
    from chatctl.services.doctor.base import Surroundings

    settings = wiring.settings
    unused = settings.entries["redis.url"].is_default and not (settings.data_dir / "redis").exists()
    return Surroundings(
        settings=settings,
        layout=wiring.layout,
        database=cache(partial(wiring.database, read_only=True)),
        migration=cache(partial(wiring.migration, read_only=True)),
        redis=None if unused else cache(lambda: wiring.redis_at(settings.redis.url.reveal())),
        repository=cache(wiring.repository),
        permissions=lambda: wiring.permission_source,
        replica=cache(partial(wiring.database_at, replica_url, read_only=True)) if replica_url else None,
        environ=os.environ,
        cwd=Path.cwd(),
        env_file=env_file,
    )
