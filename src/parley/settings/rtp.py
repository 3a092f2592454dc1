"""The settings of a telephone's sound: where it is taken, and where callers send it."""

from __future__ import annotations

from parley.settings.field import setting
from parley.settings.opensips import OpenSipsSettings


class RtpSettings(OpenSipsSettings):
    """Names that the official connector has as well, where it has them."""

    rtp_port: int | None = setting(
        "RTP_PORT",
        None,
        "Without SIP and OpenSIPS: the UDP port where sound alone, without a signal before it, is "
        "a call. With either: the first port for audio, if RTP_MIN_PORT sets none.",
        "telephone",
        ge=1,
        le=65534,
        example="5004",
    )
    rtp_bind_ip: str = setting(
        "RTP_BIND_IP",
        "",
        "The address that takes telephone audio.",
        "telephone",
        allowed="an address",
        shown="the one that SIP listens on",
        example="10.0.0.7",
    )
    rtp_silence_s: float = setting(
        "PARLEY_RTP_SILENCE_S",
        10.0,
        "Without SIP: a caller whose audio stays away for so long has hung up.",
        "telephone",
        ge=0.5,
        le=3600,
    )
    rtp_ip: str = setting(
        "RTP_IP",
        "",
        "Where callers are told to send their audio.",
        "telephone",
        allowed="an address",
        shown="PARLEY_SIP_PUBLIC_HOST, or the address that the call came to",
        example="203.0.113.7",
    )
    rtp_min_port: int = setting(
        "RTP_MIN_PORT",
        10_000,
        "The first UDP port for telephone audio; each call takes two.",
        "telephone",
        ge=1,
        le=65535,
    )
    rtp_max_port: int = setting(
        "RTP_MAX_PORT",
        20_000,
        "The last UDP port for telephone audio.",
        "telephone",
        ge=1,
        le=65535,
    )

    @property
    def rtp_range(self) -> tuple[int, int]:
        """The first and the last port for the audio of calls by SIP. ``RTP_PORT`` is the first
        where nothing else says so."""
        first, last = self.rtp_min_port, self.rtp_max_port
        if self.rtp_port is None or "rtp_min_port" in self.model_fields_set:
            return first, last
        if "rtp_max_port" not in self.model_fields_set:
            last = min(self.rtp_port + last - first, 65_535)
        return self.rtp_port, last
