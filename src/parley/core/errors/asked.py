"""Errors of what was asked: it makes no sense, isn't there, isn't theirs, or not any more."""

from __future__ import annotations

from types import MappingProxyType

from parley.core.errors.root import ParleyError


class BadRequest(ParleyError):
    code = "bad_request"
    status = 400
    type = "invalid_request_error"


class BadSettings(BadRequest):
    code = "bad_settings"


class BadAgent(BadRequest):
    code = "bad_agent"


class BadScript(BadRequest):
    code = "bad_script"


class BadOffer(BadRequest):
    code = "bad_offer"


class IncompatibleOffer(BadOffer):
    code = "incompatible_offer"


class IncompatibleAddress(IncompatibleOffer):
    code = "incompatible_address"


class BadAudio(BadRequest):
    code = "bad_audio"


class AudioTooLong(BadAudio):
    code = "audio_too_long"


class UnsupportedMedia(BadAudio):
    code = "unsupported_media"
    status = 415
    default_hint = "Send flac, mp3, mp4, m4a, ogg, wav or webm."


class MissingParameter(BadRequest):
    code = "missing_required_parameter"


class InvalidValue(BadRequest):
    code = "invalid_value"


class UnsupportedValue(BadRequest):
    code = "unsupported_value"


class TextTooLong(BadRequest):
    code = "string_above_max_length"


class TooLarge(BadRequest):
    code = "request_too_large"
    status = 413


class UploadStalled(BadRequest):
    code = "upload_stalled"
    status = 408
    can_retry = True


class MethodNotAllowed(BadRequest):
    code = "method_not_allowed"
    status = 405


class EngineRefusedRequest(BadRequest):
    code = "engine_refused_request"


class ResponseNotFound(BadRequest):
    code = "previous_response_not_found"


class Unauthorized(ParleyError):
    code = "invalid_api_key"
    status = 401
    type = "invalid_request_error"
    default_hint = "Send a key as Authorization: Bearer pk_…; parley keys create makes one."
    headers = MappingProxyType({"WWW-Authenticate": "Bearer"})


class BadSignature(Unauthorized):
    code = "bad_signature"


class Forbidden(ParleyError):
    code = "permission_denied"
    status = 403
    type = "invalid_request_error"


class DestinationRefused(Forbidden):
    code = "destination_refused"


class NotFound(ParleyError):
    code = "not_found"
    status = 404
    type = "invalid_request_error"


class ModelNotFound(NotFound):
    code = "model_not_found"


class NoSuchCall(NotFound):
    code = "call_id_not_found"


class NotSupported(ParleyError):
    code = "not_supported"
    status = 400
    type = "invalid_request_error"


class FarSideRefused(NotSupported):
    """The other side of the call could have done it, and wouldn't."""

    code = "far_side_refused"
    status = 409


class CallNotLive(ParleyError):
    code = "call_not_live"
    status = 409
    type = "invalid_request_error"


class QuestionPending(ParleyError):
    code = "question_pending"
    status = 409
    type = "invalid_request_error"


class NoAnswer(ParleyError):
    # Not 408: browsers send such a request again by themselves, and the question with it.
    code = "no_answer"
    status = 504
