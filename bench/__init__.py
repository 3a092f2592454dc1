"""Benches: each measures one promise from the caller's side and prints a table."""
