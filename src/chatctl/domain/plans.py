"""Plans: what would change, as plain data that can be shown, saved, fingerprinted and applied later."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def fingerprint(content: Mapping[str, Any]) -> str:
    """64 hex digits that stand for `content` (JSON values), whatever the order of its keys."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
