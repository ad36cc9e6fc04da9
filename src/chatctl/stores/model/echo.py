"""The model that is always there: it says what it heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from chatctl.domain.prompts import Answer, Message, tokens_of

NAME = "echo"
_WORDS = re.compile(r"\S+\s*|\s+")


class EchoModel:
    """Answers with the last message of the user, so that everything around a model can be tried without one."""

    name = NAME
    where = "built-in echo"
    configured = False

    def reply(self, messages: Sequence[Message]) -> Answer:
        """The answer."""
        text = f"You said: {messages[-1].content}" if messages else "You said nothing."
        return Answer(text, NAME, sum(tokens_of(message.content) for message in messages), tokens_of(text))

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """The same, a word at a time."""
        yield from _WORDS.findall(self.reply(messages).text)

    def check(self) -> None:
        """Always there."""

    def close(self) -> None:
        """Nothing to close."""
