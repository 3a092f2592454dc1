"""Finds and reads the package index that this machine's pip and uv settings name (PEP 503, 691)."""

from __future__ import annotations

import base64
import configparser
import json
import re
import ssl
import tomllib
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from bootstrap.progress import CERTIFICATE_CURE, NO_NETWORK_CURE, SetupFailed

PYPI = "https://pypi.org/simple"
_CA_NAMES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"
_TIMEOUT_S = 60.0
_ATTEMPTS = 3


@dataclass(frozen=True)
class IndexSettings:
    """``url`` may carry a user and password; ``ca`` is a file or folder of certificates or ""."""

    url: str = PYPI
    ca: str = ""
    proxy: str = ""

    @property
    def is_pypi(self) -> bool:
        return self.url.rstrip("/") == PYPI


@dataclass(frozen=True)
class IndexFile:
    """One file that an index offers. ``sha256`` is "" where the index doesn't say."""

    name: str
    url: str
    sha256: str


# ── settings ─────────────────────────────────────────────────────────────────────────────────


def read_index_settings(
    environment: Mapping[str, str], home: Path, system: Path = Path("/etc")
) -> IndexSettings:
    """What uv and pip would use: uv's environment, pip's, uv's files, pip's files, then PyPI."""
    pip = _pip_settings(environment, home, system)
    url = (
        environment.get("UV_DEFAULT_INDEX")
        or environment.get("UV_INDEX_URL")
        or environment.get("PIP_INDEX_URL")
        or _uv_default_index(environment, home, system)
        or pip.get("index-url")
        or PYPI
    )
    # uv lets an index be named: UV_DEFAULT_INDEX=company=https://…
    url = re.sub(r"^[\w.-]+=(?=\w+:)", "", url.strip())
    ca = next((environment[name] for name in _CA_NAMES if environment.get(name)), "")
    return IndexSettings(
        url=url,
        ca=ca or pip.get("cert", ""),
        proxy=environment.get("PIP_PROXY") or pip.get("proxy", ""),
    )


def _pip_settings(environment: Mapping[str, str], home: Path, system: Path) -> dict[str, str]:
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    files = [
        system / "xdg/pip/pip.conf",
        system / "pip.conf",
        home / ".pip/pip.conf",
        home / "Library/Application Support/pip/pip.conf",
        config_home / "pip/pip.conf",
    ]
    if environment.get("PIP_CONFIG_FILE"):
        files.append(Path(environment["PIP_CONFIG_FILE"]))
    settings: dict[str, str] = {}
    for file in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(file, encoding="utf-8")
        except (OSError, configparser.Error, UnicodeDecodeError):
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings |= {k.replace("_", "-"): v.strip() for k, v in parser.items(section)}
    return settings


def _uv_default_index(environment: Mapping[str, str], home: Path, system: Path) -> str:
    config_home = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    named = environment.get("UV_CONFIG_FILE")
    for file in [Path(named)] if named else [config_home / "uv/uv.toml", system / "uv/uv.toml"]:
        try:
            settings = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
            continue
        for index in cast(list[dict[str, Any]], settings.get("index", [])):
            if index.get("default"):
                return str(index.get("url", ""))
        if settings.get("index-url"):
            return str(settings["index-url"])
    return ""


# ── network ──────────────────────────────────────────────────────────────────────────────────


def has_certificates() -> bool:
    """Whether OpenSSL finds CA certificates on this machine without being told where."""
    paths = ssl.get_default_verify_paths()
    folder = Path(paths.capath) if paths.capath else None
    return bool(paths.cafile) or (folder is not None and any(folder.iterdir()))


class Network:
    """Fetches over HTTP(S) or from files, with this machine's proxy and certificates."""

    def __init__(self, settings: IndexSettings, *, verify: bool = True) -> None:
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif settings.ca:
            _trust(context, Path(settings.ca))
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
        if settings.proxy:
            proxies = {"http": settings.proxy, "https": settings.proxy}
            handlers.append(urllib.request.ProxyHandler(proxies))
        self._opener = urllib.request.build_opener(*handlers)
        self._authorizations: dict[str, str] = {}

    def get(self, url: str, accept: str = "*/*") -> tuple[bytes, str, str]:
        """Return the body, its content type and the address it came from in the end."""
        for attempt in range(_ATTEMPTS):
            try:
                return self._get_once(url, accept)
            except urllib.error.HTTPError as error:
                if error.code < 500 or attempt == _ATTEMPTS - 1:
                    raise _refused(url, error) from error
            except OSError as error:
                if attempt == _ATTEMPTS - 1 or _is_about_certificates(error):
                    raise _unreachable(url, error) from error
            except ValueError as error:
                raise SetupFailed(f"{url} is no address", "mend UV_DEFAULT_INDEX") from error
        raise AssertionError("the last attempt returns or raises")

    def _get_once(self, url: str, accept: str) -> tuple[bytes, str, str]:
        address, authorization = _without_credentials(url)
        host = urlsplit(address).netloc
        if authorization:
            self._authorizations[host] = authorization
        if address.startswith("file:") and address.endswith("/"):
            address += "index.html"
        request = urllib.request.Request(address, headers={"Accept": accept})
        if host in self._authorizations:
            # Unredirected: a mirror that sends us elsewhere doesn't send the password along.
            request.add_unredirected_header("Authorization", self._authorizations[host])
        with self._opener.open(request, timeout=_TIMEOUT_S) as response:
            return response.read(), response.headers.get_content_type(), response.geturl()


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    try:
        if ca.is_dir():
            context.load_verify_locations(capath=ca)
        else:
            context.load_verify_locations(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise SetupFailed(f"can't read CA certificates from {ca}", CERTIFICATE_CURE) from error


def _without_credentials(url: str) -> tuple[str, str]:
    """Split ``https://user:password@host/…`` into the plain address and an Authorization."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, ""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    host = parts.netloc.rpartition("@")[2]
    token = base64.b64encode(pair.encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {token}"


def _is_about_certificates(error: OSError) -> bool:
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return isinstance(reason, ssl.SSLCertVerificationError)


def _host_of(url: str) -> str:
    parts = urlsplit(_without_credentials(url)[0])
    return parts.netloc or parts.path


def _unreachable(url: str, error: OSError) -> SetupFailed:
    if _is_about_certificates(error):
        return SetupFailed(f"{_host_of(url)}'s certificate can't be verified", CERTIFICATE_CURE)
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return SetupFailed(f"can't reach {_host_of(url)} ({reason})", NO_NETWORK_CURE)


def _refused(url: str, error: urllib.error.HTTPError) -> SetupFailed:
    error.close()
    address, _ = _without_credentials(url)
    return SetupFailed(
        f"{address} answers {error.code} {error.reason}",
        "check the package index in UV_DEFAULT_INDEX or pip.conf and its user and password",
    )


# ── simple index ─────────────────────────────────────────────────────────────────────────────


def offered_files(network: Network, index_url: str, project: str) -> list[IndexFile]:
    """List what an index offers of a project; the answer may be HTML or JSON."""
    page = f"{index_url.rstrip('/')}/{project}/"
    body, content_type, address = network.get(page, _ACCEPT)
    if not content_type.endswith("+json"):
        links = _Links()
        links.feed(body.decode(errors="replace"))
        return [_read_link(href, address) for href in links.hrefs]
    try:
        return _read_json_page(json.loads(body), address)
    except (ValueError, KeyError, TypeError) as error:
        shown, _ = _without_credentials(page)
        raise SetupFailed(f"{shown} is no package index", "mend UV_DEFAULT_INDEX") from error


def pick_file(files: Sequence[IndexFile], names: Sequence[str]) -> IndexFile | None:
    """Return the first of ``names`` that is offered."""
    by_name = {file.name: file for file in files}
    return next((by_name[name] for name in names if name in by_name), None)


def _read_json_page(page: Any, base: str) -> list[IndexFile]:
    return [
        IndexFile(file["filename"], urljoin(base, file["url"]), file["hashes"].get("sha256", ""))
        for file in page["files"]
    ]


def _read_link(href: str, base: str) -> IndexFile:
    url, fragment = urldefrag(urljoin(base, href))
    name = unquote(urlsplit(url).path.rpartition("/")[2])
    sha256 = fragment.removeprefix("sha256=") if fragment.startswith("sha256=") else ""
    return IndexFile(name, url, sha256)


class _Links(HTMLParser):
    """Collects the addresses of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.hrefs += [value for name, value in attrs if name == "href" and value]
