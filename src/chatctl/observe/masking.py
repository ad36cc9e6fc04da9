"""Takes secrets out of text that is about to be shown or logged.

Two nets: every value that was resolved as a secret is remembered and replaced, and so is the password of anything
that looks like a URL. Standard library only.
"""

from __future__ import annotations

import re
from urllib.parse import quote, quote_plus

MASK = "***"

#: Shorter values would be found everywhere in ordinary text, and mask nothing but words.
_SHORTEST_SECRET = 4

#: Everything up to the last @ before the host, since a password that wasn't escaped may hold one.
_URL_PASSWORD = re.compile(r"(?P<start>[a-z][a-z0-9+.-]*://[^\s:/@'\"]*:)(?P<password>[^\s'\"/]*)(?=@)", re.IGNORECASE)
#: `password=...` in a query string, a DSN or a command line.
_KEYED_PASSWORD = re.compile(
    r"(?P<start>\b(?:password|passwd|pwd)\s*=\s*)(?P<password>'[^']*'|[^\s&;'\"]+)", re.IGNORECASE
)

_remembered: set[str] = set()


def remember_secret(value: str) -> None:
    """From now on `mask` replaces `value`, also where it stands percent-encoded."""
    if len(value) >= _SHORTEST_SECRET:
        _remembered.update({value, quote(value, safe=""), quote_plus(value)})


def mask(text: str) -> str:
    """`text` with every remembered secret and every URL's password replaced by `***`."""
    for secret in sorted(_remembered, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = _URL_PASSWORD.sub(rf"\g<start>{MASK}", text)
    return _KEYED_PASSWORD.sub(rf"\g<start>{MASK}", text)
