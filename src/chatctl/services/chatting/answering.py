"""Asks the model: the history within its budget, behind the breaker, the usage counted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from chatctl.domain.prompts import CHARACTERS_A_TOKEN, Answer, Message, tokens_of, within_budget
from chatctl.domain.titles import title_from
from chatctl.errors import ChatctlError
from chatctl.services.breaking import Breaker

log = logging.getLogger(__name__)

_TITLE_PROMPT = "Give this conversation a title of at most six words. Answer with the title alone."
_LONGEST_TITLE = 120


class Model(Protocol):
    """A language model."""

    name: str
    where: str
    configured: bool

    def reply(self, messages: Sequence[Message]) -> Answer:
        """Its answer."""

    def stream(self, messages: Sequence[Message]) -> Iterator[str]:
        """Its answer, piece by piece."""

    def check(self) -> None:
        """Raises ModelError where it isn't there."""

    def close(self) -> None:
        """Gives its connections back."""


class Answering:
    """The model as the services use it. `count` is told of every answer's usage."""

    def __init__(
        self, model: Model, breaker: Breaker, history_tokens: int, count: Callable[[Answer], None] | None = None
    ) -> None:
        self.model = model
        self.breaker = breaker
        self._history_tokens = history_tokens
        self.count = count or (lambda answer: None)

    def reply(self, question: str, history: Sequence[Message] = (), system: str | None = None) -> Answer:
        """The answer to `question`. Raises ModelError, and BreakerOpenError while nobody is to be asked."""
        messages = self._messages(question, history, system)
        # The echo can't fail, and its breaker's row need not be read for every message.
        answer = (
            self.breaker.call(lambda: self.model.reply(messages))
            if self.model.configured
            else self.model.reply(messages)
        )
        self.count(answer)
        return answer

    def stream(self, question: str, history: Sequence[Message] = (), system: str | None = None) -> Iterator[str]:
        """The same, piece by piece, the usage estimated. What fails before the first piece counts for the breaker."""
        messages = self._messages(question, history, system)
        pieces = self.model.stream(messages)
        first = self.breaker.call(lambda: next(pieces, "")) if self.model.configured else next(pieces, "")
        said = 0
        for piece in chain([first], pieces):
            said += len(piece)
            yield piece
        asked = sum(tokens_of(message.content) for message in messages)
        self.count(Answer("", self.model.name, asked, -(-said // CHARACTERS_A_TOKEN)))

    def _messages(self, question: str, history: Sequence[Message], system: str | None) -> list[Message]:
        start = [Message("system", system)] if system else []
        return [*start, *within_budget(history, self._history_tokens), Message("user", question)]

    def title(self, text: str) -> str | None:
        """A title for a conversation that begins with `text`: the model's, or one made from the text itself."""
        if self.model.configured:
            try:
                answer = self.reply(text, system=_TITLE_PROMPT)
                title = " ".join(answer.text.split()).strip("\"' .")[:_LONGEST_TITLE]
                if title:
                    return title
            except ChatctlError as problem:
                log.warning("The model made no title: %s", problem.message)
        return title_from(text)
