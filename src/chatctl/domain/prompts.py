"""What a language model is sent: messages, within a budget of tokens. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: About what a token is worth, in the models that are in use.
CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True)
class Message:
    """One message: `role` is user, assistant or system."""

    role: str
    content: str


@dataclass(frozen=True)
class Answer:
    """What the model answered, and the tokens that it took."""

    text: str
    model: str
    prompt_tokens: int
    completion_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        """The tokens as OpenAI's protocol names them."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


def tokens_of(text: str) -> int:
    """About how many tokens `text` is."""
    return -(-len(text) // CHARACTERS_A_TOKEN)


def within_budget(history: Sequence[Message], budget_tokens: int) -> list[Message]:
    """The newest messages of `history` that fit into the budget, in order."""
    kept: list[Message] = []
    left = budget_tokens
    for message in reversed(history):
        left -= tokens_of(message.content)
        if left < 0:
            break
        kept.append(message)
    return kept[::-1]
