"""What the signalling takes and gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from parley.transports.webrtc.sdp import MAX_CANDIDATES


class CallWish(BaseModel):
    """``request_data`` of an offer: whom to call. Other keys are the page's own business."""

    model_config = ConfigDict(extra="ignore")

    agent: str = Field(default="", max_length=100)
    voice: str = Field(default="", max_length=100)


class OfferBody(BaseModel):
    """What ``POST /api/offer`` takes; unknown keys are ignored, as clients differ in them."""

    model_config = ConfigDict(extra="ignore", strict=True)

    sdp: str
    type: str
    pc_id: str | None = None
    restart_pc: bool | None = None
    request_data: CallWish | None = Field(
        default=None, validation_alias=AliasChoices("request_data", "requestData")
    )


class CandidateBody(BaseModel):
    """A candidate, in Pipecat's spelling or the browser's."""

    model_config = ConfigDict(extra="ignore", strict=True)

    candidate: str = Field(max_length=1000)
    sdp_mid: str | None = Field(default=None, validation_alias=AliasChoices("sdp_mid", "sdpMid"))
    sdp_mline_index: int | None = Field(
        default=None, validation_alias=AliasChoices("sdp_mline_index", "sdpMLineIndex")
    )
    ufrag: str | None = Field(
        default=None, validation_alias=AliasChoices("username_fragment", "usernameFragment")
    )


class PatchBody(BaseModel):
    """What ``PATCH`` takes: Pipecat's ``{pc_id, candidates}``, or one bare ``{candidate}``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    pc_id: str | None = None
    candidates: list[CandidateBody] = Field(
        default_factory=list[CandidateBody], max_length=MAX_CANDIDATES
    )
    candidate: CandidateBody | None = None

    def all(self) -> Sequence[CandidateBody]:
        return [*self.candidates, *([self.candidate] if self.candidate else [])]


class OfferAnswer(BaseModel):
    """The answer to an offer; ``session_id`` is the call's id."""

    sdp: str
    type: Literal["answer"]
    pc_id: str
    session_id: str


class Taken(BaseModel):
    """The candidates were taken."""

    status: Literal["success"]


class IceServerEntry(BaseModel):
    """A server as ``RTCPeerConnection`` takes it."""

    urls: str | list[str]
    username: str | None = None
    credential: str | None = None


class IceServers(BaseModel):
    """The STUN and TURN servers that a page is to use."""

    iceServers: list[IceServerEntry]  # noqa: N815 - the browser's own name
