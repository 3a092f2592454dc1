"""TTS engines: how it sounds."""
