"""Raw PCM over a WebSocket: what today's RustPBX dials out with (``voip_bridge``, MediaPass)."""
