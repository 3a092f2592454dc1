"""What Schemathesis sends as files: sound, and what isn't any. It reads this by itself."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

from tests.api.openai.served import encoded

SECOND = bytes(32_000)
WAV = encoded(SECOND, "wav", "pcm_s16le")
FLAC = encoded(SECOND, "flac", "flac")

schemathesis.openapi.format(
    "binary",
    st.one_of(
        st.sampled_from([WAV, FLAC, WAV[:1000], FLAC[:50], b"", b"RIFF"]), st.binary(max_size=100)
    ),
)

OFFER = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n"
AUDIO = b"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n"

# None is good enough for a call: those that are have tests of their own.
schemathesis.openapi.media_type(
    "application/sdp",
    st.one_of(
        st.sampled_from([b"", OFFER, OFFER + AUDIO, OFFER + AUDIO * 3, AUDIO, b"v=0", b"\xff\xfe"]),
        st.binary(max_size=200),
        st.text(max_size=200).map(str.encode),
    ),
)
