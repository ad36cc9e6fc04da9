"""The sample of real messages that lies beside the repository, not in it."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
#: Where it lies if the machine has it.
SAMPLE = REPOSITORY.parent / "shared" / "data" / "gitter" / "messages.jsonl.gz"


def sample_messages() -> Path:
    """The gzipped JSON lines of the sample; skips the test where they are missing."""
    if not SAMPLE.exists():
        pytest.skip("the sample messages (../shared/data/gitter/messages.jsonl.gz) aren't on this machine")
    return SAMPLE
