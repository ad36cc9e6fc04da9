"""A title made from a text, where no model is there to write one. Standard library only."""

from __future__ import annotations

import re

MAX_LENGTH = 60

_CODE = re.compile(r"```.*?(```|\Z)", re.DOTALL)
_MARKUP = re.compile(r"[`*_#>]+")
_LINK = re.compile(r"https?://\S+")
_GREETING = re.compile(r"^(hi|hello|hey|good (morning|afternoon|evening))\b( there)?[\s,!.:-]+(?=\S)", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?؟。！？]+(?=\s|$)|\n")


def title_from(text: str) -> str | None:
    """The first sentence of `text` without greeting, code and links, at most 60 characters; None where nothing is left.

    The cut falls between words where it can.
    """
    plain = _LINK.sub(" ", _CODE.sub(" ", text))
    plain = _GREETING.sub("", _MARKUP.sub("", plain).strip())
    sentence = next((part for part in _SENTENCE.split(plain) if any(map(str.isalnum, part))), "")
    words = " ".join(sentence.split()).strip(" ,;:-")
    if not words:
        return None
    title = words if len(words) <= MAX_LENGTH else _shortened(words)
    return title[0].upper() + title[1:]


def _shortened(words: str) -> str:
    cut = words[: MAX_LENGTH - 1]
    at = cut.rfind(" ")
    return (cut[:at] if at > MAX_LENGTH // 2 else cut).rstrip(" ,;:-") + "…"
