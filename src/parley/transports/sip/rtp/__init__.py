"""A telephone call's sound: RTP both ways, without a word of signalling."""
