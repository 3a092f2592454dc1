"""Chains of engines: one that fails in mid-call is replaced by the next within the same turn."""
