"""Orpheus TTS: a Llama that writes SNAC tokens, and what turns them into a streaming voice."""

from parley.engines.tts.orpheus.engine import SPEC, OrpheusSpeech
from parley.engines.tts.orpheus.options import OrpheusOptions

__all__ = ["SPEC", "OrpheusOptions", "OrpheusSpeech"]
