"""Which process had each call, and when it was seen last; what has been charged already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("calls", sa.Column("detail", sa.Text, nullable=False, server_default=""))
    op.add_column("calls", sa.Column("process", sa.String(40), nullable=False, server_default=""))
    op.add_column("calls", sa.Column("seen_at", sa.BigInteger))
    is_open = sa.text("ended_at IS NULL")
    op.create_index(
        "calls_open", "calls", ["process"], sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("calls_by_end", "calls", ["ended_at"])
    op.create_table(
        "charges",
        sa.Column("id", sa.String(60), primary_key=True),
        sa.Column("charged_at", sa.BigInteger, nullable=False),
        sa.Column("ms", sa.BigInteger, nullable=False),
        sa.Column("tokens", sa.BigInteger, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
    )
    op.create_index("charges_by_time", "charges", ["charged_at"])
