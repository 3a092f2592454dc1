"""The ways in: each brings a call, sound both ways, and ends it."""
