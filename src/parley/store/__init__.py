"""What is kept: tenants, keys, usage, calls. Knows tables, and nothing of sessions or engines."""
