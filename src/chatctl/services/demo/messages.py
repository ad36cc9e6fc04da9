"""Made-up messages between users and mentors: as many as wanted, the same ones for the same seed.

A few users write most of it, as everywhere; some messages have no mentor; texts hold quotes, lines and emoji.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

#: When the made-up conversations begin, in UTC (naive, as the database keeps it).
_BEGIN = datetime(2024, 1, 1)
_SPAN = timedelta(days=700)

_MENTORS = ("Ada", "Grace", "Linus", "Margaret", "Edsger", "Barbara", "Donald", "Radia", "Tim", "Frances")
_QUESTIONS = (
    "How do I read a file line by line?",
    "Why is this query slow?\nIt has an index.",
    'It says "connection refused". What now?',
    "Can you explain recursion?",
    "Спасибо, теперь понятно!",
    "It's late; shall we go on tomorrow?",
    "Great, it works 🎉",
)
_ANSWERS = (
    "Let's look at the plan first.",
    "Try it with a smaller example:\n\n    print(1)",
    "Which version do you run?",
    'Look at the line that says "Caused by".',
    "Well done! 👏",
)

#: A message, in the order of `COLUMNS`.
Row = tuple[str, str, str | None, str, str, datetime]
COLUMNS = ("id", "user_id", "mentor_id", "role", "content", "created_at")


@dataclass(frozen=True)
class Cast:
    """How many take part, and the seed that decides what they say."""

    messages: int
    users: int
    mentors: int
    seed: int = 1

    def user_id(self, number: int) -> str:
        """The ID of a user, numbered from 0."""
        return f"user{number:06d}"

    def mentor_id(self, number: int) -> str:
        """The ID of a mentor, numbered from 0."""
        return f"mentor{number:03d}"

    def mentor_name(self, number: int) -> str:
        """The name of a mentor, numbered from 0."""
        name = _MENTORS[number % len(_MENTORS)]
        return name if number < len(_MENTORS) else f"{name} {number // len(_MENTORS) + 1}"


def made_up_messages(cast: Cast, start: int = 0, count: int | None = None) -> Iterator[Row]:
    """The messages from number `start` on, `count` of them (all that the cast has if None), oldest first."""
    chance = random.Random(f"{cast.seed}:{start}")
    end = cast.messages if count is None else start + count
    step = _SPAN / max(cast.messages, 1)
    for number in range(start, end):
        user = int(cast.users * chance.random() ** 3)
        mentor = None if chance.random() < 0.06 else int(cast.mentors * chance.random() ** 2)
        asks = number % 2 == 0
        moment = _BEGIN + number * step
        yield (
            f"cm{number:010d}",
            cast.user_id(user),
            None if mentor is None else cast.mentor_id(mentor),
            "user" if asks else "assistant",
            chance.choice(_QUESTIONS if asks else _ANSWERS),
            moment.replace(microsecond=moment.microsecond // 1000 * 1000),
        )
