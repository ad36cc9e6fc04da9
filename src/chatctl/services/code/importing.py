"""Adds an import to a JavaScript or TypeScript file that rewritten code needs."""

from __future__ import annotations

import re

from chatctl.services.code.rules import Import

#: What must stay first: a shebang, a directive such as 'use strict', comments and empty lines before them.
_HEAD = re.compile(r"(?:#![^\n]*\n)?(?:\s*(?:/\*.*?\*/|//[^\n]*|(['\"])use \w+\1;?)[^\S\n]*\n)*", re.DOTALL)
_ES_MODULE = re.compile(r"^\s*(?:import|export)\b", re.MULTILINE)
_COMMON_JS = re.compile(r"\brequire\(|\bmodule\.exports\b")


def with_import(text: str, needed: Import) -> str:
    """The text with `needed` imported, in the way in which the file imports other things."""
    name, module = needed.name, needed.module
    if re.search(rf"\b(?:import|const|let|var)\s+{name}\b", text):
        return text
    common = bool(_COMMON_JS.search(text)) and not _ES_MODULE.search(text)
    line = f"const {name} = require('{module}');\n" if common else f"import {name} from '{module}';\n"
    head = _HEAD.match(text)
    at = head.end() if head else 0
    return text[:at] + line + text[at:]
