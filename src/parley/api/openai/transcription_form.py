"""What a form asks of a transcription."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from parley.api.openai.languages import language_code
from parley.api.openai.uploads import Form
from parley.core.answers import body_of
from parley.core.errors import InvalidValue, MissingParameter, UnsupportedValue

TranscriptForm = Literal["json", "text", "srt", "vtt", "verbose_json"]
Granularity = Literal["word", "segment"]

LONGEST_PROMPT = 4096
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_SWITCH = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False, "": False}


@dataclass(frozen=True)
class Wanted:
    """A transcription, asked for."""

    model: str
    form: TranscriptForm = "json"
    language: str = ""
    prompt: str = ""
    granularities: Sequence[Granularity] = ("segment",)
    streams: bool = False
    translates: bool = False

    @property
    def words(self) -> bool:
        return "word" in self.granularities

    @property
    def is_timed(self) -> bool:
        """Whether it matters when each utterance was: also for text that is sent as it comes."""
        return self.streams or self.form not in ("json", "text")


def read_wanted(form: Form, *, translates: bool) -> Wanted:
    """Raises the error of the first fault, naming the field."""
    model = form.text("model")
    if not model:
        raise MissingParameter("model is missing.", param="model")
    temperature_of(form)
    wanted_form = _transcript_form(form, model)
    return Wanted(
        model=model,
        form=wanted_form,
        language="" if translates else _language(form),
        prompt=_prompt(form),
        granularities=_granularities(form, wanted_form),
        streams=not translates and _switch(form, "stream"),
        translates=translates,
    )


def temperature_of(form: Form) -> float:
    """Checked for its writer's sake; engines have their own ladder of temperatures."""
    return number_of(form, "temperature", 0.0, least=0.0, most=1.0)


def number_of(form: Form, name: str, default: float, *, least: float, most: float) -> float:
    text = form.text(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError as error:
        raise InvalidValue(f"{name}: {text[:40]!r} is no number.", param=name) from error
    if not least <= number <= most:
        raise InvalidValue(f"{name} must be from {least:g} to {most:g}.", param=name)
    return number


def _transcript_form(form: Form, model: str) -> TranscriptForm:
    wanted = form.text("response_format") or "json"
    if wanted in get_args(TranscriptForm):
        return cast(TranscriptForm, wanted)
    known = ", ".join(get_args(TranscriptForm))
    if wanted == "diarized_json":
        raise UnsupportedValue(
            f"{model} can't tell speakers apart.",
            hint=f"Take one of {known}.",
            param="response_format",
        )
    raise InvalidValue(
        f"response_format: there is no {wanted[:40]!r}.",
        hint=f"Take one of {known}.",
        param="response_format",
    )


def _language(form: Form) -> str:
    """``languages[]`` are candidates: only a single one is certain."""
    candidates = form.values("languages")
    language = form.text("language") or (candidates[0] if len(candidates) == 1 else "")
    code = language_code(language)
    if code and not _LANGUAGE.fullmatch(code):
        raise InvalidValue(
            f"language: {language[:40]!r} is none.",
            hint="Write it like en, de or pt-BR.",
            param="language",
        )
    return "" if code == "auto" else code


def _prompt(form: Form) -> str:
    """Keywords, which are ``hotwords`` at Speaches, are the prompt's last words."""
    parts = [form.text("prompt"), ", ".join(form.values("keywords")), form.text("hotwords")]
    prompt = " ".join(part for part in parts if part)
    if len(prompt) > LONGEST_PROMPT:
        raise InvalidValue(f"prompt has more than {LONGEST_PROMPT} characters.", param="prompt")
    return prompt


def _granularities(form: Form, wanted: TranscriptForm) -> tuple[Granularity, ...]:
    name = "timestamp_granularities"
    asked = form.values(name)
    for each in asked:
        if each not in get_args(Granularity):
            raise InvalidValue(
                f"{name}: there is no {each[:40]!r}.", hint="Take word, segment.", param=name
            )
    if asked and wanted != "verbose_json":
        raise InvalidValue(
            f"{name} goes with response_format verbose_json only.", param="response_format"
        )
    return cast(tuple[Granularity, ...], tuple(dict.fromkeys(asked))) or ("segment",)


def _switch(form: Form, name: str) -> bool:
    text = form.text(name).lower()
    if text not in _SWITCH:
        raise InvalidValue(f"{name} takes true or false.", param=name)
    return _SWITCH[text]


_TEXT = {"type": "string"}
_UPLOAD = {"file": {"type": "string", "format": "binary"}, "model": _TEXT}
_FIELDS: Mapping[str, Any] = {
    "prompt": _TEXT,
    "response_format": {"enum": [*get_args(TranscriptForm)], "default": "json"},
    "temperature": {"type": "number", "minimum": 0, "maximum": 1},
}
TRANSLATION_FIELDS: Mapping[str, Any] = {**_UPLOAD, **_FIELDS}
TRANSCRIPTION_FIELDS: Mapping[str, Any] = {
    **TRANSLATION_FIELDS,
    "language": _TEXT,
    "stream": {"type": "boolean", "default": False},
    "timestamp_granularities[]": {"type": "array", "items": {"enum": [*get_args(Granularity)]}},
}


def described_form(fields: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """The form's schema for the OpenAPI document, as FastAPI's ``openapi_extra``."""
    schema = {"type": "object", "required": [*required], "properties": dict(fields)}
    return body_of({"multipart/form-data": schema})
