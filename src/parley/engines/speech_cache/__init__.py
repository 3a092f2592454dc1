"""Keeps what was spoken, so that saying it again costs no synthesis."""
