"""A place in a list of tokens, and the small steps that a reader of a grammar takes from it."""

from __future__ import annotations

from collections.abc import Sequence

from chatctl.services.lint.tokens import Token, TokenKind


class Cursor:
    """Reads tokens from left to right. Comments must have been taken out."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    @property
    def current(self) -> Token | None:
        """The token that is read next, or None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    @property
    def at_end(self) -> bool:
        """Whether everything is read."""
        return self._at >= len(self._tokens)

    def peek(self, *words: str) -> bool:
        """Whether the next tokens are these words, in this order."""
        ahead = self._tokens[self._at : self._at + len(words)]
        return len(ahead) == len(words) and all(token.is_word(word) for token, word in zip(ahead, words, strict=True))

    def accept(self, *words: str) -> bool:
        """Reads these words if they come next, all of them."""
        if not self.peek(*words):
            return False
        self._at += len(words)
        return True

    def accept_any(self, *words: str) -> str | None:
        """Reads one of these words if it comes next: the word in upper case."""
        token = self.current
        if token is None or not token.is_word(*words):
            return None
        self._at += 1
        return token.text.upper()

    def symbol(self, text: str) -> bool:
        """Reads this symbol if it comes next."""
        token = self.current
        if token is None or not token.is_symbol(text):
            return False
        self._at += 1
        return True

    def take(self) -> Token | None:
        """Reads one token."""
        token = self.current
        self._at += token is not None
        return token

    def name(self) -> str:
        """Reads a name, of `database.table` the last part; empty where there is none."""
        token = self.take()
        while token is not None and self.symbol("."):
            token = self.take()
        return token.text if token is not None and token.kind is not TokenKind.SYMBOL else ""

    def group(self) -> list[Token] | None:
        """Reads `( … )` if it comes next: the tokens inside."""
        if self.current is None or not self.current.is_symbol("("):
            return None
        depth, start = 0, self._at + 1
        while (token := self.take()) is not None:
            depth += token.is_symbol("(") - token.is_symbol(")")
            if depth == 0:
                return list(self._tokens[start : self._at - 1])
        return list(self._tokens[start:])

    def expression(self) -> str:
        """Reads one value: `( … )`, or a word or literal with the brackets or the sign that belong to it."""
        inside = self.group()
        if inside is not None:
            return f"({text(inside)})"
        token = self.take()
        if token is None:
            return ""
        if token.kind is TokenKind.SYMBOL:
            return token.raw + self.expression()
        arguments = self.group()
        return token.raw + (f"({text(arguments)})" if arguments is not None else "")

    def rest(self) -> list[Token]:
        """Reads everything that is left."""
        left = list(self._tokens[self._at :])
        self._at = len(self._tokens)
        return left


def text(found: Sequence[Token]) -> str:
    """The tokens as SQL, with single spaces where there were any between them."""
    pieces = []
    for number, token in enumerate(found):
        if number and token.start > found[number - 1].end:
            pieces.append(" ")
        pieces.append(token.raw)
    return "".join(pieces)


def parts(found: Sequence[Token]) -> list[list[Token]]:
    """The tokens between the commas that stand in no brackets."""
    pieces: list[list[Token]] = [[]]
    depth = 0
    for token in found:
        depth += token.is_symbol("(") - token.is_symbol(")")
        if depth == 0 and token.is_symbol(","):
            pieces.append([])
        else:
            pieces[-1].append(token)
    return [piece for piece in pieces if piece]
