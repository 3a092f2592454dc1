"""Everything that reaches into aiortc's private parts, in one place.

aiortc has no public way to any of this. Written against ``TESTED_AIORTC``; the one substitution
that changes its behaviour is made only with that version, the rest reads.
"""

from __future__ import annotations

from typing import Any, cast

import aiortc
from aiortc import RTCPeerConnection, RTCRtpReceiver, RTCRtpTransceiver

TESTED_AIORTC = "1.16.0"

_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"


def can_replace_jitter_buffer(receiver: RTCRtpReceiver) -> bool:
    """Whether aiortc is the one that ``replace_jitter_buffer`` was written against."""
    return aiortc.__version__ == TESTED_AIORTC and hasattr(receiver, _JITTER_BUFFER)


def replace_jitter_buffer(receiver: RTCRtpReceiver, substitute: Any) -> None:
    """Let ``substitute.add(packet)`` have this receiver's packets; what it returns is decoded
    by aiortc, so it returns ``(False, None)``."""
    setattr(receiver, _JITTER_BUFFER, substitute)


def accept_only_opus(transceiver: RTCRtpTransceiver) -> None:
    """Drop the other codecs from the answer: of several, aiortc sends the browser's first,
    whatever we encode."""
    inside = cast(Any, transceiver)
    inside._codecs = [codec for codec in inside._codecs if codec.name.lower() == "opus"]


def first_mid(pc: RTCPeerConnection) -> str | None:
    """The section that has a transport of its own; those bundled with it share that."""
    parts: list[Any] = [*pc.getTransceivers()]
    if pc.sctp is not None:
        parts.append(pc.sctp)
    return next((str(part.mid) for part in parts if not part._bundled), None)


def packets_received(transceiver: RTCRtpTransceiver) -> int:
    """All that came over the transceiver's transport but ICE's own checks: RTP, RTCP, DTLS."""
    stats = cast(dict[str, Any], cast(Any, transceiver.receiver.transport)._get_stats())
    return sum(getattr(entry, "packetsReceived", 0) for entry in stats.values())


async def close_for_good(pc: RTCPeerConnection) -> None:
    """Close, whatever the connection is about to do.

    Closed in the moment in which ICE connects, aioice would begin checks of the peer's consent
    that nobody ends; closed in the moment in which DTLS connects, aiortc would start a sender
    and a receiver, with a thread, that it believes to have stopped.
    """
    for part in [t.receiver for t in pc.getTransceivers()] + ([pc.sctp] if pc.sctp else []):
        cast(Any, part.transport.transport)._connection.query_consent = _check_nothing
    await pc.close()
    for transceiver in pc.getTransceivers():
        await transceiver.stop()


async def _check_nothing() -> None:
    return


def most_message_bytes(pc: RTCPeerConnection) -> int:
    """``a=max-message-size`` of the far side: longer messages it doesn't take. 0 is any length."""
    sctp = cast(Any, pc.sctp)
    return int(sctp._remote_max_message_size or 0) if sctp is not None else 0


def has_unacknowledged_messages(pc: RTCPeerConnection) -> bool:
    """Whether data channel messages wait to be sent, or to be confirmed by the far side."""
    sctp = cast(Any, pc.sctp)
    if sctp is None:
        return False
    return bool(sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue)
