"""Calls by telephone: SIP signalling, and the sound that goes with it."""
