"""The Pipecat media server that RustPBX connects to: a WebSocket per call, and rooms."""
