"""How long each reply took and whether it was interrupted; the tools that calls used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("turns", sa.Column("stages", sa.Text))
    op.add_column("turns", sa.Column("interrupted", sa.Boolean))
    op.create_table(
        "tool_uses",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "call_id",
            sa.String(60),
            sa.ForeignKey("calls.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("after_ms", sa.Integer, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
    )
    op.create_index("tool_uses_by_call", "tool_uses", ["call_id", "number"])
