"""Whom calls that went out were for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("calls", sa.Column("callee", sa.Text, nullable=False, server_default=""))
