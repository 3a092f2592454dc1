"""The OpenAPI document: what all routes share is said here, once."""

from __future__ import annotations

import asyncio
import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from fastapi import APIRouter, Depends, FastAPI
from starlette.responses import Response

from parley.access.caller import SCOPE_MEANINGS
from parley.access.guard import SCHEME_NAME
from parley.core.answers import STATUSES, ErrorAnswer

TITLE = "Parley"
DESCRIPTION = """\
Speech, transcription, chat and conversations with voice agents, on your own machine. The routes
below `/v1` that OpenAI has too speak its dialect: point any client of OpenAI's at them.

**Keys.** Send `Authorization: Bearer pk_…`. As long as no key was ever made, programs of the
server's own machine need none. `security` names the scopes that a route's key must have.

**Errors** are always `{"error": {"message", "type", "param", "code"}}`, and every answer carries
`x-request-id`. What this document says of 429 and 503 comes with `Retry-After` where waiting helps.
"""
TAGS: Mapping[str, str] = {
    "audio": "Text becomes speech, and speech text.",
    "chat": "Language models and agents, in writing.",
    "responses": "The same by OpenAI's newer interface, which remembers its answers.",
    "models": "What can be named as a model.",
    "realtime": "Spoken conversations by OpenAI's Realtime protocol.",
    "calls": "Live and past calls.",
    "agents": "Who answers here.",
    "tools": "What agents may use, and what it did.",
    "webhooks": "Who is told of calls.",
    "webrtc": "A browser's call: offer, answer and candidates.",
    "health": "Is it alive, may calls be sent to it, do the engines answer?",
}
DOCUMENT_PATH = "/openapi.json"

_JSON = "application/json"
_COMPONENTS = "#/components/schemas/"
_DEFS = "#/$defs/"
_ERROR = "ErrorAnswer"
# FastAPI's own idea of a bad body, which never leaves this house.
_NEVER_SENT = frozenset({"HTTPValidationError", "ValidationError"})


def operation_id(route: Any) -> str:
    """``post_v1_audio_speech``: what generated clients call the route."""
    method = sorted(route.methods)[0].lower()
    return re.sub(r"\W+", "_", f"{method}{route.path_format}").strip("_")


def document_router(web: FastAPI, guard: Any) -> APIRouter:
    """``GET /openapi.json``, for those whom ``guard`` lets in."""
    router = APIRouter(include_in_schema=False)
    router.add_api_route(
        DOCUMENT_PATH, _Document(web).get, methods=["GET"], dependencies=[Depends(guard)]
    )
    return router


class _Document:
    def __init__(self, web: FastAPI) -> None:
        self._web = web
        self._made = b""

    async def get(self) -> Response:
        """Made when it is first asked for, and beside the calls, which can't wait for it."""
        if not self._made:
            self._made = await asyncio.to_thread(self._make)
        return Response(self._made, media_type=_JSON)

    def _make(self) -> bytes:
        return json.dumps(document_of(self._web), separators=(",", ":")).encode()


def document_of(web: FastAPI) -> dict[str, Any]:
    """The document of all routes that the application has by now."""
    document = copy.deepcopy(web.openapi())
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    for operation in _operations(document):
        _complete(operation)
    # A web application that declared no error by hand knows no schema for one.
    schemas.setdefault(_ERROR, ErrorAnswer.model_json_schema(ref_template=_COMPONENTS + "{model}"))
    found: dict[str, Any] = {}
    document = cast("dict[str, Any]", _hoisted(document, found))
    components = document["components"]
    _add(components["schemas"], found)
    components["schemas"] = {
        name: schema
        for name, schema in sorted(components["schemas"].items())
        if name not in _NEVER_SENT
    }
    _one_scheme(components)
    document["info"]["description"] = DESCRIPTION + _scopes()
    used = {tag for operation in _operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [
        {"name": name, "description": says} for name, says in TAGS.items() if name in used
    ]
    return document


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document.get("paths", {}).values():
        yield from path.values()


def _complete(operation: dict[str, Any]) -> None:
    """Say what the guard and the error handlers do to every route."""
    responses: dict[str, Any] = operation["responses"]
    responses.pop("422", None)
    statuses = [500]
    if needed := _needed_scopes(operation):
        operation["security"] = [{SCHEME_NAME: needed[0]}]
        statuses += [401, 429] + ([403] if needed[0] else [])
    schema = {"$ref": _COMPONENTS + _ERROR}
    for status in statuses:
        told = {"description": STATUSES[status], "content": {_JSON: {"schema": schema}}}
        responses.setdefault(str(status), told)
    operation["responses"] = dict(sorted(responses.items()))


def _needed_scopes(operation: Mapping[str, Any]) -> list[list[str]]:
    """The scopes that the route's guard wants; an empty list for a route that has no guard."""
    names = [name for each in operation.get("security", ()) for name in each]
    return [name.split(".")[1:] for name in names]


def _one_scheme(components: dict[str, Any]) -> None:
    """Guards of different scopes are the same way of showing a key."""
    schemes: dict[str, Any] = components.get("securitySchemes", {})
    if schemes:
        components["securitySchemes"] = {SCHEME_NAME: next(iter(schemes.values()))}


def _hoisted(value: object, found: dict[str, Any]) -> object:
    """The value with the ``$defs`` of its schemas taken out into ``found``: FastAPI puts what
    routes say of their bodies where such references lead nowhere."""
    if isinstance(value, list):
        return [_hoisted(each, found) for each in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    given = dict(cast("dict[str, object]", value))
    if definitions := given.pop("$defs", None):
        _add(found, cast("dict[str, Any]", _hoisted(definitions, found)))
    reference = given.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFS):
        given["$ref"] = _COMPONENTS + reference.removeprefix(_DEFS)
    return {name: _hoisted(each, found) for name, each in given.items()}


def _add(schemas: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, schema in more.items():
        if schemas.setdefault(name, schema) != schema:
            raise ValueError(f"Two models of the API are called {name}: give one another name.")


def _scopes() -> str:
    lines = [f"- `{scope}`: {says}" for scope, says in SCOPE_MEANINGS.items()]
    return "\n".join(["\n**Scopes.**\n", *lines, ""])
