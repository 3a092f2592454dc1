# syntax=docker/dockerfile:1
# The image of Parley: built from the lock file, runs as a user without rights.
FROM python:3.11-slim-bookworm AS build
COPY --from=ghcr.io/astral-sh/uv:0.9 /uv /usr/local/bin/uv
ENV UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /build
# The dependencies change seldom: they are a layer of their own.
COPY pyproject.toml uv.lock ./
ARG PARLEY_EXTRAS="espeak mcp"
RUN --mount=type=cache,target=/root/.cache/uv \
    flags=""; for extra in $PARLEY_EXTRAS; do flags="$flags --extra $extra"; done; \
    UV_PROJECT_ENVIRONMENT=/opt/parley uv sync --frozen --no-install-project $flags
COPY LICENSE NOTICE README.md ./
COPY web web
COPY agents agents
COPY src src
# Node comes from PyPI, for the page only; it stays in this stage.
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --frozen --only-group web && .venv/bin/python web/build.py
RUN --mount=type=cache,target=/root/.cache/uv \
    flags=""; for extra in $PARLEY_EXTRAS; do flags="$flags --extra $extra"; done; \
    UV_PROJECT_ENVIRONMENT=/opt/parley uv sync --frozen --no-editable $flags

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin parley \
    && install --directory --owner parley --group parley /var/lib/parley
COPY --from=build /opt/parley /opt/parley
ENV PATH="/opt/parley/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PARLEY_DATA_DIR=/var/lib/parley \
    SERVER_HOST=0.0.0.0 \
    SERVER_PORT=7860
USER parley
WORKDIR /var/lib/parley
VOLUME /var/lib/parley
EXPOSE 7860
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['SERVER_PORT']}/health/live\", timeout=4)"]
# Calls may finish before a stop; Compose and Kubernetes must wait longer than PARLEY_DRAIN_S.
STOPSIGNAL SIGTERM
CMD ["parley", "serve"]
