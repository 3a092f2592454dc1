"""baresip, a telephone of its own: it plays a file to whom it calls, and records what it hears."""

from __future__ import annotations

import asyncio
import re
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

from parley.transports.sip.options import TlsFiles
from tests.caller_voice import CALLER_HZ
from tests.transports.sip.sipp import require

CONFIGURATION = """
poll_method epoll
sip_listen 127.0.0.1:{port}
audio_player aufile,{folder}/unused.wav
audio_source aufile,{folder}/said.wav
audio_alert aufile,{folder}/unused.wav
ausrc_srate {rate_hz}
auplay_srate {rate_hz}
snd_path {folder}
module_path /usr/lib/baresip/modules
module stdio.so
module g722.so
module g711.so
module aufile.so
module sndfile.so
module srtp.so
module_tmp account.so
module_app menu.so
"""
SECRET = """
sip_certificate {certificate}
sip_cafile {authorities}
"""
ACCOUNT = "<sip:baresip@127.0.0.1:{port}>;regint=0;audio_codecs=G722/16000/1{more}\n"
# Whoever can't do that has no call with it.
SECRETLY = ";answermode=auto;mediaenc=srtp-mand"


class Baresip:
    """A call that it makes."""

    def __init__(self, folder: Path, running: asyncio.subprocess.Process) -> None:
        self._folder = folder
        self._running = running

    async def hang_up(self) -> None:
        """Say goodbye and end, the recording finished."""
        self._running.terminate()
        await self._running.wait()

    async def is_up(self) -> None:
        """Return once it can be called."""
        async with asyncio.timeout(15):
            while b"baresip is ready" not in (self._folder / "log").read_bytes():
                assert self._running.returncode is None, (self._folder / "log").read_text()
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self._running.wait()

    @property
    def hears_from(self) -> int:
        """The port that the sound comes from."""
        told = (self._folder / "log").read_text(errors="replace")
        found = re.search(r"receiving from 127\.0\.0\.1:(\d+)", told)
        assert found is not None, told
        return int(found[1])

    def heard(self) -> np.ndarray:
        """All sound that it got, at 16 kHz."""
        (path,) = self._folder.glob("dump-*-dec.wav")
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels()) == (CALLER_HZ, 1)
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)


@asynccontextmanager
async def baresip(
    folder: Path, port: int, uri: str, said: bytes, tls: TlsFiles | None = None
) -> AsyncIterator[Baresip]:
    """Calls ``uri`` from ``port`` and plays ``said`` (s16le at 16 kHz) until it hangs up.

    With ``tls`` it also takes calls over TLS at the next port, and has none whose sound isn't
    encrypted. Without ``uri`` it calls nobody.
    """
    program = require("baresip", "baresip-core")
    _prepare(folder, port, said, tls)
    orders = ("-e", f"/dial {uri}") if uri else ()
    with (folder / "log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            program,
            *("-f", str(folder), *orders),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    phone = Baresip(folder, running)
    try:
        yield phone
    finally:
        if running.returncode is None:
            await phone.hang_up()


def _prepare(folder: Path, port: int, said: bytes, tls: TlsFiles | None) -> None:
    folder.mkdir()
    settings = CONFIGURATION.format(port=port, folder=folder, rate_hz=CALLER_HZ)
    if tls is not None:
        assert tls.certificate and tls.key
        # It wants both in one file.
        certificate = folder / "certificate.pem"
        certificate.write_bytes(tls.certificate.read_bytes() + tls.key.read_bytes())
        settings += SECRET.format(certificate=certificate, authorities=tls.authorities)
    (folder / "config").write_text(settings)
    (folder / "accounts").write_text(ACCOUNT.format(port=port, more=SECRETLY if tls else ""))
    (folder / "contacts").write_text("")
    with wave.open(str(folder / "said.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(CALLER_HZ)
        file.writeframes(said)
