"""The OpenAI Realtime protocol, over WebSocket and WebRTC."""
