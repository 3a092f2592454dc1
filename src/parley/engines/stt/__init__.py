"""STT engines: what was said."""
