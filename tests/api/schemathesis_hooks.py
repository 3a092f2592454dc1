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
