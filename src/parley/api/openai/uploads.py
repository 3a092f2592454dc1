"""A form with a file, received within bounds: small files in memory, others on disk."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import IO

from fastapi import Request

from parley.api.openai.bodies import linger, pieces_of
from parley.api.openai.multipart import MultipartReader, PartBegins, PartData
from parley.core.errors import BadRequest, MissingParameter, TooLarge, UploadStalled

MEMORY_BYTES = 1024 * 1024
MOST_FIELD_BYTES = 256 * 1024
# Boundaries and headers.
_FORM_BYTES = 64 * 1024
_WRITE_BYTES = 256 * 1024


@dataclass(frozen=True)
class UploadLimits:
    """``most_bytes``: of the file. ``stall_s``: how long nothing may come."""

    most_bytes: int
    stall_s: float


@dataclass
class Upload:
    """The file of a form. ``name`` and ``content_type`` are what the client says of it."""

    file: IO[bytes]
    name: str
    content_type: str
    size: int = 0


@dataclass
class Form:
    """Fields by name, without the ``[]`` that some clients put behind names of lists."""

    fields: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    upload: Upload | None = None

    def text(self, name: str, default: str = "") -> str:
        """The field's last value, as forms have it."""
        return self.fields.get(name, [default])[-1]

    def values(self, name: str) -> list[str]:
        return [value for value in self.fields.get(name, ()) if value]

    @property
    def file(self) -> Upload:
        if self.upload is None:
            raise MissingParameter("There is no file.", param="file")
        return self.upload

    def close(self) -> None:
        if self.upload is not None:
            self.upload.file.close()


async def receive_form(request: Request, limits: UploadLimits) -> Form:
    """Read the form; whoever gets it closes it."""
    receiving = _Receiving(limits)
    reader = MultipartReader(request.headers.get("content-type", ""))
    most_bytes = limits.most_bytes + MOST_FIELD_BYTES + _FORM_BYTES
    try:
        async for piece in pieces_of(request, most_bytes=most_bytes, stall_s=limits.stall_s):
            for event in reader.push(piece):
                await receiving.take(event)
        reader.end()
        return await receiving.form()
    except BaseException as error:
        receiving.close()
        if isinstance(error, BadRequest) and not isinstance(error, UploadStalled):
            await linger(request)
        raise


class _Receiving:
    def __init__(self, limits: UploadLimits) -> None:
        self._limits = limits
        self._fields: dict[str, list[bytearray]] = {}
        self._field_bytes = 0
        self._upload: Upload | None = None
        self._field: bytearray | None = None
        self._unwritten = bytearray()

    async def take(self, event: PartBegins | PartData) -> None:
        if isinstance(event, PartBegins):
            self._begin(event)
        elif self._field is not None:
            self._take_text(event.data)
        else:
            await self._take_sound(event.data)

    def _begin(self, part: PartBegins) -> None:
        self._field = None
        if part.filename is None and part.name != "file":
            self._field = bytearray()
            self._fields.setdefault(part.name.removesuffix("[]"), []).append(self._field)
            return
        if self._upload is not None:
            raise BadRequest("The form has more than one file.", param="file")
        file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - Form.close
        self._upload = Upload(file, part.filename or "", part.content_type)

    def _take_text(self, data: bytes) -> None:
        assert self._field is not None
        self._field_bytes += len(data)
        if self._field_bytes > MOST_FIELD_BYTES:
            raise TooLarge(f"The form's fields are larger than {MOST_FIELD_BYTES:,} bytes.")
        self._field += data

    async def _take_sound(self, data: bytes) -> None:
        assert self._upload is not None
        self._upload.size += len(data)
        if self._upload.size > self._limits.most_bytes:
            raise TooLarge(
                f"The file is larger than {self._limits.most_bytes:,} bytes.",
                hint="Send it in parts, or in a format that compresses more.",
                param="file",
            )
        self._unwritten += data
        if len(self._unwritten) >= _WRITE_BYTES:
            await self._write()

    async def _write(self) -> None:
        assert self._upload is not None
        data = bytes(self._unwritten)
        self._unwritten.clear()
        # Beyond its share of memory the file lies on a disk.
        if self._upload.size > MEMORY_BYTES:
            await asyncio.to_thread(self._upload.file.write, data)
        else:
            self._upload.file.write(data)

    async def form(self) -> Form:
        if self._upload is not None:
            await self._write()
            self._upload.file.seek(0)
        fields = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in self._fields.items()
        }
        return Form(fields, self._upload)

    def close(self) -> None:
        if self._upload is not None:
            self._upload.file.close()
