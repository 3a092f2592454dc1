"""What a server process and its worker processes say to each other over three pipes.

A message is a header (kind: one byte, job: four, length: four, little-endian) and a body: JSON,
or for ``AUDIO`` the sound itself. Only the standard library is imported here and in
``worker_process``: a worker starts in a tenth of a second.
"""

from __future__ import annotations

import json
import struct
from typing import Any

HEADER = struct.Struct("<cII")
NUMBER = struct.Struct("<I")
"""A job's number alone: what goes over the second pipe to the worker, as soon as it is cancelled.
The message itself stands behind all sound that was sent before."""

# To the worker
OPEN, AUDIO, FINISH, CANCEL, PING = b"O", b"A", b"F", b"C", b"?"
# From the worker
READY, PARTIAL, FINAL, FAILED, PONG, NOTE = b"R", b"P", b"Z", b"E", b"!", b"N"


def pack(kind: bytes, job: int, body: bytes = b"") -> bytes:
    return HEADER.pack(kind, job, len(body)) + body


def pack_json(kind: bytes, job: int, value: Any) -> bytes:
    return pack(kind, job, json.dumps(value).encode())
