"""Every run of a tool, whom to tell of calls, and the secrets that tenants sign with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("tenants", sa.Column("signing_secret", sa.String(100)))
    op.create_table(
        "tool_runs",
        sa.Column("id", sa.String(60), primary_key=True),
        sa.Column(
            "tenant",
            sa.String(100),
            sa.ForeignKey("tenants.name", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("call_id", sa.String(60), nullable=False),
        sa.Column("kept_call", sa.String(60), sa.ForeignKey("calls.id", ondelete="CASCADE")),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("agent", sa.String(100), nullable=False),
        sa.Column("tool", sa.String(200), nullable=False),
        sa.Column("provider", sa.String(100), nullable=False),
        sa.Column("tool_call_id", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.String(64), nullable=False),
        sa.Column("arguments", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("error_code", sa.String(60), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("after_ms", sa.Integer),
    )
    op.create_index("tool_runs_by_tenant", "tool_runs", ["tenant", "started_at"])
    op.create_index("tool_runs_by_call", "tool_runs", ["call_id", "started_at"])
    op.create_index("tool_runs_by_kept_call", "tool_runs", ["kept_call"])
    op.create_index("tool_runs_by_state", "tool_runs", ["state", "expires_at"])
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column(
            "tenant",
            sa.String(100),
            sa.ForeignKey("tenants.name", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("webhooks_by_tenant", "webhooks", ["tenant", "created_at"])
