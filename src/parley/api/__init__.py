"""Requests come in: HTTP for people's pages, programs and probes."""
