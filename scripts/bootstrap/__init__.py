"""Brings a checkout to life with the standard library alone: uv, .venv, the page."""
