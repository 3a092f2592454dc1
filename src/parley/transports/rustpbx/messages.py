"""What a PBX says on the socket, read with tolerance at the border."""

from __future__ import annotations

import base64
import binascii
import json
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from parley.core.errors import BadRequest, InvalidValue, MissingParameter
from parley.core.registry import did_you_mean

UPLINK_RATE_HZ = 16_000
"""What binary sound has, whatever ``configure`` says."""
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 4000, 192_000
LONGEST_NAME = 255
LONGEST_PROMPT = 16_384
MOST_PARTS = 20_000
"""A prompt may be full of braces; beyond that, each part takes longer to read than to send."""

_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
_NAMES = ("command", "type", "event")
_SOUNDS = ("audio_data", "data", "samples")
_COMMANDS = ("configure", "audio", "ping", "disconnect")


@dataclass(frozen=True, slots=True)
class Configure:
    """``None`` and "" leave things as they are."""

    room_id: str = ""
    system_prompt: str | None = None
    language: str = ""
    speech_rate_hz: int | None = None
    """The rate at which the PBX plays binary sound."""


@dataclass(frozen=True, slots=True)
class Sound:
    """s16le mono. ``number`` counts the client's frames, where it does."""

    pcm: bytes
    rate_hz: int
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class Disconnect:
    reason: str = ""


Command = Configure | Sound | Ping | Disconnect


def read_command(text: str) -> Command:
    """Raises ``BadRequest`` or one of its kinds, with what is wrong."""
    if text.count("[") + text.count("{") > MOST_PARTS:
        raise BadRequest(f"The message has more than {MOST_PARTS} lists and objects.")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest("The message is no JSON.") from error
    if not isinstance(found, dict):
        raise BadRequest('The message is no JSON object with a "command".')
    message = cast(dict[str, Any], found)
    name = next((message[key] for key in _NAMES if message.get(key) is not None), None)
    if not isinstance(name, str):
        raise MissingParameter('The message has no "command".', param="command")
    match name:
        case "configure":
            return _configure(message)
        case "audio":
            return _sound(message)
        case "ping":
            return Ping(_whole(message.get("timestamp")))
        case "disconnect":
            return Disconnect(str(message.get("reason") or "")[:LONGEST_NAME])
        case _:
            raise InvalidValue(
                f"There is no command {name[:60]!r}.",
                hint=did_you_mean(name[:60], _COMMANDS),
                param="command",
            )


def _configure(message: Mapping[str, Any]) -> Configure:
    hearing, speaking = _part(message, "stt_config"), _part(message, "tts_config")
    rate_hz = _whole(speaking.get("sample_rate"))
    return Configure(
        room_id=_text(message, "room_id", LONGEST_NAME),
        system_prompt=_text(message, "system_prompt", LONGEST_PROMPT) or None,
        language=_language(hearing),
        speech_rate_hz=rate_hz,
    )


def _language(hearing: Mapping[str, Any]) -> str:
    found = _text(hearing, "language", 35)
    if found and not _LANGUAGE.fullmatch(found):
        # Recognisers are asked for it as it stands.
        raise InvalidValue("language must be a tag such as de or en-GB.", param="stt_config")
    return found


def _part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = message.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise InvalidValue(f"{name} must be an object or null.", param=name)
    return cast(dict[str, Any], found)


def _text(message: Mapping[str, Any], name: str, longest: int) -> str:
    found = message.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise InvalidValue(f"{name} must be text or null.", param=name)
    if len(found) > longest:
        raise InvalidValue(
            f"{name} has {len(found)} characters; {longest} are allowed.", param=name
        )
    # JSON can hold half of a surrogate pair, which no log, file or request can.
    return found.strip().encode(errors="replace").decode()


def _whole(found: object) -> int | None:
    """An integer that fits an unsigned 64 bit field; None for everything else."""
    if not isinstance(found, int) or isinstance(found, bool):
        return None
    return found if 0 <= found < 1 << 64 else None


def _sound(message: Mapping[str, Any]) -> Sound:
    name = next((key for key in _SOUNDS if message.get(key) is not None), "")
    if not name:
        raise MissingParameter("The audio has no audio_data.", param="audio_data")
    pcm = _pcm(message[name], name)
    rate_hz = message.get("sample_rate")
    rate_hz = UPLINK_RATE_HZ if rate_hz is None else _whole(rate_hz)
    if rate_hz is None or not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise InvalidValue(
            f"sample_rate must be a whole number from {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ}.",
            param="sample_rate",
        )
    channels = message.get("channels", 1)
    if channels in (2, 2.0) and not isinstance(channels, bool):
        pcm = _one_channel(pcm)
    elif channels not in (None, 0, 1):
        raise InvalidValue("Sound must have one channel, or two.", param="channels")
    return Sound(pcm, rate_hz, _number(message.get("frame_id")))


def _pcm(found: object, name: str) -> bytes:
    """The bytes as a list of integers or in base64; a list of samples does as well."""
    try:
        if isinstance(found, str):
            return base64.b64decode(found, validate=True)
        if isinstance(found, list):
            values = cast(list[int], found)
            try:
                return bytes(values)
            except ValueError:
                return array("h", values).tobytes()
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise InvalidValue(_WANTED.format(name), param=name) from error
    raise InvalidValue(_WANTED.format(name), param=name)


_WANTED = "{} must be a list of integers from 0 to 255, or base64."


def _one_channel(pcm: bytes) -> bytes:
    pairs = np.frombuffer(pcm[: len(pcm) // 4 * 4], np.dtype("<i2")).reshape(-1, 2)
    return pairs.astype(np.int32).mean(axis=1).astype("<i2").tobytes()


def _number(frame_id: object) -> int | None:
    """The counter at the end of ``ROOM_17``."""
    if not isinstance(frame_id, str):
        return None
    number = frame_id.rpartition("_")[2]
    # Longer ones than a call could have counted are no counters.
    return int(number) if number.isascii() and number.isdigit() and len(number) < 12 else None
