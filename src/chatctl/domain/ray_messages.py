"""ray's requests: what the new format needs, what the old one had, and command results as the model reads them.

Standard library only.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

#: Whoever has not logged in.
ANONYMOUS = "00000000-0000-4000-8000-000000000000"

#: The new format's fields without which a request can't be served, in the order in which they are named.
REQUIRED = ("message", "project_id", "chat_id", "user_id")
#: What only the old format has.
OLD_FIELDS = ("thinking_budget", "include_system", "use_memory", "max_memory_messages")
KNOWN = (*REQUIRED, "model", "command_results")

_PROJECT = re.compile(r".+-[0-9a-f]{8}|project-.+|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.DOTALL)
_CHAT = re.compile(r"chat-([0-9a-f]{8}|[0-9a-f]{16})")
_LEGACY_USER = re.compile(r"user-[0-9a-f]{12}")


def missing_fields(request: Mapping[str, Any]) -> list[str]:
    """The required fields that are absent, empty or no text."""
    return [name for name in REQUIRED if not isinstance(request.get(name), str) or not request[name]]


def old_fields(request: Mapping[str, Any]) -> list[str]:
    """The old format's fields that the request has."""
    return [name for name in OLD_FIELDS if name in request]


def problems(request: Any) -> list[str]:
    """What is wrong with a request in the new format, in sentences; nothing where it can be sent."""
    if not isinstance(request, Mapping):
        return ["It is no JSON object."]
    found = []
    if missing := missing_fields(request):
        found.append(f"Missing required fields: {', '.join(missing)}")
    if old := old_fields(request):
        found.append(f"Fields of the old format: {', '.join(old)}")
    model, results = request.get("model"), request.get("command_results", [])
    if model is not None and not isinstance(model, str):
        found.append("model is a text or null.")
    if not isinstance(results, list) or not all(isinstance(item, Mapping) for item in results):
        found.append("command_results is a list of objects.")
    return found + _odd_ids(request)


def _odd_ids(request: Mapping[str, Any]) -> list[str]:
    checks = (("project_id", is_project), ("chat_id", is_chat), ("user_id", is_user))
    return [
        f"{name} has another form than its kind of ID: {request[name]}"
        for name, fits in checks
        if isinstance(request.get(name), str) and request[name] and not fits(request[name])
    ]


def is_project(text: str) -> bool:
    """`{name}-{8 hex}`, `project-{random}` or an MD5 in UUID shape."""
    return _PROJECT.fullmatch(text) is not None


def is_chat(text: str) -> bool:
    """`chat-` and 8 or 16 hex digits."""
    return _CHAT.fullmatch(text) is not None


def is_user(text: str) -> bool:
    """A UUID4, or the legacy `user-{12 hex}`."""
    if _LEGACY_USER.fullmatch(text):
        return True
    try:
        return uuid.UUID(text).version == 4 and text == str(uuid.UUID(text))
    except ValueError:
        return False


def upgraded(request: Mapping[str, Any], ids: Mapping[str, str]) -> dict[str, Any]:
    """An old request in the new format: its old fields gone, the IDs that it lacks taken from `ids`."""
    given = {name: value for name, value in request.items() if name not in OLD_FIELDS}
    filled = {name: given.get(name) or ids.get(name) for name in REQUIRED[1:]}
    whole = {**given, **filled, "model": given.get("model"), "command_results": given.get("command_results") or []}
    return {name: value for name, value in whole.items() if value is not None or name == "model"}


def formatted_results(results: Sequence[Mapping[str, Any]]) -> str:
    """Command results as the model reads them: a block each, parted by blank lines. Both shapes are understood."""
    return "\n\n".join(_block(result) for result in results)


def with_results(message: str, results: Sequence[Mapping[str, Any]]) -> str:
    """What the model is asked: the message, after the results of the commands that it asked for before."""
    if not results:
        return message
    return f"Previous command results:\n{formatted_results(results)}\n\nUser message: {message}"


def _block(result: Mapping[str, Any]) -> str:
    ok = result["ok"] is True if "ok" in result else result.get("status") == "success"
    args = result.get("args") or []
    words = [str(result.get("command") or "unknown"), *map(_text, args if isinstance(args, list) else [args])]
    output = _text(result.get("output"))
    # In the second shape an error's text stands in output.
    shown = f"Output: {output}" if ok else f"Error: {_text(result.get('error')) or output}"
    return f"{'✅' if ok else '❌'} {' '.join(words)}\n{shown}"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
