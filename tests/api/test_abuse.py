"""Abuse of a whole server: it stays responsive, and its memory bounded.

What a single refusal looks like is proved beside each route; here many come at once, and somebody
else asks how the server is all the while.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from parley.access.keys import KeyDesk
from parley.settings import Settings
from parley.store.opening import open_store
from tests.api.bombs import opus_of_silence, without_length
from tests.api.openai.served import MIB, encoded
from tests.e2e.server import Server, running_server

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

FORM = {"content-type": "multipart/form-data; boundary=x"}
HEAD = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b'--x\r\nContent-Disposition: form-data; name="file"; filename="upload"\r\n\r\n'
)
TAIL = b"\r\n--x--\r\n"
TRANSCRIBE = "/v1/audio/transcriptions"
STALL_S = 2
LONGEST_MINUTES = 1
PLACES = 6
# Models are in memory from the start; what these requests add is this at the most.
MOST_GROWN_MIB = 96


class House:
    """A server that wants a key, and a key."""

    def __init__(self, server: Server, token: str) -> None:
        self.server = server
        self.key = {"authorization": f"Bearer {token}"}
        self.host, _, port = server.url.removeprefix("http://").partition(":")
        self.port = int(port)

    @property
    def memory_mib(self) -> float:
        """The most that the server's process has ever had."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found
        return int(found[1]) / 1024

    def http(self, timeout_s: float = 60) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=None)
        return httpx.AsyncClient(
            base_url=self.server.url, timeout=timeout_s, limits=limits, headers=self.key
        )

    async def half_open(self, sent: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        return reader, writer

    def head(self, path: str, length: int = 0, *more: str) -> bytes:
        lines = [
            f"POST {path} HTTP/1.1",
            "host: localhost",
            f"authorization: {self.key['authorization']}",
            f"content-length: {length}",
            *more,
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    async def logged_times(self, times: int, event: str) -> None:
        """Wait until the server has said so that often."""
        async with self.server.grown:
            await self.server.grown.wait_for(
                lambda: sum(event in line for line in self.server.log) >= times
            )

    def handshake(self, path: str) -> bytes:
        lines = [
            f"GET {path} HTTP/1.1",
            "host: localhost",
            f"authorization: {self.key['authorization']}",
            "connection: upgrade",
            "upgrade: websocket",
            "sec-websocket-version: 13",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        ]
        return "\r\n".join([*lines, "", ""]).encode()

    @asynccontextmanager
    async def unharmed(self) -> AsyncGenerator[None]:
        """Whatever is done inside: the server answers meanwhile and after, and grows little."""
        before = self.memory_mib
        asking = asyncio.create_task(self._ask_again_and_again())
        try:
            yield
        finally:
            asking.cancel()
            answers = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError), answers
        async with self.http(timeout_s=10) as http:
            assert (await http.get("/v1/models")).status_code == 200
        assert self.memory_mib - before < MOST_GROWN_MIB

    async def _ask_again_and_again(self) -> None:
        async with self.http(timeout_s=10) as http:
            while True:
                assert (await http.get("/health/live")).status_code == 200
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    folder = tmp_path_factory.mktemp("abuse")
    async with open_store(Settings(data_dir=folder)) as store:
        made = await KeyDesk(store.keys).create("good")
    environment = {
        "PARLEY_STALL_S": str(STALL_S),
        "PARLEY_MAX_CALLS": str(PLACES),
        "PARLEY_MAX_AUDIO_MINUTES": str(LONGEST_MINUTES),
    }
    async with running_server(folder, environment, "--offline") as server:
        yield House(server, made.token)


async def without_end(
    head: bytes, sent: Counter[str], most: int = 1024 * MIB
) -> AsyncIterator[bytes]:
    piece = bytes(256 * 1024)
    yield head
    while sent["bytes"] < most:
        sent["bytes"] += len(piece)
        yield piece


@pytest.mark.parametrize(
    ("path", "head", "kind"),
    [
        (TRANSCRIBE, HEAD, FORM["content-type"]),
        ("/v1/chat/completions", b'{"messages": "', "application/json"),
        ("/v1/audio/speech", b'{"input": "', "application/json"),
        ("/v1/agents/check", b"title: ", "text/plain"),
        ("/api/offer", b'{"sdp": "', "application/json"),
        ("/v1/models/x/y", b"", "application/json"),
    ],
)
async def test_a_gibibyte_is_refused_long_before_its_end(
    house: House, path: str, head: bytes, kind: str
) -> None:
    sent = Counter[str]()
    status = 413

    async with house.unharmed(), house.http() as http:
        # A client that is cut off while it sends sees that instead of the answer.
        with suppress(httpx.TransportError):
            body = without_end(head, sent)
            answer = await http.post(path, content=body, headers={"content-type": kind})
            status = answer.status_code

    assert status in (400, 404, 413)
    assert sent["bytes"] < 64 * MIB


async def test_many_gibibytes_at_once_are_refused_as_well(house: House) -> None:
    sent = [Counter[str]() for _ in range(8)]

    async with house.unharmed(), house.http() as http:
        answers = await asyncio.gather(
            *(
                http.post(TRANSCRIBE, content=without_end(HEAD, each), headers=FORM)
                for each in sent
            ),
            return_exceptions=True,
        )

    assert not [a for a in answers if isinstance(a, httpx.Response) and a.status_code != 413]
    assert sum(each["bytes"] for each in sent) < 512 * MIB


async def test_small_files_that_last_for_hours_are_given_up_early(house: House) -> None:
    flac = encoded(bytes(32_000 * 60 * 10), "flac", "flac")
    bombs = [opus_of_silence(2), flac, without_length(flac)]

    async with house.unharmed(), house.http() as http:
        answers = await asyncio.gather(
            *(
                http.post(path, data={"model": "whisper-1", **data}, files={"file": ("a", bomb)})
                for bomb in bombs
                for path, data in (
                    (TRANSCRIBE, {}),
                    (TRANSCRIBE, {"response_format": "srt"}),
                    ("/v1/audio/speech/timestamps", {}),
                )
            )
        )

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error"]["code"] for answer in answers} == {"audio_too_long"}


async def test_a_thousand_bad_keys_are_throttled_and_keep_no_good_one_out(house: House) -> None:
    guesses = asyncio.Semaphore(50)

    async def guess(http: httpx.AsyncClient, number: int) -> httpx.Response:
        async with guesses:
            bad = {"authorization": f"Bearer pk_{number:043d}"}
            return await http.get("/v1/models", headers=bad)

    async with house.unharmed(), house.http() as http:
        guessing = [asyncio.create_task(guess(http, number)) for number in range(1000)]
        good = [await http.get("/v1/models") for _ in range(20)]
        bad = await asyncio.gather(*guessing)

    statuses = Counter(answer.status_code for answer in bad)
    assert {answer.status_code for answer in good} == {200}
    assert statuses == {401: 20, 429: 980}
    for answer in bad:
        assert answer.status_code == 401 or 1 <= int(answer.headers["retry-after"]) <= 60


async def test_uploads_that_drip_are_cut_off(house: House) -> None:
    async def drip() -> bytes:
        head = house.head(TRANSCRIBE, 20_000_000, f"content-type: {FORM['content-type']}")
        reader, writer = await house.half_open(head + HEAD)
        answer = asyncio.ensure_future(reader.readline())
        with suppress(ConnectionError):
            while not answer.done():
                # A byte now and then: at no time does the client stall.
                writer.write(b"\0")
                await writer.drain()
                await asyncio.wait([answer], timeout=0.25)
        writer.close()
        return await answer

    async with house.unharmed():
        answers = await asyncio.gather(*(drip() for _ in range(50)))

    assert {answer.split()[1] for answer in answers} == {b"408"}


async def test_those_who_never_read_their_answer_are_cut_off(house: House) -> None:
    body = (
        b'{"model": "tts-1", "response_format": "pcm", "sample_rate": 48000, "input": "'
        + b"All work and no play. " * 150
        + b'"}'
    )
    kind = "content-type: application/json"

    async with house.unharmed(), AsyncExitStack() as stack:
        deaf: list[socket.socket] = []
        for _ in range(8):
            client = stack.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", house.port))
            client.sendall(house.head("/v1/audio/speech", len(body), kind) + body)
            deaf.append(client)
        await house.logged_times(len(deaf), "answer_broke_off")
        ends = [await asyncio.to_thread(_is_cut, client) for client in deaf]

    assert ends == [True] * len(deaf)


def _is_cut(client: socket.socket) -> bool:
    """Whether the answer ends before it is complete."""
    client.settimeout(30)
    got = bytearray()
    with suppress(ConnectionError):
        while piece := client.recv(1 << 20):
            got += piece
    return not got.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "sent",
    [b"", b"GET /v1/mod", b"GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-a: "],
    ids=["nothing", "half a line", "half a head"],
)
async def test_two_hundred_half_open_connections_keep_nobody_out(house: House, sent: bytes) -> None:
    async with house.unharmed(), house.http() as http:
        opened = [await house.half_open(sent) for _ in range(200)]
        answers = await asyncio.gather(*(http.get("/v1/models") for _ in range(20)))
        for _, writer in opened:
            writer.close()

    assert {answer.status_code for answer in answers} == {200}


async def test_two_hundred_sockets_that_say_nothing_take_no_more_than_their_places(
    house: House,
) -> None:
    async def knock() -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await house.half_open(house.handshake("/v1/realtime?model=gpt-realtime"))
        return (await reader.readline()).split()[1], writer

    async with house.unharmed(), house.http() as http:
        knocked = await asyncio.gather(*(knock() for _ in range(200)))
        answers = await asyncio.gather(*(http.get("/v1/models") for _ in range(20)))
        for _, writer in knocked:
            writer.transport.abort()
        await house.logged_times(PLACES, "call_ended")
        status, writer = await knock()
        writer.close()

    assert Counter(status for status, _ in knocked) == {b"101": PLACES, b"503": 200 - PLACES}
    assert {answer.status_code for answer in answers} == {200}
    assert status == b"101"


async def test_a_file_that_is_checked_starts_nothing(house: House) -> None:
    file = "tools:\n  - mcp: {name: x, command: /nowhere/program, only: ['*']}\n"

    async with house.http() as http:
        checked = await http.post("/v1/agents/check", content=file)

    assert (checked.status_code, checked.json().get("is_right")) == (200, True)
