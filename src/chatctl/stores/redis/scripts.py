"""The Lua scripts: loaded from the files beside this module, run by their digest."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from typing import Any

from redis.exceptions import NoScriptError, ResponseError

from chatctl.stores.redis.client import Client

#: What several scripts share stands before each of them.
_PRELUDE = "prelude"


@cache
def _source(name: str) -> tuple[str, str]:
    folder = resources.files(__package__)
    text = "\n".join((folder / f"{part}.lua").read_text(encoding="utf-8") for part in (_PRELUDE, name))
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def run(client: Client, name: str, keys: list[str], arguments: list[str | int]) -> Any:
    """What the script `name` answers; on a cluster the first key's slot decides where it runs."""
    text, digest = _source(name)
    try:
        return client.evalsha(digest, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.eval(text, len(keys), *keys, *arguments)


def read(client: Client, name: str, keys: list[str], arguments: list[str | int]) -> Any:
    """What a script that only reads answers: from Redis 7 on it runs while a backup holds writes back."""
    text, digest = _source(name)
    try:
        return client.evalsha_ro(digest, len(keys), *keys, *arguments)
    except NoScriptError:
        return client.eval_ro(text, len(keys), *keys, *arguments)
    except ResponseError as problem:
        if "unknown command" not in str(problem):
            raise
        return run(client, name, keys, arguments)
