"""The error tree.

    ParleyError
    ├── BadRequest              what was asked makes no sense as it stands
    │   ├── BadSettings         a setting, a flag or an environment variable
    │   ├── BadAgent            an agent's YAML file
    │   ├── BadScript           a dialogue script
    │   ├── BadOffer            an SDP offer or an ICE candidate
    │   │   └── IncompatibleOffer … that can be read, and has nothing that we can do too
    │   │       └── IncompatibleAddress … for its sound is in IPv6 and we aren't, or the reverse
    │   ├── BadAudio            audio that can't be read
    │   │   ├── AudioTooLong    … for it lasts longer than is allowed
    │   │   └── UnsupportedMedia … for nobody here knows its format
    │   ├── MissingParameter    something that must be there is not
    │   ├── InvalidValue        a value that makes no sense
    │   ├── UnsupportedValue    a value that makes sense, but not here
    │   ├── TextTooLong         more characters than are allowed
    │   ├── TooLarge            more bytes than are allowed
    │   ├── UploadStalled       a body that stopped coming
    │   ├── MethodNotAllowed    the path is right, the verb is not
    │   ├── EngineRefusedRequest  an engine says so; asking it again changes nothing
    │   └── ResponseNotFound    a response to carry on from that isn't kept
    ├── Unauthorized            who is asking is not known: no key, or not a good one
    │   └── BadSignature        … for its signature is missing, wrong or too old
    ├── Forbidden               who is asking is known and may not do this
    │   └── DestinationRefused  an address that tools and webhooks may not reach
    ├── NotFound                no such agent, voice, peer …
    │   ├── ModelNotFound       an API was asked for a model that nobody here has
    │   └── NoSuchCall          a Realtime call that is over, or somebody else's
    ├── NotSupported            this transport or engine can't do that
    │   └── FarSideRefused      … or the other side of the call won't
    ├── CallNotLive             a call that is over, or held by another server
    ├── QuestionPending         the caller has been asked something already
    ├── NoAnswer                the caller was asked and said nothing in time
    ├── Refused                 understood, but not now
    │   ├── CallLimitReached    all places are taken
    │   ├── Draining            the server is going down
    │   ├── NotReady            the agent still waits for a model
    │   ├── NoRoom              too many large bodies are held at once
    │   ├── RateLimited         too much in this minute
    │   └── QuotaExceeded       too much in this day or month
    ├── StoreFailed             the database can't be used
    ├── ConnectFailed           sound never began to flow
    │   └── CallNotTaken        … for nobody took the call that went out
    └── EngineFailed            an engine broke
        ├── EngineUnavailable   … because it can't be reached or isn't installed
        │   ├── EngineBusy      … because too many requests wait for it already
        │   └── ModelMissing    … because the model that it was asked for isn't there
        └── EngineTimeout       … because it took too long
    ToolFailed                  (also a ParleyError) a tool broke

Each class has a stable ``code``, an HTTP ``status``, the ``type`` of OpenAI's error envelope,
whether trying again can help, and a ``hint`` that says what to do.
"""

from __future__ import annotations

from parley.core.errors.answers import envelope, error_headers
from parley.core.errors.asked import (
    AudioTooLong,
    BadAgent,
    BadAudio,
    BadOffer,
    BadRequest,
    BadScript,
    BadSettings,
    BadSignature,
    CallNotLive,
    DestinationRefused,
    EngineRefusedRequest,
    FarSideRefused,
    Forbidden,
    IncompatibleAddress,
    IncompatibleOffer,
    InvalidValue,
    MethodNotAllowed,
    MissingParameter,
    ModelNotFound,
    NoAnswer,
    NoSuchCall,
    NotFound,
    NotSupported,
    QuestionPending,
    ResponseNotFound,
    TextTooLong,
    TooLarge,
    Unauthorized,
    UnsupportedMedia,
    UnsupportedValue,
    UploadStalled,
)
from parley.core.errors.broken import (
    CallNotTaken,
    ConnectFailed,
    EngineBusy,
    EngineFailed,
    EngineTimeout,
    EngineUnavailable,
    ModelMissing,
    StoreFailed,
    ToolFailed,
)
from parley.core.errors.refused import (
    CallLimitReached,
    Draining,
    NoRoom,
    NotReady,
    QuotaExceeded,
    RateLimited,
    Refused,
)
from parley.core.errors.root import ParleyError, error_types

__all__ = [
    "AudioTooLong",
    "BadAgent",
    "BadAudio",
    "BadOffer",
    "BadRequest",
    "BadScript",
    "BadSettings",
    "BadSignature",
    "CallLimitReached",
    "CallNotLive",
    "CallNotTaken",
    "ConnectFailed",
    "DestinationRefused",
    "Draining",
    "EngineBusy",
    "EngineFailed",
    "EngineRefusedRequest",
    "EngineTimeout",
    "EngineUnavailable",
    "FarSideRefused",
    "Forbidden",
    "IncompatibleAddress",
    "IncompatibleOffer",
    "InvalidValue",
    "MethodNotAllowed",
    "MissingParameter",
    "ModelMissing",
    "ModelNotFound",
    "NoAnswer",
    "NoRoom",
    "NoSuchCall",
    "NotFound",
    "NotReady",
    "NotSupported",
    "ParleyError",
    "QuestionPending",
    "QuotaExceeded",
    "RateLimited",
    "Refused",
    "ResponseNotFound",
    "StoreFailed",
    "TextTooLong",
    "TooLarge",
    "ToolFailed",
    "Unauthorized",
    "UnsupportedMedia",
    "UnsupportedValue",
    "UploadStalled",
    "envelope",
    "error_headers",
    "error_types",
]
