"""Writes the workflows in ``deploy/n8n/workflows``: from that folder's parent, run
``python -m make_workflows``. The same logic stands behind three stores and three ways in, so it is
kept once here and not in thirty places of JSON."""
