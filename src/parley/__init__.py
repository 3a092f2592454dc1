"""Parley: a self-hosted voice-agent server."""

from importlib.metadata import version

__version__ = version("parley-voice")
