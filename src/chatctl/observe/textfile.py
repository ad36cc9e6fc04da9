"""Metrics for Prometheus' textfile collector: a file that is always whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Gauge:
    """One figure, its help text, and its labels."""

    name: str
    help: str
    value: float
    labels: tuple[tuple[str, str], ...] = field(default=())

    def lines(self) -> Iterable[str]:
        """The figure in Prometheus' text format."""
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self.labels)
        yield f"# HELP {self.name} {self.help}"
        yield f"# TYPE {self.name} gauge"
        yield f"{self.name}{{{labels}}} {self.value:g}" if labels else f"{self.name} {self.value:g}"


def write_textfile(path: Path, gauges: Iterable[Gauge]) -> None:
    """Replaces `path` by `gauges`; whoever reads meanwhile gets the old file or the new one. Raises OSError."""
    text = "\n".join(line for gauge in gauges for line in gauge.lines()) + "\n"
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # The collector runs under an account of its own.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
