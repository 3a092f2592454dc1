"""Abuse of the upload: too large, too slow, broken off, without end. Memory stays bounded."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from collections.abc import AsyncIterator

import httpx2
import openai
import pytest

from parley.testing.engines import FakeTranscriber
from tests.api.openai.served import MIB, AudioLimits, OneEngine, Served, UploadLimits, serving

HEAD = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="upload"\r\n\r\n'
)
TAIL = b"\r\n--x--\r\n"
KIND = {"content-type": "multipart/form-data; boundary=x"}
ROUTE = "/v1/audio/transcriptions"
SMALL = AudioLimits(UploadLimits(2 * MIB, stall_s=0.3), longest_s=60.0)


def desk() -> OneEngine:
    return OneEngine(hears=FakeTranscriber("x"))


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def raw(server: Served, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    start = f"POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {KIND['content-type']}\r\n"
    writer.write(start.encode() + head + b"\r\n")
    return reader, writer


async def test_a_file_over_the_limit_is_413_and_named_in_the_answer() -> None:
    async with serving(desk(), SMALL) as (_, client):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.audio.transcriptions.create(model="m", file=bytes(2 * MIB + 1))

    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")
    assert caught.value.param == "file"
    assert "2,097,152" in str(caught.value)


async def test_a_file_at_the_limit_is_taken() -> None:
    sound = ("a.pcm", bytes(SMALL.upload.most_bytes), "audio/pcm")
    limits = AudioLimits(SMALL.upload, longest_s=3600)

    async with serving(desk(), limits) as (_, client):
        heard = await client.audio.transcriptions.create(model="m", file=sound)

    assert heard.text == ""


async def test_a_gibibyte_is_cut_off_at_the_limit_without_being_kept() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield HEAD
        piece = bytes(256 * 1024)
        while sent < 1024 * MIB:
            sent += len(piece)
            yield piece

    async with serving(desk()) as (server, _), httpx2.AsyncClient(timeout=30) as http:
        before = peak_mib()
        try:
            answer = await http.post(f"{server.url}{ROUTE}", content=endless(), headers=KIND)
            status = answer.status_code
        except httpx2.TransportError:
            # Cut off while it still sends.
            status = 413
        grown = peak_mib() - before

    assert status == 413
    assert sent < 64 * MIB
    assert grown < 40


async def test_a_body_that_is_declared_too_large_is_refused_unread() -> None:
    async with serving(desk(), SMALL) as (server, _):
        reader, writer = await raw(server, b"content-length: 1073741824\r\n")
        writer.write(HEAD)
        status = await reader.readline()
        writer.close()

    assert b" 413 " in status


async def test_a_client_that_stops_sending_is_told_so() -> None:
    async with serving(desk(), SMALL) as (server, _):
        reader, writer = await raw(server, b"content-length: 100000\r\n")
        writer.write(HEAD + bytes(500))
        status = await reader.readline()
        writer.close()

    assert b" 408 " in status


async def test_a_form_that_breaks_off_is_a_bad_request() -> None:
    async with serving(desk(), SMALL) as (server, _), httpx2.AsyncClient() as http:
        answer = await http.post(f"{server.url}{ROUTE}", content=HEAD + bytes(5000), headers=KIND)

    assert answer.status_code == 400
    assert "ended before its last boundary" in answer.json()["error"]["message"]


async def test_a_client_that_hangs_up_in_its_upload_leaves_the_server_well() -> None:
    async with serving(desk(), SMALL) as (server, client):
        _, writer = await raw(server, b"content-length: 100000\r\n")
        writer.write(HEAD + bytes(50_000))
        await writer.drain()
        writer.transport.abort()
        heard = await client.audio.transcriptions.create(
            model="m", file=("a.pcm", bytes(3200), "audio/pcm")
        )

    assert heard.text == ""


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data", ""])
async def test_a_body_that_is_no_form_is_a_bad_request(kind: str) -> None:
    async with serving(desk(), SMALL) as (server, _), httpx2.AsyncClient() as http:
        url = f"{server.url}{ROUTE}"
        answer = await http.post(url, content=b"{}", headers={"content-type": kind})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_fields_without_end_and_second_files_are_refused() -> None:
    field = b'--x\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + bytes(300_000)
    second = HEAD + b"a" + b"\r\n" + HEAD + b"b" + TAIL

    async with serving(desk(), SMALL) as (server, _), httpx2.AsyncClient() as http:
        long = await http.post(f"{server.url}{ROUTE}", content=field, headers=KIND)
        two = await http.post(f"{server.url}{ROUTE}", content=second, headers=KIND)

    assert (long.status_code, two.status_code) == (413, 400)


async def test_slow_senders_keep_nobody_else_waiting() -> None:
    async with serving(desk()) as (server, client):
        slow: list[socket.socket] = []
        for _ in range(100):
            sender = socket.create_connection(("127.0.0.1", server.port))
            sender.sendall(f"POST {ROUTE} HTTP/1.1\r\nhost: x\r\n".encode())
            slow.append(sender)
        heard = await client.audio.transcriptions.create(
            model="m", file=("a.pcm", bytes(3200), "audio/pcm")
        )
        for sender in slow:
            sender.close()

    assert heard.text == ""


async def test_a_refusal_is_an_envelope_with_a_request_id() -> None:
    async with serving(desk(), SMALL) as (server, _), httpx2.AsyncClient() as http:
        answer = await http.post(f"{server.url}{ROUTE}", content=b"{}")

    assert set(json.loads(answer.content)["error"]) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
