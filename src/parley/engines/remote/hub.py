"""The Hugging Face hub as a source of models, over its HTTP interface.

The hub's own package says where the hub is and who we are (HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN
or the token of ``hf auth login``). The download is ours: that package neither goes on with an
interrupted file nor stops in the middle of one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, cast
from urllib.parse import quote

import httpx

from parley.core.errors import EngineFailed, EngineUnavailable, NotFound
from parley.engines.remote.file_download import RemoteFile, refusal, unreachable


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the hub answers, with which token, and whether it may be asked at all."""

    endpoint: str = "https://huggingface.co"
    token: str = ""
    is_offline: bool = False

    @classmethod
    def from_package(cls) -> Hub:
        """As ``huggingface_hub`` finds it in the environment."""
        constants = cast(Any, importlib.import_module("huggingface_hub.constants"))
        package = cast(Any, importlib.import_module("huggingface_hub"))
        token = str(package.get_token() or "")
        return cls(str(constants.ENDPOINT), token, bool(constants.HF_HUB_OFFLINE))

    @property
    def headers(self) -> dict[str, str]:
        """httpx drops it when a redirect leads to another host."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository's files that match ``wanted``."""

    repo: str
    wanted: tuple[str, ...]
    bytes: int = 0
    revision: str = "main"
    hub: Hub | None = None

    async def files(self, client: httpx.AsyncClient) -> Sequence[RemoteFile]:
        hub = self.hub or Hub.from_package()
        if hub.is_offline:
            raise EngineUnavailable(
                f"HF_HUB_OFFLINE is set, so {self.repo} is not fetched.",
                hint="Unset it, or copy the model's folder here yourself.",
            )
        info = await self._info(client, hub)
        base = f"{hub.endpoint}/{self.repo}/resolve/{info['sha']}"
        found = [
            _remote_file(entry, base, hub.headers)
            for entry in cast("Sequence[Mapping[str, Any]]", info["siblings"])
            if any(fnmatch(str(entry["rfilename"]), pattern) for pattern in self.wanted)
        ]
        if not found:
            raise NotFound(f"{self.repo} has none of the files {', '.join(self.wanted)}.")
        return found

    async def _info(self, client: httpx.AsyncClient, hub: Hub) -> Mapping[str, Any]:
        revision = quote(self.revision, safe="")
        url = f"{hub.endpoint}/api/models/{self.repo}/revision/{revision}?blobs=true"
        try:
            answer = await client.get(url, headers=hub.headers)
        except httpx.TransportError as error:
            raise unreachable(url, error) from error
        if answer.status_code == 404:
            raise NotFound(
                f"There is no model {self.repo} (revision {self.revision}) at {hub.endpoint}.",
                hint="Look for its name there.",
            )
        if answer.status_code >= 400:
            # Without a token the hub answers 401 for a name that doesn't exist, too.
            raise refusal(url, answer.status_code)
        try:
            info: Any = answer.json()
            if info["sha"] and isinstance(info["siblings"], list):
                return cast("Mapping[str, Any]", info)
        except (ValueError, KeyError, TypeError):
            pass
        raise EngineFailed(f"{hub.endpoint} answered nonsense about {self.repo}.")


def _remote_file(entry: Mapping[str, Any], base: str, headers: Mapping[str, str]) -> RemoteFile:
    path = str(entry["rfilename"])
    stored = cast("Mapping[str, Any]", entry.get("lfs") or {})
    sha256 = str(stored.get("sha256") or "")
    size = int(stored.get("size") or entry.get("size") or 0)
    checksum = f"sha256:{sha256}" if sha256 else ""
    return RemoteFile(path, f"{base}/{quote(path)}", size, checksum, headers)
