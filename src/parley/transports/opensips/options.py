"""What can be set about OpenSIPS and its management interface."""

from __future__ import annotations

from dataclasses import dataclass, field

from parley.core.errors import BadSettings
from parley.settings import Settings
from parley.settings.agent_rules import AgentRule
from parley.transports.sip.options import Network
from parley.transports.sip.rtp.codecs import G722, OPUS, PCMA, PCMU
from parley.transports.sip.rtp.line import LineOptions

ANYWHERE = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we wait, and for what.

    A command is repeated ``tries`` times, each waiting for ``answer_s``. The subscription lasts for
    ``expire_s`` and is renewed every ``refresh_s``; after a failure it is tried again after
    ``retry_s``, then less and less often up to ``longest_retry_s``. ``change_s`` is for the far
    side's answer to a request within a call, ``ack_s`` for its answer to our offer.
    """

    answer_s: float = 0.5
    tries: int = 3
    expire_s: int = 60
    refresh_s: float = 10.0
    second_look_s: float = 2.0
    retry_s: float = 1.0
    longest_retry_s: float = 30.0
    change_s: float = 32.0
    ack_s: float = 32.0
    transfer_s: float = 60.0
    closing_s: float = 2.0


@dataclass(frozen=True, slots=True)
class OpenSipsOptions:
    """Where the management interface is, and where its events come to.

    ``event_host`` "" is the address that this machine has towards the interface; ``event_port`` 0
    takes any free one. Events are believed that come from the interface's address, from this
    machine, or from ``friends``. ``rtp_public_host`` is what callers are told; "" means
    ``rtp_host``, or the address that this machine has towards the caller.
    """

    mi_host: str = "127.0.0.1"
    mi_port: int = 8080
    event_host: str = ""
    event_port: int = 0
    friends: tuple[Network, ...] = ()
    line: LineOptions = field(default_factory=LineOptions)
    rtp_ports: tuple[int, int] = (10_000, 20_000)
    rtp_host: str = ANYWHERE
    rtp_public_host: str = ""
    calls_per_s: float = 0.0
    rules: tuple[AgentRule, ...] = ()
    patience: Patience = Patience()

    @classmethod
    def from_settings(cls, settings: Settings) -> OpenSipsOptions:
        """Raises ``BadSettings``."""
        if settings.sip_srtp == "required":
            raise BadSettings(
                "PARLEY_SIP_SRTP=required, and calls by OpenSIPS can't be encrypted.",
                hint="Unset MI_IP, or PARLEY_SIP_SRTP.",
            )
        return cls(
            mi_host=settings.mi_ip,
            mi_port=settings.mi_port,
            event_host=settings.event_ip,
            event_port=settings.event_port,
            friends=settings.sip_peers,
            line=LineOptions(codecs=(OPUS, G722, PCMU, PCMA)),
            rtp_ports=settings.rtp_range,
            rtp_host=settings.rtp_bind_ip or ANYWHERE,
            rtp_public_host=settings.rtp_ip,
            calls_per_s=settings.sip_calls_per_s,
            rules=settings.sip_agents,
        )
