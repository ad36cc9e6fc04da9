"""Nothing was stored before: the legacy state has no tables, and this revision only marks it."""

from __future__ import annotations

title = "The legacy state: no tables"
phase = "legacy"

revision = "worker_0001"
down_revision = None
branch_labels = ("worker",)
depends_on = None


def upgrade() -> None:
    """Nothing to make: the legacy state is an empty database."""


def downgrade() -> None:
    """Nothing to take away."""
