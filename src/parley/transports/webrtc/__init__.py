"""Calls from a browser: offer and answer over HTTP, sound over WebRTC, messages beside it."""
