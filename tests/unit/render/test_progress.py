"""Progress off a terminal: a line every few seconds, with rate and time left."""

from __future__ import annotations

from chatctl.render.progress import LineProgress


class Clock:
    """Seconds that a test moves by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_line_comes_every_few_seconds_and_one_at_the_end() -> None:
    clock, lines = Clock(), list[str]()
    progress = LineProgress(lambda text, **_: lines.append(text), clock)

    progress.start(1_000, "rows")
    for _ in range(12):
        clock.seconds += 1
        progress.advance(50)
    progress.finish()
    progress.finish()

    assert lines == [
        "250 of 1,000 rows (25%), 50 rows/s, 15 s left",
        "500 of 1,000 rows (50%), 50 rows/s, 10 s left",
        "600 of 1,000 rows (60%), 50 rows/s, 8 s left",
    ]


def test_an_unknown_total_has_no_share_and_no_time_left() -> None:
    clock, lines = Clock(), list[str]()
    progress = LineProgress(lambda text, **_: lines.append(text), clock)

    progress.start(None, "rows")
    clock.seconds = 10
    progress.advance(20)

    assert lines == ["20 rows, 2 rows/s"]


def test_a_note_is_told_at_once_without_escapes_or_secrets() -> None:
    lines = list[str]()
    progress = LineProgress(lambda text, **_: lines.append(text))

    progress.note("at mysql://a:hunter2@h/d \x1b[2J")

    assert lines == ["at mysql://a:***@h/d \\x1b[2J"]
