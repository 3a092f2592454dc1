"""Turn detection: has the caller finished, or only paused?"""
