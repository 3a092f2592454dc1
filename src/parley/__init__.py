"""Parley: a self-hosted voice-agent server."""

import os
from importlib.metadata import version

__version__ = version("parley-voice")

# onnxruntime 1.31 sends usage figures to its maker unless this is set before it is imported; its
# own disable_telemetry_events() comes too late. A self-hosted server tells nobody anything.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
