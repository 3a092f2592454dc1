"""The OpenAPI document is true: whatever may be sent, what comes back is what it says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from parley.access.caller import OPEN_SCOPES
from parley.access.keys import KeyDesk
from parley.settings import Settings
from parley.store.opening import open_store
from tests.e2e.server import Server, running_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)
EXAMPLES_PER_ROUTE = 6
SEED = 20_261_121
# Of most names the server has never heard; these let a request get further than the door.
KNOWN = {
    ("SpeechBody", "model"): ["tts-1", "tts:builtin", "nobody"],
    ("SpeechBody", "voice"): ["alloy", "en-us+f3", "nobody"],
    ("SpeechBody", "input"): ["Yes.", "One, two.", "…", ""],
    ("SpeechBody", "language"): ["en", "de", "xx"],
    ("ChatBody", "model"): ["agent:receptionist", "scripted", "nobody"],
    ("ResponseBody", "model"): ["agent:receptionist", "scripted", "nobody"],
    ("form", "model"): ["whisper-1", "stt:builtin", "nobody"],
    ("path", "model_id"): ["agent:receptionist", "scripted", "stt:builtin", "nobody"],
    ("path", "kind"): ["stt", "tts", "nothing"],
    ("path", "name"): ["builtin", "receptionist", "ollama", "nobody"],
}


class House:
    """A server that wants a key, the key, and the document."""

    def __init__(self, server: Server, http: httpx.AsyncClient, token: str, folder: Path) -> None:
        self.server = server
        self.token = token
        self.folder = folder
        self._http = http

    async def ask(self, method: str, path: str, token: str = "") -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self._http.request(method, path, headers=headers)

    async def get(self, path: str, token: str = "") -> httpx.Response:
        return await self.ask("GET", path, token)

    async def document(self) -> dict[str, Any]:
        return (await self.get("/openapi.json", self.token)).json()

    async def schemathesis(self, document: dict[str, Any]) -> tuple[int, str]:
        """Run it: its exit code, and what it says."""
        written = self.folder / "openapi.json"
        written.write_text(json.dumps(document))
        process = await asyncio.create_subprocess_exec(
            *(Path(sys.executable).with_name("st"), "run", written, "--url", self.server.url),
            # Two threads that parse Python at once break each other's parser on 3.11, which is
            # what Hypothesis does to describe a lambda.
            *("--header", f"Authorization: Bearer {self.token}", "--workers", "1"),
            *("--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS)),
            *("--max-examples", str(EXAMPLES_PER_ROUTE), "--seed", str(SEED)),
            *("--continue-on-failure", "--request-timeout", "20", "--warnings", "off"),
            cwd=self.folder,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": "tests.api.schemathesis_hooks",
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "COLUMNS": "200",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder = tmp_path_factory.mktemp("schemathesis")
    async with open_store(Settings(data_dir=folder)) as store:
        made = await KeyDesk(store.keys).create("all", scopes=OPEN_SCOPES)
    async with (
        running_server(folder, {}, "--offline") as server,
        httpx.AsyncClient(base_url=server.url) as http,
    ):
        yield House(server, http, made.token, folder)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def narrowed(document: dict[str, Any]) -> dict[str, Any]:
    """The document, with known names where it takes any."""
    for _, _, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if known := KNOWN.get((parameter["in"], parameter["name"])):
                parameter["schema"] = {"type": "string", "enum": known}
        for kind, body in operation.get("requestBody", {}).get("content", {}).items():
            schema = body["schema"]
            name = "form" if kind == "multipart/form-data" else schema.get("title", "")
            for field in schema.get("properties", {}):
                if known := KNOWN.get((name, field)):
                    schema["properties"][field] = {"type": "string", "enum": known}
    return document


async def test_every_answer_is_one_that_the_document_tells_of(house: House) -> None:
    document = narrowed(await house.document())

    code, said = await house.schemathesis(document)

    log = "\n".join(house.server.log[-200:])
    assert code == 0, said[-60_000:].replace("\\x00", "") + log
    assert (await house.get("/health/live")).status_code == 200
    assert not [line for line in house.server.log if "request_broke" in line]


async def test_every_route_says_what_it_does_and_how_it_refuses(house: House) -> None:
    document = await house.document()

    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)
    assert document["info"]["title"] == "Parley"
    for method, path, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["tags"], where
        assert "422" not in operation["responses"], where
        for status, told in operation["responses"].items():
            is_error = int(status) >= 400 and not path.startswith("/health/ready")
            if is_error:
                schema = told["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("/ErrorAnswer"), f"{where} {status}"
        if operation.get("security"):
            assert {"401", "429"} <= operation["responses"].keys(), where
        if "requestBody" in operation:
            assert {"400"} <= operation["responses"].keys(), where


async def test_no_route_that_asks_for_a_key_answers_without_one(house: House) -> None:
    document = await house.document()

    for method, path, operation in operations(document):
        answer = await house.ask(method.upper(), path)
        is_open = not operation.get("security")
        assert (answer.status_code == 401) is not is_open, f"{method} {path}"


async def test_what_a_path_takes_is_in_allow(house: House) -> None:
    document = await house.document()

    for path, methods in document["paths"].items():
        answer = await house.ask("PUT", path, house.token)
        allowed = set(answer.headers["allow"].lower().split(", "))
        assert answer.status_code == 405, path
        assert allowed >= methods.keys(), path
        assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_what_the_document_refers_to_is_in_it(house: House) -> None:
    document = await house.document()

    schemas = document["components"]["schemas"]
    for reference in references(document):
        assert reference.startswith("#/components/schemas/"), reference
        assert reference.rpartition("/")[2] in schemas, reference
    assert not re.search(r"HTTPValidationError|\$defs", json.dumps(document))


async def test_only_the_two_probes_are_open(house: House) -> None:
    document = await house.document()

    open_paths = [path for _, path, each in operations(document) if not each.get("security")]
    assert open_paths == ["/health/live", "/health/ready"]
    assert (await house.get("/openapi.json")).status_code == 401
    assert document["components"]["securitySchemes"] == {
        "key": {
            "type": "http",
            "scheme": "bearer",
            "description": "A key (pk_…) or a client secret (ek_…).",
        }
    }
    assert document["paths"]["/v1/audio/speech"]["post"]["security"] == [{"key": ["speech"]}]
